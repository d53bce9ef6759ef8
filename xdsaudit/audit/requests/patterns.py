"""Regexes as Envoy runs them (RE2, whole text), and the text that every match of one begins with."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
"""A sign that is not a plain character in a regex."""


@lru_cache(maxsize=4096)
def compiled(regex: str, *, groups: bool = False) -> Any | None:
    """The regex as RE2 compiles it, Envoy's engine; None when RE2 refuses it. Only with ``groups`` can it be substituted."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = not groups
    try:
        return re2.compile(regex, options)
    except re2.error:
        return None


@lru_cache(maxsize=16384)
def literal_prefix(regex: str) -> str:
    """The text every match of a regex begins with, as far as it is plain to see."""
    if "|" in regex or regex.startswith("(?"):
        return ""
    sign = SPECIAL.search(regex)
    if sign is None:
        return regex
    at = sign.start()
    return regex[: max(0, at - 1)] if regex[at] in "*?{" else regex[:at]


def only_text(regex: str) -> str | None:
    """The one text that a regex without signs matches, with or without its anchors; None for any other."""
    text = regex.removeprefix("^").removesuffix("$")
    return None if SPECIAL.search(text) else text
