"""Keep auditing: changes since the last round, each reported once, and how long each stage took.

A verdict counts when two consecutive rounds agree on it, since views are read one after another while everything moves. Before a
rule is called lost, everything is read completely, including a new private cache line of pilot: once per loss, not every round.
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
"""Verdicts for which a recorder keeps the views: most of them heal with the next push and leave no trace."""
Key = tuple[Rule, int]
"""A rule and its number among equals: an Ingress may write the same rule twice."""


class RoundReader(Protocol):
    """Reads live sources for a watch (``xdsaudit.collect.rounds.LiveReader``)."""

    def round(self) -> Snapshot:
        """Read what one round judges."""

    def full(self, *, probe: bool) -> Snapshot:
        """Read every view completely; with ``probe`` also a new private cache line of pilot."""


class Transition(NamedTuple):
    """A changed verdict of a rule; ``before`` is None if the rule is new, ``after`` is None if it is gone."""

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
        """The seconds that this share of the last thousand did not exceed; None before the first."""
        if not self.recent:
            return None
        ordered = sorted(self.recent)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self.count += 1
        self.total += seconds
        self.recent.append(seconds)
        for bound in BUCKETS:
            if seconds <= bound:
                self.buckets[bound] += 1


@dataclass
class _State:
    """What is kept about one rule between rounds: only a few words, so that memory stays flat."""

    reported: RuleVerdict | None = None
    candidate: Verdict | None = None
    since: float = 0.0
    there: frozenset[str] = frozenset()


class Watcher:
    """The state of one watch.

    Attributes:
        audit: the last round's, with losses as the full read judged them.
        latency: by stage, from the round that first saw a rule in the API to the one that first saw it there: ``core`` (once a core was
            read), ``pilot`` and ``gateway``.
        rounds: number of rounds.
        wholes: number of full reads.
        counted: transitions by verdict.
        plugins: changes of WasmPlugins in the last round.
        seen: the views of the last round, complete if it read everything; None unless they are kept.
        good: the views of the last round without a new problem.
    """

    def __init__(self, reader: RoundReader, clock: Callable[[], float], *, keep: bool = False) -> None:
        """Watch through this reader.

        Args:
            reader: reads each round.
            clock: seconds, for latencies.
            keep: keep the views of the last round, and of the last good one, for a recorder.
        """
        self._keep = keep
        self.seen: Snapshot | None = None
        self.good: Snapshot | None = None
        self._reader, self._clock = reader, clock
        self._memory = Memory()
        self._states: dict[Key, _State] = {}
        self.audit: Audit | None = None
        self.latency: dict[str, Latency] = {"pilot": Latency(), "gateway": Latency()}
        self.rounds: int = 0
        self.wholes: int = 0
        self.counted: Counter[str] = Counter()
        self._plugins = PluginWatch()
        self._core = CoreSight()
        self.plugins: tuple[PluginTransition, ...] = ()

    def round(self) -> tuple[Transition, ...]:
        """Read and judge once; returns the confirmed changes."""
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
            whole = dict(_keyed(audit(seen, memory=self._memory)))
            for key in suspects:
                verdicts[key] = whole.get(key, verdicts[key])
        if self._keep:
            self.seen = seen
            if not any(self._worse(key, verdict) for key, verdict in verdicts.items()):
                self.good = seen
        at = result.captured_at or ""
        changes = [t for key, verdict in verdicts.items() if (t := self._judge(key, verdict, at, now)) is not None]
        for key, verdict in verdicts.items():
            self._time(self._states[key], verdict, now, core)
        for key in [k for k in self._states if k not in verdicts] if not result.gaps else ():
            gone = self._states.pop(key).reported
            if gone is not None:
                changes.append(Transition(at, key[0], gone.verdict, None))
        self.plugins = self._plugins.round(result, first=first)
        self.audit = _with(result, self._states)
        self.counted.update(t.after.verdict.value if t.after else "gone" for t in changes)
        return tuple(changes)

    def _suspect(self, key: Key, verdict: RuleVerdict) -> bool:
        """Whether a rule is bad for the second round and has not been reported as such."""
        state = self._states.get(key)
        if verdict.verdict not in _BAD or state is None or state.candidate is not verdict.verdict:
            return False
        return state.reported is None or state.reported.verdict is not verdict.verdict

    def _worse(self, key: Key, verdict: RuleVerdict) -> bool:
        """Whether a rule has a verdict to record that has not been reported."""
        reported = self._states[key].reported if key in self._states else None
        return verdict.verdict in RECORDED and (reported is None or reported.verdict is not verdict.verdict)

    def _judge(self, key: Key, verdict: RuleVerdict, at: str, now: float) -> Transition | None:
        first = self.rounds == 1
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(since=now)
            if first and verdict.verdict in IN_EFFECT:
                state.reported = verdict  # that all was well when the watch began is not news
        before = state.reported.verdict if state.reported is not None else None
        if verdict.verdict is before:
            state.candidate = None
            return None
        if state.candidate is not verdict.verdict:
            state.candidate = verdict.verdict
            return None
        state.reported, state.candidate = verdict, None
        return Transition(at, key[0], before, verdict)

    def _time(self, state: _State, verdict: RuleVerdict, now: float, core: Collection[Rule] | None) -> None:
        """Time the stages a rule reaches for the first time; a rule older than the watch has no start to count from."""
        if self.rounds == 1:
            state.there = frozenset(STAGES)
        if len(state.there) < len(STAGES):
            for stage in reached(verdict, core) - state.there:
                state.there |= {stage}
                self.latency[stage].observe(max(now - state.since, 0.0))


def _keyed(result: Audit) -> Iterator[tuple[Key, RuleVerdict]]:
    seen: Counter[Rule] = Counter()
    for verdict in result.rules:
        yield (verdict.rule, seen[verdict.rule]), verdict
        seen[verdict.rule] += 1


def _with(result: Audit, states: dict[Key, _State]) -> Audit:
    """The audit with the reported verdicts, which know stages that a cheap round does not."""
    rules = []
    for key, verdict in _keyed(result):
        reported = states[key].reported if key in states else None
        rules.append(reported if reported is not None and reported.verdict is verdict.verdict else verdict)
    return replace(result, rules=tuple(rules))
