"""When each rule of a batch reached each stage, as far as rounds can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from xdsaudit.model.verdict import IN_EFFECT, Audit, Rule, Verdict

STAGES: Final = ("pilot", "gateway")
"""Stages in the order of the pipeline; a rule that is in effect has passed them all."""


class Arrivals:
    """First sights of rules: in the API, in every pilot, in every gateway."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._api: dict[Rule, float] = {}
        self._there: dict[str, dict[Rule, float]] = {stage: {} for stage in STAGES}

    def see(self, result: Audit, now: float) -> None:
        """Note what a round shows at this time."""
        for verdict in result.rules:
            rule = verdict.rule
            self._api.setdefault(rule, now)
            held: dict[str, bool] = {}
            for each in verdict.replicas:
                view = each.view.removesuffix("_fresh")
                held[view] = held.get(view, True) and each.verdict is Verdict.IN_SYNC
            fine = verdict.verdict in IN_EFFECT
            for stage in STAGES:
                if fine or held.get(stage, False):
                    self._there[stage].setdefault(rule, now)

    def seconds(self) -> Mapping[str, tuple[float, ...]]:
        """Seconds from the API to each stage, a number a rule, shortest first."""
        return {
            stage: tuple(sorted(at - self._api[rule] for rule, at in there.items()))
            for stage, there in self._there.items()
            if there
        }


def quantile(ordered: Sequence[float], share: float) -> float:
    """The number that this share of an ordered list does not exceed."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
