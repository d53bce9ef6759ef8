"""The status of gateways and pilots as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsaudit.audit.questions.status import ReplicaStatus
from xdsaudit.report.terminal import many, paper, printable, say


def status_text(rows: Sequence[ReplicaStatus], *, width: int = 80, color: bool = False) -> str:
    """One line per replica, with what is wrong under it."""
    console, finish = paper(width, color=color)
    label = max((len(printable(_label(r))) for r in rows), default=0)
    for row in rows:
        good, text = _line(row)
        say(console, f"{_label(row):<{label}}  {text}", "green" if good else "bold red", hang=label + 2)
        if row.why:
            say(console, row.why, "dim", indent=4)
        if row.warming:
            shown = ", ".join(row.warming[:4]) + (f" and {len(row.warming) - 4} more" if len(row.warming) > 4 else "")
            say(console, f"warming: {shown}", "yellow", indent=4, hang=2)
    if not rows:
        say(console, "neither core, pilot nor a gateway was asked for")
    return finish()


def _label(row: ReplicaStatus) -> str:
    return f"{row.view} {row.replica or ''}".strip()


def _line(row: ReplicaStatus) -> tuple[bool, str]:
    if row.state == "unread":
        return False, "could not be read"
    parts = [f"{row.state}, {many(row.routes, 'route')}"]
    if row.version:
        parts.append(f"Envoy {row.version}")
    if row.connected is not None:
        parts.append("connected" if row.connected else "NOT CONNECTED")
    if row.view == "gateway" and row.attached:
        parts.append(f"on {', '.join(row.attached)}")
    elif row.attached:
        parts.append(f"serves {many(len(row.attached), 'gateway')}")
    if row.since:
        parts.append(f"newest table {row.since}")
    if row.rejecting:
        parts.append("REJECTS what it is served")
    elif row.rejected:
        parts.append("has rejected before")
    parts.append(f"{many(row.differs, 'rule')} missing or changed" if row.differs else "all rules")
    return not row.differs and row.connected is not False and not row.rejecting and row.state == "read", ", ".join(
        parts
    )


def status_object(rows: Sequence[ReplicaStatus]) -> list[dict[str, Any]]:
    """The rows as plain data."""
    return [row._asdict() for row in rows]
