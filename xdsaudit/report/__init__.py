"""Audits as text, one format per module. Must neither print nor decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xdsaudit.model.verdict import Audit

_WRITERS: Final[Mapping[str, str]] = {
    "table": "table:to_table",
    "wide": "table:to_table",
    "json": "json:to_json",
    "jsonl": "lines:to_jsonl",
    "junit": "lines:to_junit",
    "sarif": "lines:to_sarif",
    "github": "lines:to_github",
    "gitlab": "pipelines:to_gitlab",
    "markdown": "pipelines:to_markdown",
    "html": "html:to_html",
    "prom": "prom:to_prom",
}
"""Module and function of each format, imported on first use."""
FORMATS: Final = tuple(_WRITERS)


def render(audit: Audit, form: str, *, width: int = 80, color: bool = False) -> str:
    """An audit in one of ``FORMATS``; width and colour apply to ``table`` and ``wide`` only.

    Raises:
        ValueError: the form is not one of them.
    """
    if form not in FORMATS:
        raise ValueError(f"{form!r} is not a format; the formats are {', '.join(FORMATS)}")
    if form in ("table", "wide"):
        from xdsaudit.report.table import to_table

        return to_table(audit, width=width, color=color, wide=form == "wide")
    module, _, name = _WRITERS[form].partition(":")
    writer: Callable[[Audit], str] = getattr(import_module(f"xdsaudit.report.{module}"), name)
    return writer(audit)


__all__ = ["FORMATS", "render"]
