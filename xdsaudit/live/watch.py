"""Keep auditing: what changed since the last round, told once, and how long each stage took.

A verdict counts when two rounds in a row give it, since views are read one after the other while everything moves. Before a rule is
called lost, everything is read whole once, pilot's served line and a new private line among it: once an episode, never every round.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

from xdsaudit.audit.memory import Memory
from xdsaudit.audit.questions.in_core import CoreSight
from xdsaudit.audit.verdicts import audit, judged
from xdsaudit.live.arrivals import STAGES, reached
from xdsaudit.live.plugin_watch import PluginTransition, PluginWatch
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import IN_EFFECT, Audit, Rule, RuleVerdict, Verdict

BUCKETS: Final = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_BAD: Final = frozenset({Verdict.LOST, Verdict.CHANGED})
RECORDED: Final = _BAD | {Verdict.NO_UPSTREAM}
"""Verdicts that a recorder keeps the views of: most of them heal by the next push and leave no trace."""
Key = tuple[Rule, int]
"""A rule and its number among equal ones: an Ingress may write the same rule twice."""


class RoundReader(Protocol):
    """What is read round after round (``xdsaudit.collect.rounds.LiveReader``)."""

    def round(self) -> Snapshot:
        """What one round judges."""

    def full(self, *, probe: bool) -> Snapshot:
        """Every view, whole; with ``probe`` a new private line of pilot among them."""


class Transition(NamedTuple):
    """A rule's verdict that changed; ``before`` is None for a rule that is new, ``after`` None for one that is gone."""

    at: str
    rule: Rule
    before: Verdict | None
    after: RuleVerdict | None


@dataclass
class Latency:
    """A histogram: seconds between a rule's appearance in the API and a stage, by upper bound."""

    buckets: Counter[float] = field(default_factory=Counter)
    count: int = 0
    total: float = 0.0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=1000))

    def quantile(self, share: float) -> float | None:
        """Seconds that this share of the last thousand took at most; None before the first."""
        if not self.recent:
            return None
        ordered = sorted(self.recent)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self.total += seconds
        self.recent.append(seconds)
        for bound in BUCKETS:
            if seconds <= bound:
                self.buckets[bound] += 1


@dataclass
class _Known:
    """What is held of one rule between rounds: no more than a few words, so that memory stays flat."""

    told: RuleVerdict | None = None
    candidate: Verdict | None = None
    since: float = 0.0
    there: frozenset[str] = frozenset()


