"""Rules by replicas, where replicas of one view disagree: who sees what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from xdsaudit.model.verdict import Audit, RuleVerdict, Verdict
from xdsaudit.report.terminal import many, printable, say

if TYPE_CHECKING:
    from rich.console import Console

_CELL: Final = {Verdict.IN_SYNC: ".", Verdict.LOST: "L", Verdict.CHANGED: "C", Verdict.UNKNOWN: "?"}
_SHOWN: Final = 12
Column = tuple[str, str]


def divergent(audit: Audit) -> tuple[RuleVerdict, ...]:
    """Rules that replicas of one view hold differently."""
    found = []
    for rule in audit.of(Verdict.LOST, Verdict.CHANGED, Verdict.PENDING):
        seen: dict[str, set[Verdict]] = {}
        for each in rule.replicas:
            if each.verdict is not Verdict.UNKNOWN:
                seen.setdefault(each.view, set()).add(each.verdict)
        if any(len(verdicts) > 1 for verdicts in seen.values()):
            found.append(rule)
    return tuple(found)


def matrix(console: Console, audit: Audit, *, wide: bool) -> None:
    """A line per rule and a column per replica: ``.`` has it, L lost, C changed, ? not read."""
    rules = divergent(audit)
    if not rules:
        return
    columns: list[Column] = [(r.view, r.replica or "") for r in rules[0].replicas]
    console.print()
    say(console, "REPLICAS DISAGREE: . has it, L lost, C changed, ? not read", "bold yellow")
    digits = len(str(len(columns)))
    for number, (view, replica) in enumerate(columns, 1):
        say(console, f"{number:>{digits}}  {view} {replica}".rstrip(), "dim", indent=4)
    shown = rules if wide else rules[:_SHOWN]
    room = max(console.width - 6 - len(columns) * (digits + 1), 20)
    header = " ".join(f"{n:>{digits}}" for n in range(1, len(columns) + 1))
    _row(console, "", header, room)
    for rule in shown:
        _row(console, str(rule.rule), _cells(rule, columns, digits), room)
    if len(rules) > len(shown):
        say(console, f"... and {many(len(rules) - len(shown), 'more rule')} (-o wide shows all)", "dim", indent=4)


def _cells(rule: RuleVerdict, columns: Sequence[Column], digits: int) -> str:
    held = {(r.view, r.replica or ""): r.verdict for r in rule.replicas}
    return " ".join(f"{_CELL.get(held.get(c, Verdict.UNKNOWN), '?'):>{digits}}" for c in columns)


def _row(console: Console, name: str, cells: str, room: int) -> None:
    text = printable(name)
    text = text if len(text) <= room else text[: room - 3] + "..."
    console.print(f"    {text:<{room}}  {cells}".rstrip(), soft_wrap=True)
