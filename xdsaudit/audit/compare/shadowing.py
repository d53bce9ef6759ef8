"""First-match semantics of a virtual host: which earlier route takes every request of a later one.

Only what is certain counts: a route is shadowed by one earlier route whose conditions its own imply and whose path
covers its path. Regexes are compared by their literal beginning, by running them on an exact path, or as the one text they match.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, Literal

from xdsaudit.audit.requests.patterns import SPECIAL, compiled, literal_prefix, only_text
from xdsaudit.audit.requests.routing import condition_holds
from xdsaudit.ingress.expectation import ExpectedRoute, RuleIndex
from xdsaudit.model.route import HeaderMatch, MatchKey, Route

_Reach = Literal["path", "path, any case", "prefix", "prefix, any case", "regex", "run"]
_Conditions = frozenset[object]
_Texts = dict[str, dict[_Conditions, list[int]]]
_BEGINNINGS: Final = frozenset({"prefix", "prefix, any case", "run"})
_ANY_CASE: Final = frozenset({"path, any case", "prefix, any case"})
_NONE: Final[_Conditions] = frozenset()
_FEW_SETS: Final = 16
"""Of up to so many sets of conditions at one path, those that imply others are looked for; of more, equal conditions alone count."""
_FEW: Final = 8
"""Up to so many conditions of a route, their subsets are looked up; beyond, all that stand at its path are gone through."""


def shadows(routes: Sequence[Route]) -> dict[int, int]:
    """Index of each shadowed route to the index of the first earlier route that takes all its requests."""
    winners: dict[int, int] = {}
    if _plainly_apart([r.key for r in routes]):
        return winners
    earlier = _Earlier(routes)
    for index, route in enumerate(routes):
        winner = next((i for i in sorted(earlier.candidates(route.key)) if _hides(routes[i], route)), None)
        if winner is not None:
            winners[index] = winner
        earlier.add(index)
    return winners


def _plainly_apart(keys: Sequence[MatchKey]) -> bool:
    """Whether lengths alone show that nothing is hidden: no text twice, and none behind a prefix that is short enough to be its beginning.

    That is how a host stands whose paths have no condition, since the longer ones go first.
    """
    if len(set(keys)) < len(keys):
        return False
    shortest = math.inf
    for kind, value, ignore_case, headers, query, other in keys:
        if ignore_case or headers or query or other:
            return False
        if kind == "prefix" and len(value) <= shortest:
            shortest = len(value)
        elif kind != "path" or len(value) >= shortest:
            return False
    return True


def _hides(earlier: Route, later: Route) -> bool:
    return matches_all_of(earlier.key, later.key) and not _twin(earlier, later)


class _Earlier:
    """Routes by what they take: by their text, and there by their conditions, so that few are asked about each later one."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._alike: dict[MatchKey, list[int]] = {}
        self._at: dict[_Reach, _Texts] = {}
        self._lengths: dict[_Reach, set[int]] = {}

    def add(self, index: int) -> None:
        """Let a route stand before those that are asked about from now on."""
        route = self._routes[index]
        # Of routes with one key the first hides what follows, and the second its twins: a third has nothing left to hide.
        alike = self._alike.setdefault(route.key, [])
        if len(alike) == 2 or any(_twin(self._routes[i], route) for i in alike):
            return
        alike.append(index)
        conditions = _conditions(route.key)
        for reach, text in _places(route.key):
            self._at.setdefault(reach, {}).setdefault(text, {}).setdefault(conditions, []).append(index)
            if reach in _BEGINNINGS:
                self._lengths.setdefault(reach, set()).add(len(text))

    def candidates(self, key: MatchKey) -> list[int]:
        """Indices of the routes that may take every request of a key."""
        indices: list[int] = []
        conditions = _conditions(key)
        regex = key.kind == "safe_regex"
        text = literal_prefix(key.value) if regex else key.value
        whole = only_text(key.value) if regex else key.value if key.kind == "path" else None
        for reach, texts in self._at.items():
            asked = text.lower() if reach in _ANY_CASE else text
            if reach in _BEGINNINGS:
                if reach != "run" or key.kind == "path":
                    for length in self._lengths[reach]:
                        if length <= len(asked) and (held := texts.get(asked[:length])) is not None:
                            indices += _asking_no_more(held, conditions)
                continue
            one = (None if key.kind == "path" else key.value) if reach == "regex" else whole
            if one is not None:
                held = texts.get(one.lower() if reach in _ANY_CASE else one)
                indices += _asking_no_more(held, conditions) if held is not None else ()
        return indices


def _asking_no_more(held: Mapping[_Conditions, list[int]], conditions: _Conditions) -> Iterable[int]:
    """Routes with some of these conditions, or all, and no other; of few sets of conditions, those that these imply too."""
    if not conditions:
        return held.get(conditions, ())
    if len(held) <= _FEW_SETS:
        return [i for asked, indices in held.items() if _no_more(asked, conditions) for i in indices]
    if len(conditions) > _FEW or len(held) <= 1 << len(conditions):
        return [i for asked, indices in held.items() if asked <= conditions for i in indices]
    sizes = range(len(conditions) + 1)
    return [i for n in sizes for some in combinations(conditions, n) for i in held.get(frozenset(some), ())]


