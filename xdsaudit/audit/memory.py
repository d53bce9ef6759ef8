"""What one audit leaves for the next, and one replica for the others: decoded tables, the expectation, equal pairs.

Only speed and size depend on it: with and without it an audit says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

from xdsaudit.audit.compare.align import Comparer
from xdsaudit.ingress.expectation import RuleIndex, RulePlan
from xdsaudit.ingress.listing import ReadBefore
from xdsaudit.ingress.parts import Kept
from xdsaudit.model.assemble import RouteConfiguration
from xdsaudit.model.verdict import RuleVerdict

if TYPE_CHECKING:
    from xdsaudit.audit.unchanged import Held

T = TypeVar("T")


class Aging(Generic[T]):
    """What was made of bytes, by the bytes; it forgets what was not asked for between two turns."""

    def __init__(self) -> None:
        """Start empty."""
        self._now: dict[bytes, tuple[bytes, T]] = {}
        self._old: dict[bytes, tuple[bytes, T]] = {}

    def turn(self) -> None:
        """Begin a new round: what is not asked for until the next one is forgotten."""
        self._now, self._old = {}, self._now

    def entry(self, key: bytes) -> tuple[bytes, T] | None:
        """The bytes as they are held, and what was made of them, kept for another round."""
        known = self._now.get(key)
        if known is None and (known := self._old.get(key)) is not None:
            self._now[known[0]] = known
        return known

    def put(self, key: bytes, value: T) -> tuple[bytes, T]:
        """Remember what was made of some bytes; returns both."""
        entry = self._now[key] = key, value
        return entry

    def keep(self, entries: Mapping[bytes, tuple[bytes, T]]) -> None:
        """Keep these for another round."""
        self._now.update(entries)

    def __len__(self) -> int:
        return len(self._now)


class Asked(Generic[T]):
    """A part of what is remembered, and which of it one reader asked for: what was made of it keeps it."""

    def __init__(self, of: Aging[T] | None) -> None:
        """Ask this; None remembers nothing."""
        self._of = of
        self._entries: dict[bytes, tuple[bytes, T]] = {}  # in the one copy that all readers share

    def get(self, key: bytes) -> T | None:
        """The value, kept for another round."""
        known = self._of.entry(key) if self._of is not None else None
        if known is None:
            return None
        self._entries[known[0]] = known
        return known[1]

    def __setitem__(self, key: bytes, value: T) -> None:
        """Remember."""
        if self._of is not None:
            self._entries[key] = self._of.put(key, value)

    def again(self) -> None:
        """Keep for another round whatever was asked for."""
        if self._of is not None:
            self._of.keep(self._entries)


class Made:
    """What was made last under a name, and of what: it is made again only of something else."""

    def __init__(self) -> None:
        """Start empty."""
        self._now: dict[object, tuple[tuple[object, ...], object]] = {}
        self._old: dict[object, tuple[tuple[object, ...], object]] = {}

    def turn(self) -> None:
        """Begin a new round: what is not asked for until the next one is forgotten."""
        self._now, self._old = {}, self._now

    def last(self, name: object) -> tuple[tuple[object, ...], object] | None:
        """What was made in the round before under a name, behind what it was made of."""
        return self._old.get(name)

    def of(self, name: object, parts: tuple[object, ...], make: Callable[[], T]) -> T:
        """What ``make`` makes, or made last time of equal parts; an exception of it is not kept."""
        known = self._old.get(name)
        made = cast("T", known[1]) if known is not None and known[0] == parts else make()
        self._now[name] = (parts, made)
        return made


class One:
    """A part that is compared as an object: what is equal to it need not be it.

    Attributes:
        value: the object.
    """

    def __init__(self, value: object) -> None:
        """Hold it, since an id is a name only while its object lives."""
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, One) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class Verdicts(NamedTuple):
    """What was said of the rules of one Ingress, by whether the controller takes it."""

    plans: Mapping[RuleIndex, RulePlan]
    rules: tuple[RuleVerdict, ...]
    others: tuple[RuleVerdict, ...]


@dataclass
class Memory:
    """Give the same one to successive audits of one gateway; a fresh one is made for an audit without.

    Attributes:
        lasting: whether there is a next audit; a single one remembers tables only where replicas may share them.
        core: objects of cores by the bytes of their MCP resource.
        pilot: name and virtual hosts of pilots' route configurations by their bytes.
        gateway: name and virtual hosts of gateways' route configurations by their bytes.
        comparer: pairs that were found equal.
        ingresses: Ingresses by the bytes they were read from.
        translated: what one translation leaves for the next.
        made: views, and what was said of them, by what they were made of.
        alive: lists of expected routes of which none is dead, by their ids.
        verdicts: what all verdicts of the last audit depend on, and those of each Ingress by the id of its plans.
        held: the last audit.
    """

    lasting: bool = True
    core: Aging[tuple[str, object]] = field(default_factory=Aging)
    pilot: Aging[RouteConfiguration] = field(default_factory=Aging)
    gateway: Aging[RouteConfiguration] = field(default_factory=Aging)
    comparer: Comparer = field(default_factory=Comparer)
    ingresses: ReadBefore = field(default_factory=ReadBefore)
    translated: Kept = field(default_factory=Kept)
    made: Made = field(default_factory=Made)
    alive: dict[int, object] = field(default_factory=dict)
    verdicts: tuple[tuple[object, ...], Mapping[int, Verdicts]] = field(default_factory=lambda: ((), {}))
    held: Held | None = None

    def turn(self) -> None:
        """Begin an audit."""
        self.made.turn()
        self.core.turn()
        self.pilot.turn()
        self.gateway.turn()
        self.comparer.turn()
