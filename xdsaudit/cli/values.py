"""Values of options: spans of time and sizes, as kubectl writes them."""

from __future__ import annotations

import re
from typing import Any

import click


class Seconds(click.ParamType[float]):
    """A span of time: seconds, or with a unit as kubectl takes it (``90``, ``1.5``, ``500ms``, ``2m``, ``1h30m``)."""

    name = "span"

    def __init__(self, least: float = 0.0) -> None:
        """Refuse less than so many seconds."""
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
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
            self.fail(f"{text!r} is not a span of time; write seconds, or 500ms, 90s, 2m, 1h30m", param, ctx)
        if seconds < self.least:
            self.fail(f"{text!r} is too short; at least {self.least:g} s", param, ctx)
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
