"""Pairing expected routes with those a view serves, and comparing a pair.

Routes are joined by key, in order; equal keys pair first with the route that is equal in all else, then with one of the same
name, then in order, since neither key nor name is unique.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from xdsaudit.ingress.effects import ANNOTATED_FILTERS
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.plain import Plain, as_mapping
from xdsaudit.model.route import MatchKey, Route
from xdsaudit.model.sensitive import Masks
from xdsaudit.model.verdict import FieldDelta
from xdsaudit.model.view import ViewName

_FILTERS: Final = "typed_per_filter_config"
_KNOWN_BY: Final = attrgetter("key", "name")


class Alignment(NamedTuple):
    """For each expected route the index of its served one (or None), and the indices nobody expected."""

    pairs: list[int | None]
    rest: list[int]


class Comparer:
    """Compares fields, remembering pairs of shared field maps that were found equal."""

    def __init__(self) -> None:
        """Start with an empty memory."""
        self._equal: set[tuple[int, int]] = set()
        self._kept: list[object] = []
        self._tables: dict[tuple[int, int, str], object] = {}
        self._older: dict[tuple[int, int, str], object] = {}

    def turn(self) -> None:
        """Forget pairs, and tables that were not compared since the last turn."""
        self._equal.clear()
        self._kept.clear()
        self._tables, self._older = {}, self._tables

    def fine(self, expected: Sequence[ExpectedRoute], served: Sequence[Route], how: str) -> bool:
        """Whether these very lists were compared before in this way and nothing was to say of them."""
        key = (id(expected), id(served), how)
        held = self._tables.get(key) or self._older.get(key)
        if held is None:
            return False
        self._tables[key] = held
        return True

    def remember(self, expected: Sequence[ExpectedRoute], served: Sequence[Route], how: str) -> None:
        """Note that nothing is to say of these lists; they are kept, since an id is a name only while its object lives."""
        self._tables[id(expected), id(served), how] = (expected, served)

    def same(self, expected: ExpectedRoute, served: Route) -> bool:
        """Whether everything that decides or shapes a request is equal."""
        if expected.cluster != served.cluster and "cluster" not in expected.uncertain:
            return False
        pair = (id(expected.fields), id(served.fields))
        if pair in self._equal:
            return True
        if expected.fields != served.fields and self._differing(expected, served):
            return False
        if expected.uncertain:
            return True
        self._equal.add(pair)
        self._kept.append((expected.fields, served.fields))  # an id is a name only while its object lives
        return True

    @staticmethod
    def _differing(expected: ExpectedRoute, served: Route) -> list[str]:
        names = {*expected.fields, *served.fields, "cluster"} - expected.uncertain
        wanted = {**expected.fields, "cluster": expected.cluster}
        return sorted(n for n in names if wanted.get(n) != _judged(n, served.get(n)))

    def deltas(self, expected: ExpectedRoute, served: Route, view: ViewName, replica: str | None) -> list[FieldDelta]:
        """The fields that differ, down to the leaf where both sides hold one."""
        found = []
        masks = Masks()  # credentials are compared, and never shown
        for name in self._differing(expected, served):
            one = masks.masked(expected.cluster if name == "cluster" else expected.fields.get(name))
            other = masks.masked(_judged(name, served.get(name)))
            found += [FieldDelta(name + path, view, replica, a, b) for path, a, b in _leaves(one, other)]
        return found


def _judged(name: str, value: Plain) -> Plain:
    """The part of a served field that annotations decide: filters patched in by other objects are nobody's rule."""
    if name != _FILTERS or not value:
        return value
    return {k: v for k, v in as_mapping(value).items() if k in ANNOTATED_FILTERS} or None


def _leaves(one: Plain, other: Plain) -> list[tuple[str, Plain, Plain]]:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [("", one, other)]
    from deepdiff import DeepDiff
    from deepdiff.helper import notpresent

    leaves = []
    for levels in DeepDiff(one, other, view="tree").values():
        for level in levels:
            path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in level.path(output_format="list"))
            a, b = (None if side is notpresent else side for side in (level.t1, level.t2))
            leaves.append((path, a, b))
    return sorted(leaves, key=lambda leaf: leaf[0]) or [("", one, other)]  # deepdiff leaves private names out


def align(expected: Sequence[ExpectedRoute], served: Sequence[Route], comparer: Comparer) -> Alignment:
    """Pair two lists of one place; linear in their lengths."""
    if len(expected) == len(served) and [*map(_KNOWN_BY, expected)] == [*map(_KNOWN_BY, served)]:
        return Alignment(list(range(len(served))), [])
    by_key: dict[MatchKey, list[int]] = defaultdict(list)
    for index, route in enumerate(served):
        by_key[route.key].append(index)
    pairs: list[int | None] = [None] * len(expected)

    def pair(fits: Callable[[ExpectedRoute, Route], bool]) -> None:
        for number, wanted in enumerate(expected):
            listed = by_key.get(wanted.key) if pairs[number] is None else None
            chosen = next((i for i in listed if fits(wanted, served[i])), None) if listed else None
            if chosen is not None and listed is not None:
                pairs[number] = chosen
                listed.remove(chosen)

    pair(lambda wanted, route: wanted.name == route.name and comparer.same(wanted, route))
    pair(lambda wanted, route: wanted.name == route.name)
    pair(lambda _, __: True)
    return Alignment(pairs, sorted(i for listed in by_key.values() for i in listed))
