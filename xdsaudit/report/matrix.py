"""Rules by replicas where replicas of one view disagree."""

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
    """Rules on which replicas of one view differ."""
    rules = []
    for rule in audit.of(Verdict.LOST, Verdict.CHANGED, Verdict.PENDING):
        seen: dict[ViewName, set[Verdict]] = {}
        for replica in rule.replicas:
            if replica.verdict is not Verdict.UNKNOWN:
                seen.setdefault(replica.view, set()).add(replica.verdict)
        if any(len(verdicts) > 1 for verdicts in seen.values()):
            rules.append(rule)
    return tuple(rules)


class Column(NamedTuple):
    """Replicas of one view that agree on every rule."""

    view: ViewName
    replicas: tuple[str, ...]
    cells: tuple[str, ...]


def columns(rules: Sequence[RuleVerdict]) -> tuple[Column, ...]:
    """The replicas, with those that agree on every rule as one; a cell per rule: ``.`` has it, L lost, C changed, ? not read."""
    cells: dict[tuple[ViewName, str], dict[int, str]] = {}
    for number, rule in enumerate(rules):
        for one in rule.replicas:
            cells.setdefault((one.view, one.replica or ""), {})[number] = _CELL.get(one.verdict, "?")
    alike: dict[tuple[ViewName, tuple[str, ...]], list[str]] = {}
    for (view, replica), column in cells.items():
        alike.setdefault((view, tuple(column.get(n, "?") for n in range(len(rules)))), []).append(replica)
    return tuple(Column(view, tuple(names), column) for (view, column), names in alike.items())


def matrix(page: Page, audit: Audit, *, wide: bool) -> None:
    """A line per rule and a column per group of replicas, unless the causes already say it all."""
    rules = divergent(audit)
    every = columns(rules)
    if not rules or (not wide and len({c.cells for c in every}) < 3):
        return  # the cause lists who has the rule and who does not
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
