"""Texts that several matchers accept: a product of small automata, walked breadth first.

What comes out are proposals: an anchor is taken as always fulfilled, so whoever uses a text asks the matchers themselves. What
cannot be looked into (look-around, back references, signs that only RE2 knows) has no automaton.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from xdsaudit.audit.requests.paths import SURVIVING

ANY: Final = frozenset(map(chr, range(0x20, 0x7F)))
"""What the value of a header may hold, as far as examples go."""

_PREFERRED: Final = "xy1a0"
_COPIES: Final = 64
_STEPS: Final = 20_000
_VISITS: Final = 3
_DIGITS: Final = frozenset("0123456789")
_WORD: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
Parsed: TypeAlias = Any
"""A part of the tree that Python's parser of regexes makes, which has no types: the operation says what its argument is."""
_CATEGORIES: Final = {"DIGIT": _DIGITS, "WORD": _WORD, "SPACE": frozenset(" ")}


class TooHardError(Exception):
    """A matcher that no automaton is built of."""


@dataclass(eq=False)
class Automaton:
    """States are numbers; 0 begins. ``moves`` has characters and the next state, ``free`` the states reached without any."""

    alphabet: frozenset[str]
    moves: list[list[tuple[frozenset[str], int]]] = field(default_factory=lambda: [[]])
    free: list[list[int]] = field(default_factory=lambda: [[]])
    last: int = 0

    def state(self) -> int:
        """A new state."""
        self.moves.append([])
        self.free.append([])
        return len(self.moves) - 1

    def text(self, at: int, text: str, *, fold: bool) -> int:
        """The state after a text."""
        for sign in text:
            at = self.one(at, frozenset({sign.lower(), sign.upper()}) if fold else frozenset({sign}))
        return at

    def one(self, at: int, signs: frozenset[str]) -> int:
        """The state after any one of these signs."""
        to = self.state()
        self.moves[at].append((signs & self.alphabet, to))
        return to

    def anything(self, at: int) -> int:
        """The state after any text at all."""
        to = self.state()
        self.free[at].append(to)
        self.moves[to].append((self.alphabet, to))
        return to


@lru_cache(maxsize=4096)
def automaton(op: str, value: str, fold: bool, alphabet: frozenset[str] = SURVIVING) -> Automaton:
    """The automaton of a matcher.

    Args:
        op: ``exact``, ``prefix``, ``suffix``, ``contains``, ``segments`` (prefix by segment) or ``regex``.
        value: its text.
        fold: whether letters' case is ignored.
        alphabet: the signs that a text may hold.

    Raises:
        TooHardError: a regex that is not looked into.
    """
    made = Automaton(alphabet)
    at = 0
    if op == "regex":
        made.last = _Regex(made).build(value)
        return made
    if op in ("suffix", "contains"):
        at = made.anything(at)
    at = made.text(at, value, fold=fold)
    if op in ("prefix", "contains"):
        at = made.anything(at)
    elif op == "segments":
        end = made.state()
        made.free[at].append(end)
        made.free[made.anything(made.one(at, frozenset("/")))].append(end)
        at = end
    elif op not in ("exact", "suffix"):
        raise TooHardError(op)
    made.last = at
    return made


def tree_of(regex: str) -> Parsed:
    """The tree that Python's parser makes of a regex.

    Raises:
        TooHardError: Python cannot read it.
    """
    parser: Parsed = importlib.import_module("re._parser")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(regex)
    except (re.error, OverflowError, RecursionError) as error:
        raise TooHardError(regex) from error


