"""Which requests two sets of route tables answer differently: every kind of them with one example, and whether that is all.

Two first-match lists give the same answer to every request that no route outside a common subsequence of both matches. So only those
routes are looked at, each with what overlaps it: their paths are taken apart into every combination of matchers (``requests.cells``),
headers, query and method likewise, and of each combination one request is asked of both lists. What is reported was looked up in
both; what is not reported is proved, or said not to be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import partial
from itertools import islice, product
from math import prod
from typing import Final, NamedTuple

from xdsaudit.audit.compare.order import apart
from xdsaudit.audit.requests.automaton import Automaton, TooHardError
from xdsaudit.audit.requests.cells import cells, exact
from xdsaudit.audit.requests.conditions import axes
from xdsaudit.audit.requests.example import host_of, reachable, requests
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import candidates, matches
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import MatchKey, Place, Route
from xdsaudit.model.verdict import Rule

_OPS: Final[Mapping[str, str]] = {
    "path": "exact",
    "prefix": "prefix",
    "path_separated_prefix": "segments",
    "safe_regex": "regex",
}
_COMBINATIONS: Final = 4_096


class Answering(NamedTuple):
    """A route of one side.

    Attributes:
        key: what it matches.
        outcome: what it does with a request; equal values are equal answers.
        rule: whose it is, None where nobody knows.
        route: the route itself.
        doubt: why it is not certain what it does; empty where it is.
    """

    key: MatchKey
    outcome: int
    rule: Rule | None
    route: ExpectedRoute | Route
    doubt: str = ""


Side = Mapping[Place, Sequence[Answering]]


class Change(NamedTuple):
    """Requests that are answered differently: an example, and the routes that answer; None is no route at all."""

    request: Request
    before: Answering | None
    after: Answering | None


@dataclass
class Differences:
    """What differs, and why that may not be all; without doubts it is."""

    changes: list[Change] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def proven(self) -> bool:
        """Whether every request of no kind reported here gets the same answer."""
        return not self.doubts


def differences(
    before: Side, after: Side, *, scoped: bool, https_port: int, same: Callable[[Place], bool] = lambda _: False
) -> Differences:
    """Every kind of request that two sides answer differently.

    Args:
        before: routes by place, in first-match order.
        after: the same of the other side.
        scoped: whether a host without a matching route is looked up in wider ones.
        https_port: the port behind TLS.
        same: whether it is known that both sides hold the same at a place, or both nothing; then it is not looked at.
    """
    differences = Differences()
    taken = {*before, *after}
    for place in sorted(taken):
        port, host = place
        name = host_of(host, partial(_taken, place, taken))
        base = Request(port == https_port, port, name, "/")
        if all(map(same, candidates(base, scoped=scoped))):
            continue
        lists = [_effective(side, base, scoped=scoped) for side in (before, after)]
        for change in _of_host(base, lists[0], lists[1], differences):
            differences.changes.append(change)
    return differences


def _taken(place: Place, taken: set[Place], name: str) -> bool:
    """Whether a name, proposed as an example for a place, has routes of its own or under a closer wildcard."""
    port, host = place
    for _, each in candidates(Request(False, port, name, "/")):
        if each == host:
            return False
        if (port, each) in taken:
            return True
    return False


def _effective(side: Side, base: Request, *, scoped: bool) -> list[Answering]:
    """The routes that a host's requests are tried against, in order."""
    answering: list[Answering] = []
    for place in candidates(base, scoped=scoped):
        if place in side:
            answering += side[place]
            if not scoped:
                break
    return answering


def _of_host(
    base: Request, before: Sequence[Answering], after: Sequence[Answering], result: Differences
) -> Iterator[Change]:
    one = [(a.key, a.outcome) for a in before]
    two = [(a.key, a.outcome) for a in after]
    if one == two:
        return
    unsure = next((a for a in (*before, *after) if a.doubt), None)
    if unsure is not None:
        _doubt(result, f"{base.host}: what {unsure.rule or unsure.route.name} does is not certain: {unsure.doubt}")
    # Numbers for keys and outcomes, so that the subsequence is found by comparing integers.
    numbers: dict[tuple[MatchKey, int], int] = {}
    first = [numbers.setdefault(item, len(numbers)) for item in one]
    second = [numbers.setdefault(item, len(numbers)) for item in two]
    apart_before, apart_after = set(range(len(one))), set(range(len(two)))
    for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        apart_before -= set(range(block.a, block.a + block.size))
        apart_after -= set(range(block.b, block.b + block.size))
    neighbours = _Neighbours(before), _Neighbours(after)
    told: set[tuple[int | None, int | None]] = set()
    for mine in (*(before[i] for i in sorted(apart_before)), *(after[i] for i in sorted(apart_after))):
        left, right = (each.of(mine.key) for each in neighbours)
        both = [a.key for _, a in (*left, *right)]
        for request, taking in _requests(base, mine.key, both, result):
            few = [each.having(taking) for each in neighbours] if taking is not None else [left, right]
            was, will = (_first(each, request, result) for each in few)
            pair = (was[0] if was else None, will[0] if will else None)
            if pair in told or _alike(was, will):
                continue
            told.add(pair)
            if taking is not None and [_number(_first(e, request, result)) for e in (left, right)] != list(pair):
                _doubt(result, f"{base.host}: the paths of {mine.key} were not taken apart rightly; please report this")
                continue
            yield Change(request, was[1] if was else None, will[1] if will else None)


