"""When each rule of a batch reached each stage, as precisely as rounds allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from xdsaudit.audit.case import World
from xdsaudit.audit.questions.in_core import Cores, CoreSight
from xdsaudit.model.plain import Plain
from xdsaudit.model.snapshot import moment_of
from xdsaudit.model.verdict import IN_EFFECT, Audit, Rule, RuleVerdict, Verdict

STAGES: Final = ("core", "pilot", "gateway")
"""Stages in pipeline order; a rule in effect has passed pilot and gateway. Core is known only if it is read."""
_OLDEST_SECONDS: Final = 3600.0
"""An object older than this was not applied just now: its own time says nothing about this wait."""


def reached(verdict: RuleVerdict, core: Collection[Rule] | None) -> frozenset[str]:
    """The stages whose replicas all hold a rule.

    Args:
        verdict: the rule's.
        core: rules that every core serves, None if no core is read.
    """
    complete: dict[str, bool] = {}
    for replica in verdict.replicas:
        view = replica.view.removesuffix("_fresh")
        complete[view] = complete.get(view, True) and replica.verdict is Verdict.IN_SYNC
    fine = verdict.verdict in IN_EFFECT
    there = {stage for stage in ("pilot", "gateway") if fine or complete.get(stage, False)}
    return frozenset(there | ({"core"} if core is not None and verdict.rule in core else set()))


class Arrivals:
    """When rules were first seen: in the API, in every core, pilot and gateway.

    A rule's time starts when a round first sees it in the API. A rule already there in the first round started earlier: at its
    object's own time (creation or last change, in whole seconds of the API server's clock) if that is known and less than an hour
    ago, otherwise at the first round. A stage reached by the first round is not timed.
    """

    def __init__(self) -> None:
        """Nothing has been seen yet."""
        self._since: dict[Rule, float] = {}
        self._clock: dict[Rule, str] = {}
        self._there: dict[Rule, dict[str, float | None]] = {}
        self._core = CoreSight()
        self._begun = False

    def see(self, world: World, result: Audit, now: float, cores: Cores) -> None:
        """Record what a round shows at this time.

        Args:
            world: the views.
            result: the audit of the rules in question.
            now: seconds.
            cores: the cores' answers; empty if none is read.
        """
        core = self._core.see(world, cores)
        ages = _ages(world, result) if not self._begun else {}
        for verdict in result.rules:
            rule = verdict.rule
            if rule not in self._since:
                self._since[rule] = now - ages.get(rule, 0.0)
                self._clock[rule] = "object" if rule in ages else "seen"
            there = self._there.setdefault(rule, {})
            for stage in reached(verdict, core) - there.keys():
                there[stage] = now if self._begun else None
        self._begun = True

    def seconds(self) -> Mapping[str, tuple[float, ...]]:
        """Seconds from the API to each stage, one number for each rule seen to arrive, shortest first."""
        by_stage: dict[str, tuple[float, ...]] = {}
        for stage in STAGES:
            times = ((self._since[rule], there.get(stage)) for rule, there in self._there.items())
            taken = tuple(sorted(max(at - since, 0.0) for since, at in times if at is not None))
            if taken:
                by_stage[stage] = taken
        return by_stage

    def clocks(self) -> Mapping[str, int]:
        """How many of the timed rules count from their ``object``, and how many from when they were first ``seen``."""
        timed = (rule for rule, there in self._there.items() if any(at is not None for at in there.values()))
        return Counter(self._clock[rule] for rule in timed)


def _ages(world: World, result: Audit) -> dict[Rule, float]:
    """Seconds since each rule's object changed, if its time is known and recent."""
    captured = moment_of(result.captured_at)
    wanted = {r.rule for r in result.rules}
    ages: dict[Rule, float] = {}
    for plan in world.expectation.plans if captured is not None else ():
        changed = moment_of(plan.changed_at) if plan.rule in wanted else None
        if captured is not None and changed is not None:
            age = max((captured - changed).total_seconds(), 0.0)
            if age < _OLDEST_SECONDS:
                ages[plan.rule] = age
    return ages


def quantile(ordered: Sequence[float], share: float) -> float:
    """The number that this share of a sorted list does not exceed."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def summary(seconds: Mapping[str, Sequence[float]], clocks: Mapping[str, int]) -> Mapping[str, Plain]:
    """Latencies as an audit carries them: by stage the number of rules, median, 95th percentile and maximum; None if not timed."""
    by_stage: dict[str, Plain] = dict.fromkeys(STAGES)
    for stage, times in seconds.items():
        by_stage[stage] = {
            "rules": len(times),
            "p50": round(quantile(times, 0.5), 3),
            "p95": round(quantile(times, 0.95), 3),
            "max": round(times[-1], 3),
        }
    return {**by_stage, "from": {"object": clocks.get("object", 0), "seen": clocks.get("seen", 0)}}
