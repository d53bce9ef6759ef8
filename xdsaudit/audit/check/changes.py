"""What a batch changes for clients: which requests are answered otherwise, and live rules that do something else because of it."""

from __future__ import annotations

from collections.abc import Iterator

from xdsaudit.audit.causes import written
from xdsaudit.audit.check.case import Case, Remark
from xdsaudit.audit.compare.comparison import Comparison, of_expectations
from xdsaudit.model.verdict import Rule

_SHOWN = 10


def changes(case: Case) -> Comparison | None:
    """The batch held against what is live; None where that was not read."""
    return of_expectations(case.before, case.after, case.live, case.objects) if case.live is not None else None


def changed_rules(comparison: Comparison, case: Case) -> Iterator[Remark]:
    """Live rules, not of the batch, that go on to answer and do so differently."""
    told: set[Rule] = set()
    for each in comparison.changed:
        rule = each.before.rule
        if rule is None or rule != each.after.rule or rule.ref in case.refs or rule in told:
            continue
        told.add(rule)
        what = ", ".join(each.fields) or f"{each.before.does} before, {each.after.does} after"
        yield Remark(
            written.LIVE_RULE_CHANGED,
            rule,
            f"the batch changes what {rule}, which is live, does: {what}; for example {each.request}",
        )


def notes(comparison: Comparison) -> Iterator[str]:
    """A summary for people, with examples."""
    if comparison.same and comparison.proven:
        yield "the batch changes nothing for clients"
        return
    count = len(comparison.changed)
    rest = ", and nothing else" if comparison.proven else "; whether anything else changes is not proved"
    yield f"the batch changes the answer to {count} kind{'s' * (count != 1)} of requests{rest}"
    yield from (str(each) for each in comparison.changed[:_SHOWN])
    if count > _SHOWN:
        yield f"and {count - _SHOWN} more: xdsaudit compare -f shows them all"
    yield from comparison.notes