class Watcher:
    """The state of one watch.

    Attributes:
        audit: the last round's, with verdicts of losses as the whole look gave them.
        latency: by stage, from when a round first saw a rule in the API to the round that first saw it there: ``core`` (once a core was
            read), ``pilot`` and ``gateway``.
        rounds: number of rounds.
        wholes: number of whole looks.
        counted: transitions by verdict.
        plugins: what changed of WasmPlugins in the last round.
        seen: the views of the last round, whole where it looked at them whole; None unless they are kept.
        good: those of the last round that showed nothing new that is bad.
    """

    def __init__(self, reader: RoundReader, clock: Callable[[], float], *, keep: bool = False) -> None:
        """Watch what this reader reads.

        Args:
            reader: of the rounds.
            clock: seconds, for latencies.
            keep: hold the views of the last round, and of the last good one, for a recorder.
        """
        self._keep = keep
        self.seen: Snapshot | None = None
        self.good: Snapshot | None = None
        self._reader, self._clock = reader, clock
        self._memory, self._whole_memory = Memory(), Memory()
        self._known: dict[Key, _Known] = {}
        self.audit: Audit | None = None
        self.latency: dict[str, Latency] = {"pilot": Latency(), "gateway": Latency()}
        self.rounds: int = 0
        self.wholes: int = 0
        self.counted: Counter[str] = Counter()
        self._plugins = PluginWatch()
        self._core = CoreSight()
        self.plugins: tuple[PluginTransition, ...] = ()

    def round(self) -> tuple[Transition, ...]:
        """Read and judge once; returns what changed for good."""
        first = self.rounds == 0
        self.rounds += 1
        seen = self._reader.round()
        cores, seen = seen.core, replace(seen, core={})
        world, result = judged(seen, memory=self._memory)
        core = self._core.see(world, cores)
        if core is not None and "core" not in self.latency:
            self.latency = {"core": Latency(), **self.latency}
        now = self._clock()
        verdicts = dict(_keyed(result))
        suspects = [key for key, verdict in verdicts.items() if self._suspect(key, verdict)]
        if suspects:
            self.wholes += 1
            seen = self._reader.full(probe=True)
            whole = dict(_keyed(audit(seen, memory=self._whole_memory)))
            for key in suspects:
                verdicts[key] = whole.get(key, verdicts[key])
        if self._keep:
            self.seen = seen
            if not any(self._worse(key, verdict) for key, verdict in verdicts.items()):
                self.good = seen
        at = result.captured_at or ""
        said = [t for key, verdict in verdicts.items() if (t := self._judge(key, verdict, at, now)) is not None]
        for key, verdict in verdicts.items():
            self._time(self._known[key], verdict, now, core)
        for key in [k for k in self._known if k not in verdicts] if not result.gaps else ():
            told = self._known.pop(key).told
            if told is not None:
                said.append(Transition(at, key[0], told.verdict, None))
        self.plugins = self._plugins.round(result, first=first)
        self.audit = _with(result, self._known)
        self.counted.update(t.after.verdict.value if t.after else "gone" for t in said)
        return tuple(said)

    def _suspect(self, key: Key, verdict: RuleVerdict) -> bool:
        """Whether a rule is bad for the second round and was not told so yet."""
        held = self._known.get(key)
        if verdict.verdict not in _BAD or held is None or held.candidate is not verdict.verdict:
            return False
        return held.told is None or held.told.verdict is not verdict.verdict

    def _worse(self, key: Key, verdict: RuleVerdict) -> bool:
        """Whether a rule is as a recorder wants to see it, and was not told to be so."""
        told = self._known[key].told if key in self._known else None
        return verdict.verdict in RECORDED and (told is None or told.verdict is not verdict.verdict)

    def _judge(self, key: Key, verdict: RuleVerdict, at: str, now: float) -> Transition | None:
        first = self.rounds == 1
        held = self._known.get(key)
        if held is None:
            held = self._known[key] = _Known(since=now)
            if first and verdict.verdict in IN_EFFECT:
                held.told = verdict  # nobody wants to be told that all was well when the watch began
        before = held.told.verdict if held.told is not None else None
        if verdict.verdict is before:
            held.candidate = None
            return None
        if held.candidate is not verdict.verdict:
            held.candidate = verdict.verdict
            return None
        held.told, held.candidate = verdict, None
        return Transition(at, key[0], before, verdict)

    def _time(self, held: _Known, verdict: RuleVerdict, now: float, core: Collection[Rule] | None) -> None:
        """Note which stages a rule reached for the first time; what was there before the watch has no beginning."""
        if self.rounds == 1:
            held.there = frozenset(STAGES)
        if len(held.there) < len(STAGES):
            for stage in reached(verdict, core) - held.there:
                held.there |= {stage}
                self.latency[stage].observe(max(now - held.since, 0.0))


def _keyed(result: Audit) -> Iterator[tuple[Key, RuleVerdict]]:
    seen: Counter[Rule] = Counter()
    for verdict in result.rules:
        yield (verdict.rule, seen[verdict.rule]), verdict
        seen[verdict.rule] += 1


def _with(result: Audit, known: dict[Key, _Known]) -> Audit:
    """The audit with the verdicts that were told, which know stages that a cheap round does not."""
    rules = []
    for key, verdict in _keyed(result):
        told = known[key].told if key in known else None
        rules.append(told if told is not None and told.verdict is verdict.verdict else verdict)
    return replace(result, rules=tuple(rules))
