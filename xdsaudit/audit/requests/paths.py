"""A request's path as Envoy's routes see it, once the listener has normalised it.

Measured byte by byte on Envoy 1.40 with ``normalize_path`` as Istio and Higress set it (BASE; slashes are not merged): a query is
cut off, backslashes become slashes, dot segments are resolved, escapes of unreserved characters are undone, and what a path may
not hold is escaped (RFC 3986, sections 5.2.4 and 6.2.2).
"""

from __future__ import annotations

import re
from typing import Final

UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
SURVIVING: Final = UNRESERVED | frozenset("!$&'()*+,;=:@/%")
"""What a normalised path may hold."""

_HEX: Final = "(?:[0-9A-Fa-f]|%3[0-9]|%[46][1-6])"
_ESCAPE: Final = re.compile(rf"%([0-9A-Fa-f]{{2}})|%({_HEX}{_HEX})")
"""An escape, or a sign that begins none and would begin one once what is behind it is decoded (the ``%`` of ``%%361``)."""
_DOTS: Final = re.compile(r"(?:\.|%2[eE]){1,2}")
_PARAMETERS: Final = re.compile(r"(?<=/)(\.{1,2});[^/]*")
"""Of a segment of dots, which are cut off before backslashes become slashes."""
_REFUSED: Final = re.compile(r"[\x00-\x20\x7f#]")
_LIMIT: Final = 60 * 1024


def refusal(target: str) -> str:
    """Why Envoy answers 400 or 431 to a request target before it looks at any route, or "" where it does not."""
    if not target.startswith("/"):
        return "400: the path does not begin with /"
    if len(target) > _LIMIT:
        return f"431: the path is longer than {_LIMIT} bytes"
    sign = _REFUSED.search(target)
    found = sign[0] if sign else "%00" if "%00" in _without_parameters(target) else ""
    return f"400: the path holds {found!r}, which Envoy refuses" if found else ""


def normalised(target: str) -> str:
    """The path of a request target (which may end in a query) as routes are matched against it."""
    path = _without_parameters(target).replace("\\", "/")
    kept: list[str] = []
    closed = False
    for segment in path.split("/")[1:]:
        dots = _dots(segment)
        closed = dots > 0
        if dots == 2 and kept:
            kept.pop()
        elif not dots:
            kept.append(segment)
    return "/" + "/".join([_escaped(s) for s in kept] + ([""] if closed and kept else []))


def _without_parameters(target: str) -> str:
    return _PARAMETERS.sub(r"\1", target.partition("?")[0])


def _dots(segment: str) -> int:
    """1 for ``.``, 2 for ``..``, escaped or not; 0 for any other segment."""
    return len(segment.lower().replace("%2e", ".")) if _DOTS.fullmatch(segment) else 0


def _escaped(segment: str) -> str:
    def undo(escape: re.Match[str]) -> str:
        if escape[2]:
            return f"%25{_ESCAPE.sub(undo, escape[2])}"
        text = chr(int(escape[1], 16))
        return text if text in UNRESERVED else escape[0]

    text = _ESCAPE.sub(undo, segment)
    return "".join(c if c in SURVIVING else "".join(f"%{b:02X}" for b in c.encode()) for c in text)
