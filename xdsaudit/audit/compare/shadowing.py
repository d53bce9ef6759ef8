"""First-match semantics of a virtual host: which earlier route takes every request of a later one.

Only what is certain counts: a route is shadowed by one earlier route whose conditions its own imply and whose path
covers its path. Regexes are compared by their literal beginning, by running them on an exact path, or as the one text they match.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

from xdsaudit.audit.compare.lookups import MOST_RUNS, NONE, Asking, Conditions, Loose, Patience, Runs, full_match
from xdsaudit.audit.requests.patterns import SPECIAL, literal_prefix, only_text
from xdsaudit.audit.requests.routing import condition_holds
from xdsaudit.ingress.expectation import ExpectedRoute, RuleIndex
from xdsaudit.model.route import HeaderMatch, MatchKey, Route

_Reach = Literal["path", "path, any case", "prefix", "prefix, any case", "regex", "run"]
_BEGINNINGS: Final = frozenset({"prefix", "prefix, any case", "run"})
_ANY_CASE: Final = frozenset({"path, any case", "prefix, any case"})


def shadows(routes: Sequence[Route], doubt: Callable[[str], object] = lambda _: None) -> dict[int, int]:
    """Index of each shadowed route to the index of the first earlier route that takes all its requests.

    Args:
        routes: of one host, in order.
        doubt: is told why more of them may be shadowed.
    """
    winners: dict[int, int] = {}
    if _plainly_apart([r.key for r in routes]):
        return winners
    earlier = _Earlier(routes)
    for index, route in enumerate(routes):
        winner = next((i for i in sorted(earlier.candidates(route.key)) if _hides(routes[i], route)), None)
        if winner is not None:
            winners[index] = winner
        earlier.add(index)
    if earlier.patience.spent:
        doubt(f"after {MOST_RUNS:,} trials of a regex the rest was left out: more rules may be shadowed")
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
        self._at: dict[_Reach, dict[str, Asking]] = {}
        self._lengths: dict[_Reach, set[int]] = {}
        self._runs: dict[tuple[str, Conditions], Runs] = {}
        self._loose = {
            "header": Loose(h for route in routes for h in route.key.headers),
            "query": Loose(q for route in routes for q in route.key.query),
        }
        self._implied: dict[object, Conditions] = {}
        self.patience = Patience()

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
            texts = self._at.setdefault(reach, {})
            if text not in texts:
                texts[text] = Asking()
            texts[text].add(conditions, index)
            if reach in _BEGINNINGS:
                self._lengths.setdefault(reach, set()).add(len(text))

    def candidates(self, key: MatchKey) -> list[int]:
        """Indices of the routes that may take every request of a key."""
        indices: list[int] = []
        conditions = self._fulfilled(key)
        regex = key.kind == "safe_regex"
        text = literal_prefix(key.value) if regex else key.value
        whole = only_text(key.value) if regex else key.value if key.kind == "path" else None
        for reach, texts in self._at.items():
            asked = text.lower() if reach in _ANY_CASE else text
            if reach in _BEGINNINGS:
                starts = [asked[:length] for length in self._lengths[reach] if length <= len(asked)]
                for start in starts if reach != "run" else ():
                    indices += _within(texts, start, conditions)
                if reach == "run" and key.kind == "path" and not key.ignore_case:
                    indices += self._run(texts, starts, key.value, conditions)
                continue
            one = (None if key.kind == "path" else key.value) if reach == "regex" else whole
            if one is not None:
                indices += _within(texts, one.lower() if reach in _ANY_CASE else one, conditions)
        return indices

    def _run(
        self, texts: Mapping[str, Asking], starts: Iterable[str], path: str, conditions: Conditions
    ) -> Iterator[int]:
        """Of regexes, the first of each beginning and set of conditions that takes a path."""
        for start in starts:
            asking = texts.get(start)
            for asked in asking.within(conditions) if asking is not None else ():
                runs = self._runs.get((start, asked))
                if runs is None:
                    runs = self._runs[start, asked] = Runs(self._routes, texts[start].held[asked])
                first = runs.first(path, self.patience)
                if first is not None:
                    yield first

    def _fulfilled(self, key: MatchKey) -> Conditions:
        """The conditions of a key, and those of other routes that are fulfilled with them."""
        conditions = _conditions(key)
        return conditions.union(*map(self._implied_by, conditions)) if conditions else conditions

    def _implied_by(self, condition: object) -> Conditions:
        if not isinstance(condition, tuple):
            return NONE
        found = self._implied.get(condition)
        if found is None:
            part, by = condition
            texts = _only_texts(by)
            near = [*self._loose[part].near(by, texts[0] if texts else None, self.patience)]
            near += [HeaderMatch(by.name, "exact", text) for text in texts[:1]]
            found = self._implied[condition] = frozenset((part, other) for other in near if _implies(by, other))
        return found


def _within(texts: Mapping[str, Asking], text: str, conditions: Conditions) -> Iterator[int]:
    """Routes at a text that ask for some of these conditions, for all or for none, and for nothing else."""
    asking = texts.get(text)
    if asking is not None:
        for asked in asking.within(conditions):
            yield from asking.held[asked]


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


def _conditions(key: MatchKey) -> Conditions:
    if not (key.headers or key.query or key.other):
        return NONE
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
    texts = _only_texts(one)
    return bool(texts) and all(condition_holds(other, (t,)) is True for t in texts)


def _only_texts(condition: HeaderMatch) -> list[str]:
    """The texts for which a condition holds and no other; none where that is not plain to see."""
    if condition.op == "exact":
        return [condition.value]
    texts = condition.value.split("|") if condition.op == "regex" else []
    return [] if any(SPECIAL.search(t) for t in texts) else texts


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
            return not later.ignore_case and full_match(earlier.value, later.value)
        if later.kind == "safe_regex" and earlier.value == later.value:
            return True
        body = _open_end(earlier.value)
        if body is not None:
            text = literal_prefix(theirs) if later.kind == "safe_regex" else theirs
            return not later.ignore_case and later.kind in ("prefix", "safe_regex") and text.startswith(body)
    return False
