"""The status of cores, pilots and gateways as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from xdsaudit.audit.questions.status import ReplicaStatus
from xdsaudit.audit.sayings import listed
from xdsaudit.model.plain import Plain
from xdsaudit.report.ages import age
from xdsaudit.report.terminal import Page, many, paragraph, printable

_COLUMNS: Final = ("connected", "routes", "version", "table", "NACK", "warming", "missing")
_NAME: Final = 16
"""Minimum width of the name column."""


def status_text(rows: Sequence[ReplicaStatus], *, now: str | None = None, width: int = 80, color: bool = False) -> str:
    """A row per replica; below, longer explanations and who is connected to whom.

    Args:
        rows: the replicas, in pipeline order.
        now: when they were read (RFC 3339), for ages.
        width: columns to fit.
        color: whether to write colours.
    """
    page = Page(width, color=color)
    if not rows:
        paragraph(page, "no core, pilot or gateway was asked for")
        return page.text()
    cells: list[Sequence[str]] = [_cells(row, now) for row in rows]
    filled = [n for n in range(len(_COLUMNS)) if any(line[n] for line in cells)]
    heads, cells = [_COLUMNS[n] for n in filled], [[line[n] for n in filled] for line in cells]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    room = max(width - sum(w + 2 for w in widths), _NAME)
    name = min(max(len(_name(row)) for row in rows) + 2, room)
    _row(page, name, "", heads, widths, "bold")
    numbered = list(zip(rows, cells, strict=True))
    for view, group in groupby(numbered, key=lambda pair: pair[0].view):
        paragraph(page, view, "bold")
        for row, line in group:
            _row(page, name, _name(row), line, widths, "green" if _good(row) else "bold red")
    page.print()
    for text in _below(rows):
        paragraph(page, text, hang=2)
    return page.text()


def _name(row: ReplicaStatus) -> str:
    return printable(f"  {row.replica or row.view}")


def _row(page: Page, room: int, name: str, cells: Sequence[str], widths: Sequence[int], style: str) -> None:
    # Pod names differ at the end.
    shown = name if len(name) <= room else f"  ...{name[-(room - 5) :]}"
    text = f"{shown:<{room}}  " + "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
    page.print(text, style)


def _cells(row: ReplicaStatus, now: str | None) -> tuple[str, ...]:
    if row.state == "unread":
        return ("unread", *("?" for _ in _COLUMNS[1:]))
    gateway = row.view == "gateway"
    connected = {True: "yes", False: "NO", None: "?" if gateway else ""}[row.connected]
    if not gateway and row.attached:
        connected = f"{len(row.attached)} gw"
    return (
        connected,
        f"{row.routes:,}",
        printable(row.version.partition("-")[0]),
        age(row.since, now) or ("?" if gateway else ""),
        ("NOW" if row.rejecting else "before" if row.rejected else "-") if gateway else "",
        str(len(row.warming)) if row.warming else "-" if gateway else "",
        f"{row.differs:,}" if row.differs else "-",
    )


def _good(row: ReplicaStatus) -> bool:
    return not row.differs and row.connected is not False and not row.rejecting and row.state == "read"


def _below(rows: Sequence[ReplicaStatus]) -> Iterator[str]:
    """What does not fit into a cell: why something was not read, what it waits for, who is connected to whom."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.why:
            reasons.setdefault(f"{row.state}: {row.why}", []).append(_label(row))
        if row.warming:
            shown = f"waits for {listed(row.warming, 4)}"
            reasons.setdefault(shown, []).append(_label(row))
        if row.rejecting:
            reasons.setdefault("rejects what it is served (xdsaudit diff names the culprit)", []).append(_label(row))
        if row.connected is False:
            reasons.setdefault("is not connected to a control plane", []).append(_label(row))
    for reason, who in reasons.items():
        yield (
            f"{listed(who)}: {reason}"
            if reason.startswith(("unread", "partial"))
            else f"{listed(who)} {_plural(reason, len(who))}"
        )
    for row in rows:
        if row.view == "pilot" and row.attached:
            yield f"connected to pilot {row.replica}: {listed(row.attached, 6)}"
    count = sum(_good(row) for row in rows)
    yield f"{many(len(rows), 'replica')}, {count:,} as they should be"


def _plural(reason: str, count: int) -> str:
    verb, _, rest = reason.partition(" ")
    return reason if count == 1 else f"{ {'waits': 'wait', 'rejects': 'reject', 'is': 'are'}[verb] } {rest}"


def _label(row: ReplicaStatus) -> str:
    return f"{row.view} {row.replica or ''}".strip()


def status_object(rows: Sequence[ReplicaStatus]) -> list[dict[str, Plain]]:
    """The rows as plain data."""
    return [row._asdict() for row in rows]
