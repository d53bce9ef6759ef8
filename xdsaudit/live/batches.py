"""A roll-out: batches applied one after another, each once the one before is in effect, and the outcome of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from xdsaudit.live.arrivals import STAGES, summary
from xdsaudit.live.wait import Outcome
from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.verdict import Audit, Rule, RuleVerdict

T = TypeVar("T")


def nothing(why: str) -> Outcome:
    """The outcome of waiting for nothing."""
    return Outcome(0, Audit(None, {}, (), {}, ()), 0.0, 0, (), why)


def whole_outcome(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of a whole roll-out: how its last wait ended, with the rules of every batch as its own wait saw them."""
    audited = [o for o in outcomes if o.audit.views or o.audit.rules]
    if not audited:
        return outcomes[-1]
    last, base = outcomes[-1], audited[-1].audit
    seen: dict[object, RuleVerdict] = {}
    others: dict[object, RuleVerdict] = {}
    plugins: dict[str, PluginVerdict] = {}
    for outcome in audited:
        seen |= {(r.rule, n): r for n, r in _numbered(outcome.audit.rules)}
        others |= {(r.rule, n): r for n, r in _numbered(outcome.audit.not_selected)}
        plugins |= {p.ref: p for p in outcome.audit.plugins}
    whole = replace(
        base, rules=tuple(seen.values()), not_selected=tuple(others.values()), plugins=tuple(plugins.values())
    )
    latency = {
        stage: tuple(sorted(x for o in outcomes for x in o.latency.get(stage, ())))
        for stage in STAGES
        if any(stage in o.latency for o in outcomes)
    }
    clocks = sum((Counter(o.clocks) for o in outcomes), Counter[str]())
    return replace(
        last,
        audit=replace(whole, latency=summary(latency, clocks)),
        latency=latency,
        clocks=clocks,
        seconds=sum(o.seconds for o in outcomes),
        rounds=sum(o.rounds for o in outcomes),
    )


def _numbered(rules: Iterable[RuleVerdict]) -> Iterable[tuple[int, RuleVerdict]]:
    """Rules with their number among equals: an Ingress may write the same rule twice."""
    count: Counter[Rule] = Counter()
    for rule in rules:
        yield count[rule.rule], rule
        count[rule.rule] += 1


def rollout(
    batches: Sequence[T], apply: Callable[[T], object], waiting: Callable[[T], Outcome]
) -> tuple[tuple[T, Outcome], ...]:
    """Apply batch after batch, each only once the one before is in effect.

    Args:
        batches: what to apply, in order.
        apply: applies one; an exception ends the roll-out.
        waiting: waits for one.

    Returns:
        Each applied batch with its outcome; only the last may not be ok.
    """
    done: list[tuple[T, Outcome]] = []
    for batch in batches:
        apply(batch)
        outcome = waiting(batch)
        done.append((batch, outcome))
        if not outcome.ok:
            break
    return tuple(done)
