"""Audits as text, one format a module. Must not print nor decide."""

from collections.abc import Callable

from xdsaudit.model.verdict import Audit

FORMATS = ("table", "wide", "json", "jsonl", "junit", "sarif", "github", "gitlab", "markdown", "html", "prom")


def render(audit: Audit, form: str, *, width: int = 80, color: bool = False) -> str:
    """An audit in one of ``FORMATS``; width and colour count for ``table`` and ``wide`` alone.

    Raises:
        ValueError: a form that is none of them.
    """
    if form in ("table", "wide"):
        from xdsaudit.report.table import to_table

        return to_table(audit, width=width, color=color, wide=form == "wide")
    if form not in FORMATS:
        raise ValueError(f"{form!r} is none of {', '.join(FORMATS)}")
    return _writer(form)(audit)


def _writer(form: str) -> Callable[[Audit], str]:
    if form == "json":
        from xdsaudit.report.json import to_json

        return to_json
    if form == "html":
        from xdsaudit.report.html import to_html

        return to_html
    if form == "prom":
        from xdsaudit.report.prom import to_prom

        return to_prom
    if form in ("gitlab", "markdown"):
        from xdsaudit.report import pipelines

        return pipelines.to_gitlab if form == "gitlab" else pipelines.to_markdown
    from xdsaudit.report import lines

    writers = {"jsonl": lines.to_jsonl, "junit": lines.to_junit, "sarif": lines.to_sarif, "github": lines.to_github}
    return writers[form]


__all__ = ["FORMATS", "render"]
