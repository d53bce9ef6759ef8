"""Rules by replicas, where replicas of one view disagree: who sees what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from xdsaudit.audit.sayings import listed
from xdsaudit.model.verdict import Audit, RuleVerdict, Verdict
from xdsaudit.model.view import ViewName
from xdsaudit.report.terminal import Page, many, paragraph, printable

_CELL: Final = {Verdict.IN_SYNC: ".", Verdict.LOST: "L", Verdict.CHANGED: "C", Verdict.UNKNOWN: "?"}
_SHOWN: Final = 12


def divergent(audit: Audit) -> tuple[RuleVerdict, ...]:
    """Rules that replicas of one view hold differently."""
    rules = []
    for rule in audit.of(Verdict.LOST, Verdict.CHANGED, Verdict.PENDING):
        seen: dict[ViewName, set[Verdict]] = {}
        for each in rule.replicas:
            if each.verdict is not Verdict.UNKNOWN:
                seen.setdefault(each.view, set()).add(each.verdict)
        if any(len(verdicts) > 1 for verdicts in seen.values()):
            rules.append(rule)
    return tuple(rules)


class Column(NamedTuple):
    """Replicas of one view of which each rule says the same."""

    view: ViewName
    replicas: tuple[str, ...]
    cells: tuple[str, ...]


def columns(rules: Sequence[RuleVerdict]) -> tuple[Column, ...]:
    """The replicas, those that are alike in every rule as one; a cell a rule: ``.`` has it, L lost, C changed, ? not read."""
    cells: dict[tuple[ViewName, str], dict[int, str]] = {}
    for number, rule in enumerate(rules):
        for each in rule.replicas:
            cells.setdefault((each.view, each.replica or ""), {})[number] = _CELL.get(each.verdict, "?")
    alike: dict[tuple[ViewName, tuple[str, ...]], list[str]] = {}
    for (view, replica), column in cells.items():
        alike.setdefault((view, tuple(column.get(n, "?") for n in range(len(rules)))), []).append(replica)
    return tuple(Column(view, tuple(names), held) for (view, held), names in alike.items())


def matrix(page: Page, audit: Audit, *, wide: bool) -> None:
    """A line per rule and a column per kind of replica, where more than one column of a view says so."""
    rules = divergent(audit)
    every = columns(rules)
    if not rules or (not wide and len({c.cells for c in every}) < 3):
        return  # who has it and who has not stands with the cause
    page.print()
    paragraph(page, "REPLICAS DISAGREE: . has it, L lost, C changed, ? not read", "bold yellow")
    digits = len(str(len(every)))
    for number, column in enumerate(every, 1):
        count = f" ({len(column.replicas)})" if len(column.replicas) > 1 else ""
        names = ", ".join(column.replicas) if wide else listed(column.replicas)
        paragraph(page, f"{number:>{digits}}  {column.view}{count} {names}".rstrip(), "dim", indent=4, hang=digits + 2)
    shown = rules if wide else rules[:_SHOWN]
    room = max(page.width - 6 - len(every) * (digits + 1), 20)
    _row(page, "", " ".join(f"{n:>{digits}}" for n in range(1, len(every) + 1)), room)
    for number, rule in enumerate(shown):
        _row(page, str(rule.rule), " ".join(f"{c.cells[number]:>{digits}}" for c in every), room)
    if len(rules) > len(shown):
        paragraph(page, f"... and {many(len(rules) - len(shown), 'more rule')} (-o wide shows all)", "dim", indent=4)


def _row(page: Page, name: str, cells: str, room: int) -> None:
    text = printable(name)
    text = text if len(text) <= room else text[: room - 3] + "..."
    page.print(f"    {text:<{room}}  {cells}".rstrip())
