"""Texts sorted by who accepts them: all matchers walked at once, with one shortest text for each set of them that accepts one.

Where ``automaton`` looks for a text that several matchers accept, this finds every combination there is, so that what holds for the
texts given holds for all texts. Bounded: what would take too long is said to, and then nothing is proved.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from xdsaudit.audit.requests.automaton import Automaton, TooHardError, automaton
from xdsaudit.audit.requests.paths import SURVIVING

STATES: Final = 30_000
"""Sets of states looked at before it is too hard."""

_PREFERRED: Final = "xy1a0z"
UNCERTAIN: Final = re.compile(r"\[\[:|\\[pPQCzZAbB]")
"""Signs that Python and RE2 read differently."""


def exact(op: str, value: str, fold: bool, alphabet: frozenset[str] = SURVIVING) -> Automaton:
    """An automaton that accepts what the matcher accepts and nothing else.

    Raises:
        TooHardError: none is built, or it would only be near: an anchor inside, or signs that Python and RE2 read differently.
    """
    if op == "regex":
        value = value.removesuffix(".*") if value.endswith("$.*") else value  # nothing can stand behind the end
        value = value.removeprefix(".*") if value.startswith(".*^") else value
        value = _scoped(value)
        inner = value.removeprefix("^").rstrip("$")
        if UNCERTAIN.search(value) or re.search(r"(?<!\\)(?:\\\\)*[$]|(?<![\\\[])\^", inner):
            raise TooHardError(value)
    return automaton(op, value, fold, alphabet)


def _scoped(regex: str) -> str:
    """A flag in the middle as a group around what it holds for, which Python reads too; only where it is plain how far that is."""
    before, flag, after = regex.partition("(?i)")
    plain = flag and before and not re.search(r"[(|]", before) and "|" not in after
    return f"{before}(?i:{after})" if plain else regex


class _Union:
    """All automata as one, with numbered states."""

    def __init__(self, machines: Sequence[Automaton]) -> None:
        self.alphabet = machines[0].alphabet
        self.moves: list[list[tuple[frozenset[str], int]]] = []
        self.free: list[list[int]] = []
        self.ends: dict[int, int] = {}
        self.begins: list[int] = []
        for number, machine in enumerate(machines):
            base = len(self.moves)
            self.begins.append(base)
            self.ends[base + machine.last] = number
            self.moves += [[(signs, base + to) for signs, to in moves] for moves in machine.moves]
            self.free += [[base + to for to in free] for free in machine.free]
        self._closures: dict[int, frozenset[int]] = {}

    def closed(self, states: frozenset[int]) -> frozenset[int]:
        """These and what is reached without a sign."""
        reached: set[int] = set()
        for state in states:
            known = self._closures.get(state)
            if known is None:
                seen, stack = {state}, [state]
                while stack:
                    for to in self.free[stack.pop()]:
                        if to not in seen:
                            seen.add(to)
                            stack.append(to)
                known = self._closures[state] = frozenset(seen)
            reached |= known
        return frozenset(reached)

    def steps(self, states: frozenset[int]) -> Iterator[tuple[str, frozenset[int]]]:
        """Next sets of states, each with one sign that leads there."""
        always: set[int] = set()
        by_sign: dict[str, set[int]] = {}
        for state in states:
            for signs, to in self.moves[state]:
                if len(signs) == len(self.alphabet):
                    always.add(to)
                else:
                    for sign in signs:
                        by_sign.setdefault(sign, set()).add(to)
        chosen: dict[frozenset[int], str] = {}
        if always:
            other = next(
                (s for s in (*_PREFERRED, *sorted(self.alphabet)) if s not in by_sign and s in self.alphabet), None
            )
            if other is not None:
                chosen[frozenset(always)] = other
        for sign in sorted(by_sign, key=lambda s: (s not in _PREFERRED, s)):
            chosen.setdefault(frozenset(by_sign[sign] | always), sign)
        for targets, sign in chosen.items():
            yield sign, targets


def cells(
    machines: Sequence[Automaton], accepts: Callable[[str], bool], *, within: int | None = None
) -> Iterator[tuple[frozenset[int], str]]:
    """Each combination of automata that accepts some text, with the shortest such text that is wanted.

    Args:
        machines: over one alphabet.
        accepts: whether a text may be given as an example.
        within: the number of one that must accept; the others are told apart only where it does.

    Raises:
        TooHardError: there are too many states, or a combination of which no wanted text was found.
    """
    if not machines:
        return
    union = _Union(machines)
    begin = union.closed(frozenset(union.begins))
    queue: deque[tuple[frozenset[int], str]] = deque([(begin, "")])
    seen = {begin}
    told: set[frozenset[int]] = set()
    unwanted: set[frozenset[int]] = set()
    alive = None if within is None else _reaching(union, next(s for s, n in union.ends.items() if n == within))
    while queue:
        states, text = queue.popleft()
        vector = frozenset(union.ends[s] for s in states if s in union.ends)
        if (within is None or within in vector) and vector not in told:
            if accepts(text):
                told.add(vector)
                unwanted.discard(vector)
                yield vector, text
            else:
                unwanted.add(vector)
        for sign, targets in union.steps(states):
            after = union.closed(targets)
            if after in seen or (alive is not None and alive.isdisjoint(after)):
                continue
            seen.add(after)
            if len(seen) > STATES:
                raise TooHardError("too many combinations")
            queue.append((after, text + sign))
    if unwanted - {frozenset()}:
        raise TooHardError("a combination without an example")


def _reaching(union: _Union, end: int) -> set[int]:
    """States from which the end can be reached."""
    back: dict[int, list[int]] = {}
    for state, moves in enumerate(union.moves):
        for signs, to in moves:
            if signs:
                back.setdefault(to, []).append(state)
    for state, free in enumerate(union.free):
        for to in free:
            back.setdefault(to, []).append(state)
    states, stack = {end}, [end]
    while stack:
        for state in back.get(stack.pop(), ()):
            if state not in states:
                states.add(state)
                stack.append(state)
    return states
