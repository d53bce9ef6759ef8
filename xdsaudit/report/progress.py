"""The progress of a wait, and how long its rules took, in one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from xdsaudit.audit.causes.auditor import UNREADABLE
from xdsaudit.model.verdict import IN_EFFECT, Audit, RuleVerdict, Stage, Verdict
from xdsaudit.report.terminal import many, printable

_CLOCKS: Final = {
    "object": "from their own objects' times, which are whole seconds",
    "seen": "from when they were first seen there",
}
_VIEWS: Final = {"pilot_fresh": "pilot", "gateway": "the gateways", "ingress": "the API"}


def standing(result: Audit) -> str:
    """How far a batch is: ``3 of 5 rules in effect; 2 not yet in the gateways``."""
    rules = (*result.rules, *result.not_selected)
    if not rules and not result.plugins:
        return "none of its rules are in the API yet"
    ready = sum(r.verdict in IN_EFFECT for r in rules)
    texts = [f"{ready} of {many(len(rules), 'rule')} in effect"] if rules else []
    if result.plugins:
        good = sum(p.verdicts <= IN_EFFECT for p in result.plugins)
        texts.append(f"{good} of {many(len(result.plugins), 'plugin')}")
    waiting: Counter[str] = Counter()
    for rule in rules:
        if rule.verdict not in IN_EFFECT:
            waiting[_where(rule.verdict, rule.stage, rule.first_missing, rule.slug)] += 1
    for plugin in result.plugins:
        if plugin.verdicts - IN_EFFECT:
            waiting[_where(plugin.verdict, plugin.stage, plugin.first_missing, plugin.slug)] += 1
    return "; ".join((", ".join(texts), *(f"{count:,} {where}" for where, count in waiting.items())))


def _where(verdict: Verdict, stage: Stage | None, first_missing: str | None, slug: str | None) -> str:
    """What holds a rule up, to follow its count."""
    if stage is Stage.APPLY:
        return "not in the API as the manifest asks"
    if verdict is Verdict.UNKNOWN:
        return "not judged, since a view could not be read" if slug == UNREADABLE.slug else f"not judged ({slug})"
    if first_missing is not None:
        word = "different in" if verdict is Verdict.CHANGED else "not yet in"
        return f"{word} {_VIEWS.get(first_missing, first_missing)}"
    return f"{verdict.value.replace('_', ' ')}{f' ({slug})' if slug else ''}"


def grid(result: Audit, width: int, shown: int = 10) -> list[str]:
    """One line per rule that is not yet in effect, by stage: ``shop/cart shop.test/  API yes  pilot 1/1  gateway 2/3``.

    Args:
        result: a round's audit of the batch.
        width: maximum length of a line.
        shown: maximum number of rules.
    """
    waiting = [r for r in (*result.rules, *result.not_selected) if r.verdict not in IN_EFFECT]
    rows = [(printable(str(rule.rule)), _cells(rule)) for rule in waiting[:shown]]
    room = max(width - max((len(cells) for _, cells in rows), default=0) - 4, 8)
    longest = min(max((len(name) for name, _ in rows), default=0), room)
    lines = [
        f"  {name if len(name) <= room else f'...{name[-(room - 3) :]}':<{longest}}  {cells}" for name, cells in rows
    ]
    if len(waiting) > shown:
        lines.append(f"  and {len(waiting) - shown:,} more")
    return [line[:width].rstrip() for line in lines]


def _cells(rule: RuleVerdict) -> str:
    has: dict[str, list[bool]] = {}
    for one in rule.replicas:
        has.setdefault(one.view.removesuffix("_fresh"), []).append(one.verdict is Verdict.IN_SYNC)
    cells = [f"API {'no' if rule.stage is Stage.APPLY else 'yes'}"]
    cells += [f"{stage} {sum(has[stage])}/{len(has[stage])}" for stage in ("pilot", "gateway") if stage in has]
    return "  ".join(cells)


def latency_said(latency: Mapping[str, Sequence[float]], clocks: Mapping[str, int]) -> str:
    """How long rules took from the API to each stage, and how that was measured; empty if no round saw any arrive.

    Args:
        latency: seconds by stage, shortest first.
        clocks: how many rules are timed from what (``object``, ``seen``).
    """
    if not latency:
        return ""
    texts = [] if "core" in latency else ["core at an unknown time"]
    for stage, times in latency.items():
        half, most = (times[min(int(share * len(times)), len(times) - 1)] for share in (0.5, 0.95))
        texts.append(f"{_VIEWS.get(stage, stage)} in {half:.1f} s (half) and {most:.1f} s (95 %)")
    counted = " or ".join(_CLOCKS[clock] for clock in _CLOCKS if clocks.get(clock))
    rules = many(len(max(latency.values(), key=len)), "rule")
    return f"from the API, {rules} reached {', '.join(texts)}, measured {counted}"
