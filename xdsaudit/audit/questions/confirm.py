"""Two looks at what changes meanwhile: only what both say counts, and what moves is pending."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from xdsaudit.model.verdict import Audit, Rule, RuleVerdict, Verdict

_ALARMS: Final = frozenset({Verdict.LOST, Verdict.CHANGED, Verdict.NO_UPSTREAM})


def alarming(audit: Audit) -> bool:
    """Whether an audit says something that a change between its reads could have made: views are not read at one instant."""
    return bool(audit.extra) or any(rule.verdict in _ALARMS for rule in audit.rules)


def confirmed(first: Audit, second: Audit) -> Audit:
    """The second look, with what the first did not say: such a rule is pending, and such a route is not extra.

    A rule that was young, or whose Ingress was gone, between two reads of one look is not so in both.
    """
    said: Counter[tuple[Rule, Verdict]] = Counter((r.rule, r.verdict) for r in first.rules)
    before = {r.rule: r for r in reversed(first.rules)}
    rules = []
    for each in second.rules:
        held = each.verdict not in _ALARMS or said[each.rule, each.verdict] > 0
        if held:
            said[each.rule, each.verdict] -= 1  # an Ingress may say the same rule twice
        rules.append(each if held else _moving(each, before.get(each.rule)))
    known = {e._replace(replica=None) for e in first.extra}
    extra = tuple(e for e in second.extra if e._replace(replica=None) in known)
    if tuple(rules) == second.rules and extra == second.extra:
        return second
    return replace(second, rules=tuple(rules), extra=extra)


def _moving(rule: RuleVerdict, before: RuleVerdict | None) -> RuleVerdict:
    said = before.said if before is not None else "not there"
    moving = f"it moves: the first of two looks found it {said}, the second {rule.said}; look again"
    return rule._replace(verdict=Verdict.PENDING, evidence=(moving, *rule.evidence), remedy=None, fix=())
