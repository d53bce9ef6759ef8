"""Audits as text, one format a module. Must not print nor decide."""

from xdsaudit.model.verdict import Audit
from xdsaudit.report.json import to_json
from xdsaudit.report.table import to_table


def render(audit: Audit, form: str, *, width: int = 80, color: bool = False) -> str:
    """An audit in one of the formats ``table``, ``wide`` and ``json``."""
    if form == "json":
        return to_json(audit)
    return to_table(audit, width=width, color=color, wide=form == "wide")


FORMATS = ("table", "wide", "json")

__all__ = ["FORMATS", "render", "to_json", "to_table"]
