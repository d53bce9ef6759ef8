"""Order as meaning: two lists of the same routes differ where one request gets two answers, and only there.

Routes that stand the other way round are looked at pair by pair: a request that both take is asked of both lists, and only two
different answers are a difference. Nothing is claimed without such a request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Final, NamedTuple

from xdsaudit.audit.requests.example import requests
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import look_up
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import MatchKey, Place, Route

_PAIRS: Final = 2_000
"""Pairs looked at in one table: beyond, what was proven stands, and that the rest was left is said."""


class Reordered(NamedTuple):
    """A request that the wrong route answers: whose it is in the expectation, and whose in the view."""

    request: Request
    wanted: int
    given: int


class Paired(NamedTuple):
    """Two lists of one place.

    Attributes:
        place: where both stand.
        expected: what must be served, in order.
        served: what a view serves.
        pairs: for each expected route the index of its served one.
    """

    place: Place
    expected: Sequence[ExpectedRoute]
    served: Sequence[Route]
    pairs: Sequence[int | None]


def reordered(
    lists: Paired,
    hidden: Sequence[tuple[int, int]],
    *,
    secure: bool,
    hosts: Callable[[str], bool],
    doubt: Callable[[str], object] = lambda _: None,
) -> Iterator[Reordered]:
    """Requests that show that a list's order matters, one for each expected route that loses some.

    Args:
        lists: what must be served, and what is.
        hidden: further pairs to look at: an expected route, and the served one that takes its requests in this view alone.
        secure: whether the place is behind TLS.
        hosts: whether a host has routes of its own.
        doubt: is told why more rules may lose requests.
    """
    place, expected, served, pairs = lists
    own = [(number, index) for number, index in enumerate(pairs) if index is not None]
    back = {index: number for number, index in own}
    wanted = {place: [expected[number] for number, _ in own]}
    numbers = [number for number, _ in own]
    told: set[int] = set()
    turned = [*islice(inversions(own), _PAIRS + 1)]
    if len(turned) > _PAIRS:
        doubt(f"of the routes in another order {_PAIRS:,} pairs were looked at: more rules may lose requests to others")
    for mine, other in (*turned[:_PAIRS], *hidden):
        if mine in told:
            continue
        theirs = served[other].key
        if _same(expected[mine], served[other]) or apart(expected[mine].key, theirs):
            continue
        for request in requests((expected[mine].key, theirs), place, secure=secure, hosts=hosts):
            must = look_up(wanted, request, scoped=False)
            does = look_up({place: served}, request, scoped=False)
            if must.index is None or does.index is None or not (must.certain and does.certain):
                continue
            number = numbers[must.index]
            if back.get(does.index) == number or _same(expected[number], served[does.index]):
                continue
            if number not in told:
                told.add(number)
                yield Reordered(request, number, does.index)
            break


def in_order(pairs: Sequence[int | None]) -> bool:
    """Whether the served routes stand in the order of the expected ones."""
    indices = [index for index in pairs if index is not None]
    return all(a < b for a, b in pairwise(indices))


def inversions(own: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Pairs that stand the other way round: an expected route, and the index of a served one that was to come after it.

    Args:
        own: number of each expected route and the index of its served one, by number.
    """
    indices = [index for _, index in own]
    kept = _increasing(indices)
    for at, (number, index) in enumerate(own):
        if at in kept:
            continue
        for there, (other, its) in enumerate(own):
            if (there < at) is (its > index) and there != at:
                yield (number, its) if number < other else (other, index)


def _increasing(values: Sequence[int]) -> set[int]:
    """Positions of a longest increasing subsequence."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for position, value in enumerate(values):
        at = bisect_left(ends, value)
        before.append(last[at - 1] if at else -1)
        if at == len(ends):
            ends.append(value)
            last.append(position)
        else:
            ends[at] = value
            last[at] = position
    kept = set()
    position = last[-1] if last else -1
    while position >= 0:
        kept.add(position)
        position = before[position]
    return kept


def _same(expected: ExpectedRoute, served: Route) -> bool:
    """Whether it makes no difference which of the two answers."""
    return expected.cluster == served.cluster and expected.fields == served.fields


_PLAIN: Final = frozenset({"path", "prefix"})


def apart(one: MatchKey, other: MatchKey) -> bool:
    """Whether two paths certainly have no request in common; most pairs are told apart so, without any automaton."""
    if one.ignore_case or other.ignore_case or not {one.kind, other.kind} <= _PLAIN:
        return False
    if one.kind == other.kind == "path":
        return one.value != other.value
    short, long = (one, other) if len(one.value) <= len(other.value) else (other, one)
    return (short.kind == "path" and len(short.value) < len(long.value)) or not long.value.startswith(short.value)
