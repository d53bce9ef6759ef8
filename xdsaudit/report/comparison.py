"""A comparison as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsaudit.model.plain import Plain
from xdsaudit.report.json import as_json
from xdsaudit.report.terminal import Page, many, paragraph

if TYPE_CHECKING:
    from xdsaudit.audit.compare.comparison import Answer, Comparison
    from xdsaudit.model.verdict import Rule

SCHEMA = "xdsaudit.comparison/1"


def comparison_text(comparison: Comparison, *, width: int = 80, color: bool = False) -> str:
    """Each kind of request with what answers it before and after, then what else differs, and whether that is all."""
    page = Page(width, color=color)
    for change in comparison.changed:
        paragraph(page, str(change.request), "bold")
        paragraph(page, f"before: {change.before}", indent=2, hang=8)
        paragraph(page, f"after:  {change.after}", indent=2, hang=8)
        if change.fields:
            paragraph(page, f"what differs: {', '.join(change.fields)}", indent=2, hang=4)
    for host, old, new in comparison.certificates:
        paragraph(page, f"certificate of {host}: {old} before, {new} after", hang=2)
    for rule, slug in comparison.refused:
        paragraph(page, f"refused afterwards: {rule} ({slug})", "magenta", hang=2)
    for rule, slug in comparison.cured:
        paragraph(page, f"no longer refused: {rule} ({slug})", "green", hang=2)
    for note in comparison.notes:
        paragraph(page, f"note: {note}", "dim", hang=2)
    for doubt in comparison.doubts:
        paragraph(page, f"not proven: {doubt}", "cyan", hang=2)
    count = many(len(comparison.changed), "kind") + " of requests"
    if comparison.same:
        last = "nothing changes for clients" if comparison.proven else "no change was found"
    else:
        last = f"{count} answered differently" + (", and nothing else changes" if comparison.proven else "")
    paragraph(page, f"{last}{'' if comparison.proven else '; whether anything else changes is not proven'}", "bold")
    return page.text()


def comparison_json(comparison: Comparison) -> str:
    """The same as one object."""
    return as_json(
        {
            "schema": SCHEMA,
            "proven": comparison.proven,
            "changed": [
                {
                    "request": str(c.request),
                    "before": _answer(c.before),
                    "after": _answer(c.after),
                    "fields": list(c.fields),
                }
                for c in comparison.changed
            ],
            "certificates": [{"host": h, "before": old, "after": new} for h, old, new in comparison.certificates],
            "refused": [{**_rule(rule), "slug": slug} for rule, slug in comparison.refused],
            "cured": [{**_rule(rule), "slug": slug} for rule, slug in comparison.cured],
            "notes": list(comparison.notes),
            "doubts": list(comparison.doubts),
        }
    )


def _answer(answer: Answer) -> dict[str, Plain]:
    return {"rule": _rule(answer.rule) if answer.rule else None, "route": answer.route or None, "does": answer.does}


def _rule(rule: Rule) -> dict[str, Plain]:
    return rule._asdict()