class _Regex:
    """Builds the automaton of a regex out of the tree that Python's own parser makes of it."""

    def __init__(self, made: Automaton) -> None:
        self.made = made

    def build(self, regex: str) -> int:
        tree = tree_of(regex)
        return self._all(0, tree, bool(tree.state.flags & re.IGNORECASE))

    def _all(self, at: int, tree: Parsed, fold: bool) -> int:
        for op, argument in tree:
            at = self._each(at, str(op), argument, fold)
            if len(self.made.moves) > _STEPS:
                raise TooHardError("too many states")
        return at

    def _each(self, at: int, op: str, argument: Parsed, fold: bool) -> int:
        made = self.made
        if op in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            return made.one(at, self._signs(op, argument, fold))
        if op == "AT":
            return at
        if op == "SUBPATTERN":
            _, add, remove, tree = argument
            return self._all(at, tree, (fold or bool(add & re.IGNORECASE)) and not remove & re.IGNORECASE)
        if op == "BRANCH":
            end = made.state()
            for tree in argument[1]:
                begin = made.state()
                made.free[at].append(begin)
                made.free[self._all(begin, tree, fold)].append(end)
            return end
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, tree = argument
            return self._repeated(at, least, most, tree, fold)
        raise TooHardError(op)

    def _repeated(self, at: int, least: int, most: Parsed, tree: Parsed, fold: bool) -> int:
        made = self.made
        endless = str(most) == "MAXREPEAT"
        if least > _COPIES or (not endless and most > _COPIES):
            raise TooHardError("a repeat of many copies")
        for _ in range(least):
            at = self._all(at, tree, fold)
        if endless:
            loop = made.state()
            made.free[at].append(loop)
            made.free[self._all(loop, tree, fold)].append(loop)
            return loop
        end = made.state()
        made.free[at].append(end)
        for _ in range(most - least):
            at = self._all(at, tree, fold)
            made.free[at].append(end)
        return end

    def _signs(self, op: str, argument: Parsed, fold: bool) -> frozenset[str]:
        alphabet = self.made.alphabet
        if op == "ANY":
            return alphabet
        parts = argument if op == "IN" else [("LITERAL", argument)]
        signs: frozenset[str] = frozenset()
        negated = op == "NOT_LITERAL"
        for kind, part in parts:
            name = str(kind)
            if name == "NEGATE":
                negated = True
            elif name == "LITERAL":
                signs |= {chr(part)}
            elif name == "RANGE":
                signs |= {s for s in alphabet | _WORD if part[0] <= ord(s) <= part[1]}
            elif name == "CATEGORY":
                word = str(part).removeprefix("CATEGORY_")
                known = _CATEGORIES.get(word.removeprefix("NOT_"))
                if known is None:
                    raise TooHardError(word)
                signs |= alphabet - known if word.startswith("NOT_") else known
            else:
                raise TooHardError(name)
        if fold:
            signs |= {c for s in signs for c in (s.lower(), s.upper())}
        return alphabet - signs if negated else signs & alphabet


def common(machines: Sequence[Automaton]) -> Iterator[str]:
    """Texts that all of some automata accept, the shortest first, and a few longer ones; ends after a bounded walk."""
    begin = tuple(0 for _ in machines)
    end = tuple(m.last for m in machines)
    visits: dict[tuple[int, ...], int] = {}
    queue: deque[tuple[tuple[int, ...], str]] = deque([(begin, "")])
    said: set[str] = set()
    steps = 0
    while queue and steps < _STEPS:
        steps += 1
        at, text = queue.popleft()
        visits[at] = visits.get(at, 0) + 1
        if visits[at] > _VISITS:
            continue
        if at == end and text not in said:
            said.add(text)
            yield text
        for index, (machine, state) in enumerate(zip(machines, at, strict=True)):
            for free in machine.free[state]:
                queue.appendleft(((*at[:index], free, *at[index + 1 :]), text))
        for signs, to in _together(machines, at):
            queue.append((to, text + _pick(signs)))


def nothing_common(machines: Sequence[Automaton]) -> bool:
    """Whether it is certain that no text is accepted by all: every state was walked to, and none is an end of all."""
    end = tuple(m.last for m in machines)
    begin = tuple(0 for _ in machines)
    known, queue = {begin}, deque([begin])
    while queue:
        at = queue.popleft()
        if at == end or len(known) > _STEPS:
            return False
        free = [
            (*at[:i], to, *at[i + 1 :]) for i, (m, s) in enumerate(zip(machines, at, strict=True)) for to in m.free[s]
        ]
        fresh = {*free, *(to for _, to in _together(machines, at))} - known
        known |= fresh
        queue.extend(fresh)
    return True


def _together(machines: Sequence[Automaton], at: tuple[int, ...]) -> Iterator[tuple[frozenset[str], tuple[int, ...]]]:
    """Steps that all automata can make on one sign."""
    shared: list[tuple[frozenset[str], tuple[int, ...]]] = [(machines[0].alphabet, ())]
    for machine, state in zip(machines, at, strict=True):
        shared = [
            (both, (*to, next_))
            for signs, to in shared
            for moves, next_ in machine.moves[state]
            if (both := signs & moves)
        ]
    yield from shared


def _pick(signs: frozenset[str]) -> str:
    return next((s for s in _PREFERRED if s in signs), None) or min(signs)
