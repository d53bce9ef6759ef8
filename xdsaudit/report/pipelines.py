"""Reports for CI pipelines: GitLab code quality (a JSON list) and Markdown (a job summary or comment)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from xdsaudit.model.plain import Plain
from xdsaudit.model.verdict import Audit, Severity
from xdsaudit.report.head import left_out, unseen
from xdsaudit.report.json import as_json
from xdsaudit.report.lines import Entry, entries, fingerprints
from xdsaudit.report.terminal import many, printable

_GITLAB: Final = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}
_ROWS: Final = 200


def to_gitlab(audit: Audit) -> str:
    """Code quality: an object for everything that is not fine; the path is the Ingress's name if it did not come from a file."""
    reported, issues = list(entries(audit)), []
    for entry, mark in zip(reported, fingerprints(audit, reported), strict=True):
        text = printable(": ".join((entry.name, " ".join((entry.title, *entry.lines)))))
        at = entry.at
        row: dict[str, Plain] = {
            "type": "issue",
            "check_name": entry.code or "extra",
            "description": text,
            "severity": _GITLAB[entry.severity],
            "fingerprint": mark,
            "categories": ["Bug Risk"],
            "location": {
                "path": printable(at.file.replace("\\", "/") if at else entry.name),
                "lines": {"begin": at.line if at else 1},
            },
        }
        if entry.remedy:
            row["content"] = {"body": printable(entry.remedy)}
        issues.append(row)
    return as_json(issues)


def to_markdown(audit: Audit) -> str:
    """A summary: rules by verdict, then a row for everything that is not fine, worst first."""
    return "\n".join(_markdown(audit)) + "\n"


def _markdown(audit: Audit) -> Iterator[str]:
    sorted_entries = sorted(entries(audit), key=lambda e: list(Severity).index(e.severity))
    worst = Counter(e.severity for e in sorted_entries)
    good = not worst[Severity.ERROR] and audit.conclusive
    yield f"### xdsaudit: {'nothing is wrong' if good and not sorted_entries else _counted(worst)}"
    yield ""
    counted = [f"{count} {verdict.replace('_', ' ')}" for verdict, count in audit.by_verdict.items() if count]
    if counted:
        yield f"{many(len(audit.rules), 'rule')}: {', '.join(counted)}."
        yield ""
    for text in (*unseen(audit), *audit.notes):
        yield f"- {_cell(text)}"
    for option, count, codes in left_out(audit):
        yield f"- left out by {_cell(option)}: {count} ({_cell(codes)})"
    if not sorted_entries:
        return
    yield ""
    yield "| | code | what | where |"
    yield "| --- | --- | --- | --- |"
    for entry in sorted_entries[:_ROWS]:
        yield f"| {entry.severity.value} | {entry.code or ''} | {_what(entry)} | {_cell(str(entry.at or ''))} |"
    if len(sorted_entries) > _ROWS:
        yield ""
        yield f"and {len(sorted_entries) - _ROWS} more"
    remedies = dict.fromkeys((e.code, e.remedy) for e in sorted_entries if e.remedy)
    if remedies:
        yield ""
        yield "<details><summary>How to fix it</summary>"
        yield ""
        for code, remedy in remedies:
            yield f"- **{code or 'extra'}** {_cell(remedy or '')}"
        yield ""
        yield "</details>"


def _counted(worst: Counter[Severity]) -> str:
    nouns = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    parts = [many(worst[s], nouns[s]) for s in Severity if worst[s]]
    return ", ".join(parts) or "not everything could be read"


def _what(entry: Entry) -> str:
    lines = (f"**{_cell(entry.name)}**: {_cell(entry.title)}", *map(_cell, entry.lines))
    return "<br>".join(lines)


def _cell(text: str) -> str:
    """Text for one Markdown table cell, with markup escaped."""
    safe = printable(" ".join(text.split("\n")))
    for sign, instead in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ("|", "&#124;"),
        ("`", "&#96;"),
        ("*", "&#42;"),
        ("[", "&#91;"),
        ("_", "&#95;"),
    ):
        safe = safe.replace(sign, instead)
    return safe