def _number(route: tuple[int, Answering] | None) -> int | None:
    return route[0] if route is not None else None


class _Neighbours:
    """The routes of a list by their paths, to find those that may share a request with one."""

    def __init__(self, routes: Sequence[Answering]) -> None:
        self._routes = routes
        plain = [i for i, a in enumerate(routes) if a.key.kind in ("path", "prefix") and not a.key.ignore_case]
        self._sorted = sorted((routes[i].key.value, i) for i in plain)
        self._others = sorted({*range(len(routes))} - {*plain})
        self._prefixes: dict[str, list[int]] = {}
        for index in plain:
            if routes[index].key.kind == "prefix":
                self._prefixes.setdefault(routes[index].key.value, []).append(index)
        self._lengths = sorted({len(value) for value in self._prefixes})
        self._by_key: dict[MatchKey, list[int]] = {}
        for index, each in enumerate(routes):
            self._by_key.setdefault(each.key, []).append(index)

    def having(self, keys: Iterable[MatchKey]) -> list[tuple[int, Answering]]:
        """Numbers and routes of these keys, in order."""
        indices = sorted({i for key in keys for i in self._by_key.get(key, ())})
        return [(i, self._routes[i]) for i in indices]

    def of(self, key: MatchKey) -> list[tuple[int, Answering]]:
        """Numbers and routes, in order."""
        if key.kind not in ("path", "prefix") or key.ignore_case:
            return list(enumerate(self._routes))
        indices = {*self._others}
        at = bisect_left(self._sorted, (key.value, -1))
        while at < len(self._sorted) and self._sorted[at][0].startswith(key.value):
            indices.add(self._sorted[at][1])
            at += 1
        for length in self._lengths:
            indices.update(self._prefixes.get(key.value[:length], ()) if length <= len(key.value) else ())
        return [(i, self._routes[i]) for i in sorted(indices) if not apart(self._routes[i].key, key)]


def _alike(was: tuple[int, Answering] | None, will: tuple[int, Answering] | None) -> bool:
    if was is None or will is None:
        return was is will
    return was[1].outcome == will[1].outcome


def _first(
    routes: Iterable[tuple[int, Answering]], request: Request, result: Differences
) -> tuple[int, Answering] | None:
    for number, route in routes:
        verdict = matches(route.key, request)
        if verdict is None:
            _doubt(result, f"{request.host}: whether {route.key} takes a request cannot be judged")
        elif verdict:
            return number, route
    return None


def _doubt(result: Differences, why: str) -> None:
    if why not in result.doubts:
        result.doubts.append(why)


# --- every kind of request that a route takes ------------------------------------------------------------------------
def _requests(
    base: Request, mine: MatchKey, keys: Sequence[MatchKey], result: Differences
) -> Iterator[tuple[Request, list[MatchKey] | None]]:
    """A request for each combination of these keys that takes a request together with one of them, and the keys whose paths fit.

    Keys that are not looked into are asked about each path that is found, and then nothing is proved.
    """
    known: list[MatchKey] = []
    hard: list[MatchKey] = []
    machines: list[Automaton] = []
    for key in (mine, *dict.fromkeys(k for k in keys if k != mine)):
        try:
            machines.append(exact(_OPS.get(key.kind, key.kind), key.value, key.ignore_case))
            known.append(key)
        except TooHardError:
            hard.append(key)
            _doubt(result, f"{base.host}: the paths of {key} are not looked into")
    try:
        for vector, path in cells(machines, reachable, within=None if mine in hard else 0):
            also = (k for k in hard if matches(k._replace(headers=(), query=()), replace(base, path=path)))
            taking = [*(known[i] for i in sorted(vector)), *also]
            for request in _conditioned(base, path, taking, result):
                yield request, taking
    except TooHardError:
        _doubt(result, f"{base.host}: the paths of {mine} could not be told apart from those of its neighbours")
        hard += known
    for other in hard:  # what can be found without a proof
        for request in requests((mine, other), (base.port, base.host), secure=base.secure):
            for each in _conditioned(base, request.path, [mine, other], result):
                yield each, None


def _conditioned(base: Request, path: str, keys: Sequence[MatchKey], result: Differences) -> Iterator[Request]:
    """Requests to a path with every combination of the conditions that these keys have."""
    start = replace(base, path=path)
    choices = axes(keys, start, lambda why: _doubt(result, f"{base.host}: {why}"))
    if prod(map(len, choices)) > _COMBINATIONS:
        _doubt(result, f"{base.host}{path}: too many combinations of conditions")
    for chosen in islice(product(*choices), _COMBINATIONS):
        request = start
        for put in chosen:
            request = put(request)
        yield request
