"""Every exception this package raises on purpose, as one tree, and where in our code an exception arose.

    XdsauditError
    ├── InputError       a file, archive, manifest or option that cannot be used   (exit 2)
    │   └── FormatError  a snapshot of another format or a newer version of it
    ├── ReadError        one source could not be read; the audit continues without it
    └── NotCaptured      a view does not contain the bytes asked for

This module must not import anything from the package.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType

_OWN = __name__.partition(".")[0] + "."
_PLAIN = (
    AttributeError,
    IndexError,
    MemoryError,
    NameError,
    RecursionError,
    TypeError,
    UnboundLocalError,
    ZeroDivisionError,
)


def did_you_mean(word: str, known: Iterable[str], sign: str = "; ") -> str:
    """``; did you mean X?`` for the closest known word, or ``""`` if none is close.

    Args:
        word: the word that was written.
        known: the words that could have been meant; those that start or end with it count too.
        sign: what to put before the question.
    """
    names = nearest(word, known)
    return f"{sign}did you mean {' or '.join(names)}?" if names else ""


def nearest(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """The one or two known words closest to a word; empty if none is close."""
    from difflib import get_close_matches

    lowered = {k.lower(): k for k in sorted(known)}
    names = get_close_matches(word.lower(), list(lowered), 2, 0.7)
    if not names and len(word) > 2:
        names = [k for k in lowered if k.endswith(f"/{word.lower()}") or k.startswith(word.lower())][:2]
    return tuple(lowered[k] for k in names)


class XdsauditError(Exception):
    """Base of all errors; the text names the subject, the fact, the place and the next step."""


class InputError(XdsauditError):
    """Input that cannot be used at all; commands exit with code 2."""


class FormatError(InputError):
    """A snapshot in a format that this version cannot read."""


class ReadError(XdsauditError):
    """One source could not be read or decoded. It leaves a gap in a view, and never decides a verdict.

    Attributes:
        status: the HTTP status of the source's answer, or None.
    """

    def __init__(self, *message: object, status: int | None = None) -> None:
        """Keep the text and the status."""
        super().__init__(*message)
        self.status = status


class NotCaptured(XdsauditError):  # noqa: N818 - reads as a state, like KeyError's neighbours in the field
    """A view does not contain the bytes asked for."""


class Interrupted(KeyboardInterrupt):
    """A signal (SIGTERM, SIGHUP) asks the process to end, like Ctrl-C.

    Attributes:
        signal: its number.
    """

    def __init__(self, signal: int) -> None:
        """Keep the number."""
        super().__init__()
        self.signal = signal


def place_of(error: BaseException) -> str:
    """The innermost frame of our own code in an exception's traceback, ``module:line in function``; "" if there is none."""
    frame: tuple[FrameType, int] | None = None
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(_OWN):
            frame = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    if frame is None:
        return ""
    return f"{frame[0].f_globals['__name__']}:{frame[1]} in {frame[0].f_code.co_name}"


def outline(error: BaseException) -> str:
    """Type and place of an unexpected exception, and its text if that cannot quote data.

    ValueError, KeyError and others quote the wrong value in their text: a header, a token, a line of a file.
    """
    text = str(error)[:120] if type(error) in _PLAIN else ""
    place = place_of(error)
    return type(error).__name__ + (f": {text}" if text else "") + (f" at {place}" if place else "")
