"""Option values: durations and sizes as kubectl writes them, verdicts and codes."""

from __future__ import annotations

import re

import click

from xdsaudit.errors import InputError, did_you_mean


class Seconds(click.ParamType[float]):
    """A duration: seconds, or with a unit as in kubectl (``90``, ``1.5``, ``500ms``, ``2m``, ``1h30m``)."""

    name = "span"

    def __init__(self, least: float = 0.0) -> None:
        """Reject durations below ``least`` seconds."""
        self.least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip()
        parts = _SPAN.findall(text)
        seconds = float("nan")
        if text.replace(".", "", 1).isdigit() and text.isascii():
            seconds = float(text)
        elif parts and "".join(number + unit for number, unit in parts) == text:
            seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        if not seconds < _CENTURY:
            self.fail(f"{text!r} is not a duration; write seconds, or 500ms, 90s, 2m, 1h30m", param, ctx)
        if seconds < self.least:
            self.fail(f"{text!r} is too short; the minimum is {self.least:g} s", param, ctx)
        return seconds


_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CENTURY = 3.2e9


def size_of(_: click.Context, parameter: click.Parameter, text: str) -> int:
    """Bytes as Kubernetes writes quantities: ``1048576``, ``512Mi``, ``1Gi``."""
    unit = next((u for u in _UNITS if u and text.endswith(u)), "")
    number = text.removesuffix(unit)
    if not (number.isascii() and number.isdigit() and len(number) < 16 and int(number)):
        raise click.BadParameter(
            f"{text!r} is not a size; write a number of bytes, or one with Ki, Mi or Gi such as 512Mi", param=parameter
        )
    return int(number) * _UNITS[unit]


_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "": 1}


def words(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Values of a repeatable option that also accepts commas."""
    return tuple(w.strip() for text in texts for w in text.split(",") if w.strip())


def fail_on_of(text: str | None) -> frozenset[str] | None:
    """The list of --fail-on, or None.

    Raises:
        InputError: a word in it is neither a verdict nor a severity.
    """
    from xdsaudit.model.verdict import Severity, Verdict

    if text is None:
        return None
    allowed = {*(v.value for v in Verdict), *(s.value for s in Severity), "extra"}
    chosen = frozenset(words((text,)))
    unknown = sorted(chosen - allowed)
    if unknown:
        raise InputError(
            f"--fail-on {', '.join(unknown)}: is not a verdict or severity; one of {', '.join(sorted(allowed))}{did_you_mean(unknown[0], allowed)}"
        )
    return chosen


_FAMILY = re.compile(r"XA\d{1,2}$", re.IGNORECASE | re.ASCII)


def codes_of(option: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Codes of --only and --skip; ``XA4`` and ``XA40`` stand for all codes that start with them.

    Raises:
        InputError: one of them is not a code.
    """
    from xdsaudit.audit.causes.catalogue import CATALOGUE, find

    codes: list[str] = []
    for word in words(texts):
        family = [cause.code for cause in CATALOGUE if _FAMILY.match(word) and cause.code.startswith(word.upper())]
        if family:
            codes += family
            continue
        row = find(word)
        if row is None:
            hint = did_you_mean(word, [name for cause in CATALOGUE for name in (cause.code, cause.slug)])
            raise InputError(f"--{option} {word}: is not a code; xdsaudit explain lists them{hint}")
        codes.append(row.code)
    return tuple(codes)