def _no_more(asked: _Conditions, conditions: _Conditions) -> bool:
    rest = asked - conditions
    return all(
        isinstance(c, tuple)
        and any(c[0] == by[0] and _all_implied([c[1]], [by[1]]) for by in conditions if isinstance(by, tuple))
        for c in rest
    )


def _places(key: MatchKey) -> Iterator[tuple[_Reach, str]]:
    """Where a route is looked for: by its text for the kinds whose reach a text tells, a regex by what every match begins with."""
    if key.kind == "path":
        yield ("path, any case", key.value.lower()) if key.ignore_case else ("path", key.value)
    elif key.kind == "prefix":
        yield ("prefix, any case", key.value.lower()) if key.ignore_case else ("prefix", key.value)
    elif key.kind == "safe_regex":
        yield "regex", key.value
        yield "run", literal_prefix(key.value)
        body = _open_end(key.value)
        if body is not None:
            yield "prefix", body


def _conditions(key: MatchKey) -> _Conditions:
    if not (key.headers or key.query or key.other):
        return _NONE
    return frozenset(
        (*(("header", h) for h in key.headers), *(("query", q) for q in key.query), *filter(None, (key.other,)))
    )


def _open_end(regex: str) -> str | None:
    """The plain text of a regex that is ``text.*``, which is as good as a prefix; None for any other."""
    body = regex.removesuffix(".*")
    return body if body != regex and not SPECIAL.search(body) else None


def hidden_rules(
    owned: Iterable[tuple[int, ExpectedRoute]], hidden: Mapping[int, int]
) -> dict[RuleIndex, tuple[int, int]]:
    """Rules of which every own route is hidden: where the last of them stands, and the route that hides it.

    Args:
        owned: expected routes with the place at which they stand; generated ones do not tell whether a rule is reached.
        hidden: what ``shadows`` found at those places.
    """
    last: dict[RuleIndex, tuple[int, int]] = {}
    reached: set[RuleIndex] = set()
    for at, route in owned:
        if not route.generated:
            winner = hidden.get(at)
            for index in route.rules:
                if winner is None:
                    reached.add(index)
                else:
                    last[index] = (at, winner)
    return {index: places for index, places in last.items() if index not in reached}


def _twin(one: Route, other: Route) -> bool:
    """Copies of one route are one rule said twice, not a rule taken away by another."""
    return one.key == other.key and one.name == other.name and one[2:4] == other[2:4]


def _all_implied(asked: Iterable[HeaderMatch], by: Collection[HeaderMatch]) -> bool:
    """Whether what fulfils some conditions certainly fulfils others."""
    return all(c in by or any(_implies(one, c) for one in by if one.name == c.name) for c in asked)


def _implies(one: HeaderMatch, other: HeaderMatch) -> bool:
    """Whether a header that fulfils one condition fulfils the other: each text that the one takes is one the other takes."""
    if one.inverted or other.inverted:
        return False
    if other.op == "present":
        return other.value != "no" and one.op in {"exact", "prefix", "suffix", "contains", "regex"}
    if one.op == other.op == "prefix":
        return one.value.startswith(other.value)
    texts = [one.value] if one.op == "exact" else one.value.split("|") if one.op == "regex" else []
    plain = one.op == "exact" or not any(SPECIAL.search(t) for t in texts)
    return bool(texts) and plain and all(condition_holds(other, (t,)) is True for t in texts)


def matches_all_of(earlier: MatchKey, later: MatchKey) -> bool:
    """Whether every request that the later key matches is certainly matched by the earlier."""
    if earlier.other and earlier.other != later.other:
        return False
    if not (_all_implied(earlier.headers, later.headers) and _all_implied(earlier.query, later.query)):
        return False
    if later.ignore_case and not earlier.ignore_case and earlier.value.lower() != earlier.value.upper():
        return False
    mine, theirs = earlier.value, later.value
    if earlier.ignore_case:
        mine, theirs = mine.lower(), theirs.lower()
    if earlier.kind == "path":
        text: str | None = theirs if later.kind == "path" else None
        return mine == (only_text(theirs) if later.kind == "safe_regex" else text)
    if earlier.kind == "prefix":
        if later.kind == "safe_regex":
            theirs = literal_prefix(theirs)
        return later.kind in ("path", "prefix", "safe_regex") and theirs.startswith(mine)
    if earlier.kind == "safe_regex":
        if later.kind == "path":
            return not later.ignore_case and _full_match(earlier.value, later.value)
        if later.kind == "safe_regex" and earlier.value == later.value:
            return True
        body = _open_end(earlier.value)
        if body is not None:
            text = literal_prefix(theirs) if later.kind == "safe_regex" else theirs
            return not later.ignore_case and later.kind in ("prefix", "safe_regex") and text.startswith(body)
    return False


def _full_match(regex: str, path: str) -> bool:
    machine = compiled(regex)
    return machine is not None and machine.fullmatch(path) is not None
