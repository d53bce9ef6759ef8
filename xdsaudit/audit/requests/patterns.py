"""Regexes as Envoy runs them (RE2, whole text), and the text that every match of one begins with."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Protocol

SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
"""A sign that is not a plain character in a regex."""


class Machine(Protocol):
    """A compiled regex."""

    def fullmatch(self, text: str, /) -> object | None:
        """Something where the whole text matches."""

    def sub(self, replacement: str, text: str, /) -> str:
        """The text with every match exchanged."""


@lru_cache(maxsize=4096)
def compiled(regex: str, *, groups: bool = False) -> Machine | None:
    """The regex as RE2 compiles it, Envoy's engine; None when RE2 refuses it. Only with ``groups`` can it be substituted."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = not groups
    try:
        machine: Machine = re2.compile(regex, options)
    except re2.error:
        return None
    return machine


def literal_prefix(regex: str) -> str:
    """The text every match of a regex begins with, as far as it is plain to see; of one in any case what has no case."""
    fold = regex.startswith("(?i)")
    body = regex.removeprefix("(?i)").removeprefix("^")
    if body.startswith("(?") or _chooses(body):
        return ""
    text = ""
    at = 0
    while at < len(body):
        sign = body[at]
        if sign == "\\" and at + 1 < len(body) and not body[at + 1].isalnum():
            at += 1
            sign = body[at]
        elif SPECIAL.match(sign):
            break
        at += 1
        if body[at : at + 1] in {"*", "?", "{"} or (fold and sign.lower() != sign.upper()):
            break
        text += sign
    return text


def _chooses(regex: str) -> bool:
    """Whether a regex may be one of several, so that no text begins all: a ``|`` outside of parentheses."""
    if "|" not in regex:
        return False
    if "[" in regex or "\\Q" in regex:
        return True  # where a parenthesis may be a plain sign, nobody counts them here
    depth = 0
    for sign in re.sub(r"\\.", "", regex):
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and depth == 0:
            return True
    return False


def only_text(regex: str) -> str | None:
    """The one text that a regex without signs matches, with or without its anchors; None for any other."""
    text = regex.removeprefix("^").removesuffix("$")
    return None if SPECIAL.search(text) else text
