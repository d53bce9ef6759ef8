"""What stands earlier, kept so that few of it are asked about each later route: sets of conditions, and regexes that begin alike."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final

from xdsaudit.audit.requests.needs import needs
from xdsaudit.audit.requests.patterns import compiled
from xdsaudit.model.route import HeaderMatch, Op, Route

Conditions = frozenset[object]
NONE: Final[Conditions] = frozenset()
MOST_RUNS: Final = 200_000
"""Regexes run on paths in one table, before the rest is left."""
_FEW: Final = 8
"""Up to so many conditions of a route, their subsets are looked up; of more, those sets are gone through that are filed under one of them."""
_FEW_REGEXES: Final = 16
"""Up to so many regexes are all run; of more, those whose texts the path contains."""


class Asking:
    """Indices of routes by the conditions that they ask for. Each set is also filed under that one of its conditions which has fewest."""

    __slots__ = ("_filed", "held")

    def __init__(self) -> None:
        """There are none yet."""
        self.held: dict[Conditions, list[int]] = {}
        self._filed: dict[object, list[Conditions]] = {}

    def add(self, conditions: Conditions, index: int) -> None:
        """Let a route stand behind those that are there."""
        listed = self.held.get(conditions)
        if listed is not None:
            listed.append(index)
            return
        self.held[conditions] = [index]
        if conditions:
            rarest = min(conditions, key=lambda c: len(self._filed.get(c, ())))
            self._filed.setdefault(rarest, []).append(conditions)

    def within(self, conditions: Conditions) -> Iterable[Conditions]:
        """The sets that are there of which each condition is one of these."""
        if not conditions:
            return (NONE,) if NONE in self.held else ()
        if len(conditions) <= _FEW and len(self.held) > 1 << len(conditions):
            some = (frozenset(s) for n in range(len(conditions) + 1) for s in combinations(conditions, n))
            return [s for s in some if s in self.held]
        filed = (s for c in conditions for s in self._filed.get(c, ()) if s <= conditions)
        return [NONE, *filed] if NONE in self.held else filed


class Patience:
    """How many regexes may still be run, and whether one was to be run when they were spent."""

    def __init__(self) -> None:
        """None was run yet."""
        self.left: int = MOST_RUNS
        self.spent: bool = False

    def spends(self, runs: int) -> bool:
        """Whether so many are left to be run; then they are spent."""
        if runs > self.left:
            self.spent = True
            return False
        self.left -= runs
        return True


class Loose:
    """Conditions that others may imply, by header and by text: all but exact ones, which are implied by what says their text."""

    def __init__(self, conditions: Iterable[HeaderMatch]) -> None:
        """Of all these, which may be said more than once."""
        self._at: dict[str, dict[Op, dict[str, dict[HeaderMatch, None]]]] = {}
        self._lengths: dict[tuple[str, Op], set[int]] = {}
        for each in conditions:
            if each.op != "exact" and not each.inverted:
                text = each.value.lower() if each.op.endswith("_i") else each.value
                self._at.setdefault(each.name, {}).setdefault(each.op, {}).setdefault(text, {})[each] = None
                self._lengths.setdefault((each.name, each.op), set()).add(len(text))

    def near(self, by: HeaderMatch, text: str | None, patience: Patience) -> Iterator[HeaderMatch]:
        """Those that a condition may imply which holds for a text; or for none that is known."""
        lengths = self._lengths
        for op, held in self._at.get(by.name, {}).items():
            if op == "present":
                texts: Iterable[str] = held
            elif text is None:
                texts = _spans(op, by.value, lengths[by.name, op]) if op == by.op == "prefix" else ()
            elif op == "regex":
                texts = held if patience.spends(len(held)) else ()
            else:
                texts = _spans(op, text, lengths[by.name, op])
            for each in texts:
                yield from held.get(each, ())


def _spans(op: Op, text: str, lengths: Iterable[int]) -> Iterator[str]:
    """Parts of a text that are the value of a condition which holds for it."""
    kind = op.removesuffix("_i")
    sought = text.lower() if kind != op else text
    for n in lengths:
        if n <= len(sought):
            last = len(sought) - n
            begins = {"exact": range(last == 0), "prefix": (0,), "suffix": (last,), "contains": range(last + 1)}
            yield from {sought[at : at + n] for at in begins.get(kind, ())}


class Runs:
    """Regexes that begin alike and ask for the same conditions, of which the first that takes a path is looked for."""

    __slots__ = ("_indices", "_known", "_lengths", "_routes", "_texts", "_unfiled")

    def __init__(self, routes: Sequence[Route], indices: Sequence[int]) -> None:
        """Regexes are those of the routes at the indices, which may become more."""
        self._routes, self._indices = routes, indices
        self._known: dict[str, tuple[int, int | None]] = {}
        self._texts: dict[str, list[int]] = {}
        self._lengths: set[int] = set()
        self._unfiled = 0

    def first(self, path: str, patience: Patience) -> int | None:
        """Index of the first that takes this path, as far as patience goes."""
        asked, found = self._known.get(path, (0, None))
        if found is None and asked < len(self._indices):
            places = self._may_take(path, asked)
            if not patience.spends(len(places)):
                return None
            found = next((i for i in map(self._indices.__getitem__, places) if self._takes(i, path)), None)
            self._known[path] = len(self._indices), found
        return found

    def _takes(self, index: int, path: str) -> bool:
        return full_match(self._routes[index].key.value, path)

    def _may_take(self, path: str, since: int) -> Sequence[int]:
        """Places from here on, in order, of the regexes whose texts the path contains."""
        count = len(self._indices)
        if count <= _FEW_REGEXES:
            return range(since, count)
        for place in range(self._unfiled, count):
            self._file(place)
        self._unfiled = count
        listed = [self._texts[text] for text in self._held_in(path.casefold())]
        return sorted({place for places in listed for place in places[bisect_left(places, since) :]})

    def _file(self, place: int) -> None:
        """File a regex under the texts it needs that have fewest so far."""
        texts = min(
            needs(self._routes[self._indices[place]].key.value),
            key=lambda need: sum(len(self._texts.get(t, ())) for t in need),
            default=frozenset({""}),
        )
        for text in texts:
            self._texts.setdefault(text, []).append(place)
            self._lengths.add(len(text))

    def _held_in(self, path: str) -> Iterator[str]:
        spans = {path[at : at + n] for n in self._lengths for at in range(len(path) - n + 1)}
        return (text for text in spans if text in self._texts)


def full_match(regex: str, path: str) -> bool:
    """Whether a regex takes a whole path; one that RE2 refuses takes none."""
    machine = compiled(regex)
    return machine is not None and machine.fullmatch(path) is not None
