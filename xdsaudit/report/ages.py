"""Durations for people: ``2 m``, ``3 h``, ``12 d``."""

from __future__ import annotations

from typing import Final

from xdsaudit.model.snapshot import moment_of

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"))


def span(seconds: float) -> str:
    """A duration in the largest unit that gives at least two: ``90 s``, ``3 m``, ``26 h``, ``3 d``."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def age(then: str | None, now: str | None) -> str:
    """How long before ``now`` a moment was (both RFC 3339); ``""`` if either is unknown or the moment is later."""
    earlier, later = moment_of(then), moment_of(now)
    if earlier is None or later is None or earlier > later:
        return ""
    return span((later - earlier).total_seconds())
