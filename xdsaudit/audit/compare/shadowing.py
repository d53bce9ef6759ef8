"""First-match semantics of a virtual host: which earlier route takes every request of a later one.

Only what is certain counts: a route is shadowed by one earlier route whose conditions are among its own and whose path
covers its path. Regexes are compared by their literal beginning, or by running them on an exact path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from xdsaudit.audit.requests.patterns import SPECIAL, compiled, literal_prefix
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import MatchKey, Route


def shadows(routes: Sequence[Route]) -> dict[int, int]:
    """Index of each shadowed route to the index of the first earlier route that takes all its requests."""
    found: dict[int, int] = {}
    paths: dict[str, list[int]] = {}
    prefixes: dict[str, list[int]] = {}
    lengths: list[int] = []
    shortest = 1 << 30
    anywhere: list[int] = []  # routes whose reach no dictionary tells: regexes, and those that ignore case
    for index, route in enumerate(routes):
        key = route.key
        kind, value = key.kind, key.value
        candidates = list(anywhere) if anywhere else []
        if kind == "path":
            candidates += paths.get(value, ())
        text = literal_prefix(value) if kind == "safe_regex" else value
        if len(text) >= shortest:
            candidates += [i for n in lengths if n <= len(text) for i in prefixes.get(text[:n], ())]
        for earlier in sorted(candidates) if candidates else ():
            other = routes[earlier]
            if covers(other.key, key) and not _twin(other, route):
                found[index] = earlier
                break
        if key.ignore_case or kind == "safe_regex":
            anywhere.append(index)
        elif kind == "path":
            paths.setdefault(value, []).append(index)
        elif kind == "prefix":
            if value not in prefixes:
                prefixes[value] = []
                if len(value) not in lengths:
                    lengths.append(len(value))
                    shortest = min(shortest, len(value))
            prefixes[value].append(index)
    return found


def hidden_rules(owned: Iterable[tuple[int, ExpectedRoute]], hidden: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Rules of which every own route is hidden: the index of the last of them, and of the route that hides it.

    Args:
        owned: expected routes with the index at which they stand; generated ones do not tell whether a rule is reached.
        hidden: what ``shadows`` found at those indices.
    """
    found: dict[int, tuple[int, int]] = {}
    reached: set[int] = set()
    for index, route in owned:
        if not route.generated:
            winner = hidden.get(index)
            for rule in route.rules:
                if winner is None:
                    reached.add(rule)
                else:
                    found[rule] = (index, winner)
    return {rule: places for rule, places in found.items() if rule not in reached}


def _twin(one: Route, other: Route) -> bool:
    """Copies of one route are one rule said twice, not a rule taken away by another."""
    return one.key == other.key and one.name == other.name and one[2:4] == other[2:4]


def covers(earlier: MatchKey, later: MatchKey) -> bool:
    """Whether every request that the later key matches is certainly matched by the earlier."""
    if earlier.other and earlier.other != later.other:
        return False
    if not (set(earlier.headers) <= set(later.headers) and set(earlier.query) <= set(later.query)):
        return False
    if later.ignore_case and not earlier.ignore_case and earlier.value.lower() != earlier.value.upper():
        return False
    mine, theirs = earlier.value, later.value
    if earlier.ignore_case:
        mine, theirs = mine.lower(), theirs.lower()
    if earlier.kind == "path":
        return later.kind == "path" and mine == theirs
    if earlier.kind == "prefix":
        if later.kind == "safe_regex":
            theirs = literal_prefix(theirs)
        return later.kind in ("path", "prefix", "safe_regex") and theirs.startswith(mine)
    if earlier.kind == "safe_regex":
        if later.kind == "path":
            return not later.ignore_case and _full_match(earlier.value, later.value)
        if later.kind == "safe_regex" and earlier.value == later.value:
            return True
        body = earlier.value.removesuffix(".*")
        if body != earlier.value and not SPECIAL.search(body):
            text = literal_prefix(theirs) if later.kind == "safe_regex" else theirs
            return not later.ignore_case and later.kind in ("prefix", "safe_regex") and text.startswith(body)
    return False


def _full_match(regex: str, path: str) -> bool:
    machine = compiled(regex)
    return machine is not None and machine.fullmatch(path) is not None
