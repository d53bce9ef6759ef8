"""Paths that no request can have, since Envoy normalises each path before it looks at any route.

Says only what is certain: what cannot be looked into (a regex that no automaton is built of) may be reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from xdsaudit.audit.requests.automaton import TooHardError, automaton, nothing_common
from xdsaudit.audit.requests.paths import SURVIVING, UNRESERVED, normalised, refusal
from xdsaudit.ingress.expectation import Expectation, RuleIndex
from xdsaudit.model.route import MatchKey

_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_CLOSED_DOTS: Final = re.compile(r"/(\.{1,2})/")
_DOTS_WITH_PARAMETERS: Final = re.compile(r"/(?=\.{1,2};)")
_PLAIN: Final = re.compile(r"/[A-Za-z0-9_~/-]*")
_TEXTS: Final = frozenset({"path", "prefix", "path_separated_prefix"})


class Dead(NamedTuple):
    """Why no request can have a path, and how it is written so that requests have it ("" where there is no such way)."""

    reason: str
    spelling: str = ""

    @property
    def said(self) -> str:
        """Both in words."""
        return self.reason + (f"; written {self.spelling} it is reached" if self.spelling else "")


@lru_cache(maxsize=8192)
def dead(kind: str, value: str) -> Dead | None:
    """Why no request can match a path of that kind (``path``, ``prefix``, …), None where one may.

    Source: Envoy 1.40's normalisation as measured in ``paths``.
    """
    if kind in _TEXTS:
        if _PLAIN.fullmatch(value):
            return None
        reason = _whole(value) if kind == "path" else _beginning(value)
        return Dead(reason, _spelling(kind, value)) if reason else None
    if kind == "safe_regex":
        try:
            empty = nothing_common((automaton("prefix", "/", False), automaton("regex", value, False)))
        except TooHardError:
            return None
        return Dead(f"no path that Envoy's routes see matches the pattern {value}") if empty else None
    return None


def _whole(value: str) -> str:
    # ``/..;x`` is what a backslash before the dots leaves.
    sent = _DOTS_WITH_PARAMETERS.sub(r"/.\\", value)
    if value.startswith("/") and (refusal(value) or normalised(sent) == value):
        return refusal(value) and f"Envoy answers {refusal(value)}"
    return _beginning(value) or f"Envoy makes {normalised(value)} of it before it looks at routes"


def _beginning(value: str) -> str:
    """What in a text no normalised path begins with."""
    if not value.startswith("/"):
        return "every path begins with /"
    if "?" in value:
        return "a path ends where the query begins: routes never see a ? in it"
    lost = next((c for c in value if c not in SURVIVING), None)
    if lost is not None:
        return f"routes never see {lost!r} in a path: Envoy escapes or refuses it"
    undone = next((m for m in _ESCAPE.finditer(value) if chr(int(m[1], 16)) in UNRESERVED or m[1] == "00"), None)
    if undone is not None:
        return f"routes never see {undone[0]} in a path: Envoy undoes or refuses it"
    dots = _CLOSED_DOTS.search(value)
    return f"routes never see /{dots[1]}/ in a path: Envoy resolves it" if dots else ""


def _spelling(kind: str, value: str) -> str:
    """The text as requests for it arrive; a path's own query, control signs and an empty result have none."""
    if not value.startswith("/") or re.search(r"[\x00-\x20\x7f#?{}*]", value):
        return ""
    spelling = normalised(value)
    if kind != "path" and value.endswith("/") and not spelling.endswith("/"):
        spelling += "/"
    return spelling if spelling != value and dead(kind, spelling) is None else ""


def dead_rules(expectation: Expectation, alive: dict[int, object] | None = None) -> Mapping[RuleIndex, Dead]:
    """Rules that no request can reach, by number: each of their own routes asks for a path that there is not.

    Args:
        expectation: the routes.
        alive: lists of routes of which none is dead, by their ids, from one asking to the next; None remembers none.
    """
    known = alive if alive is not None else {}
    for routes in expectation.tables.values():
        if id(routes) not in known and not any(dead_key(r.key) for r in routes if not r.generated):
            known[id(routes)] = routes  # an id is a name only while its object lives
    for gone in known.keys() - {id(routes) for routes in expectation.tables.values()}:
        del known[gone]
    dead: dict[RuleIndex, Dead] = {}
    reached: set[RuleIndex] = set()
    if all(id(routes) in known for routes in expectation.tables.values()):
        return dead
    for routes in expectation.tables.values():
        for route in routes:
            if route.generated:
                continue
            why = dead_key(route.key)
            for index in route.rules:
                if why is None:
                    reached.add(index)
                else:
                    dead.setdefault(index, why)
    return {index: why for index, why in dead.items() if index not in reached}


def dead_key(key: MatchKey) -> Dead | None:
    """Why no request can match a route's path; letters in any case are judged as they are written and in small ones."""
    why = dead(key.kind, key.value)
    return None if why is not None and key.ignore_case and dead(key.kind, key.value.lower()) is None else why
