"""One self-contained HTML page: the pipeline with what each stage holds back, lost rules first, filters, dark mode and print.

It loads nothing, needs JavaScript only for the filters, and shows user-controlled names as text only.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from xdsaudit.audit.causes.catalogue import CATALOGUE
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.groups import Group, causes
from xdsaudit.model.plugin_verdict import plugin_said
from xdsaudit.model.verdict import FAILING, Audit, RuleVerdict, Severity, Verdict
from xdsaudit.model.view import ViewInfo
from xdsaudit.report.ages import age
from xdsaudit.report.head import left_out, unseen
from xdsaudit.report.matrix import columns, divergent
from xdsaudit.report.pages import page
from xdsaudit.report.picture import pictures
from xdsaudit.report.plugins import counted
from xdsaudit.report.routes import side_by_side
from xdsaudit.report.table import extent
from xdsaudit.report.terminal import printable
from xdsaudit.report.tool import TOOL

TONES: Final = {
    "lost": "bad",
    "changed": "bad",
    "refused": "bad",
    "shadowed": "bad",
    "no_upstream": "bad",
    "pending": "warn",
    "unknown": "warn",
    "dormant": "dim",
    "in_sync": "good",
}
_WORDS: Final = {"no_upstream": "without upstream"}
_ROWS: Final = 200
"""Maximum number of rows in the matrix."""
_SEVERITIES: Final = {"error": "bad", "warning": "warn", "info": "dim"}


def to_html(audit: Audit) -> str:
    """The page."""
    replicas = sorted({r.replica for v in audit.rules for r in v.replicas if r.replica})
    title, tone = headline(audit)
    grouped = causes(audit)
    numbers = {id(r): i for i, r in enumerate(audit.rules)}
    return page(
        "page.html.j2",
        audit=audit,
        headline=title,
        tone=tone,
        controller=_controller(audit),
        pictures=pictures(audit),
        tool=TOOL,
        codes=_codes(audit),
        matrix=_matrix(audit),
        age=lambda info: age(audit.told.get((info.name, info.replica), {}).get("newest_table"), audit.captured_at),
        version=lambda info: audit.told.get((info.name, info.replica), {}).get("version", ""),
        totals=[(name, n) for name, n in audit.by_verdict.items() if n],
        tones=TONES,
        severities=_SEVERITIES,
        namespaces=sorted({r.rule.namespace for r in audit.rules}),
        replicas=replicas,
        sections=_sections(grouped.groups),
        told=grouped.told,
        extent=extent,
        side_by_side=lambda group: side_by_side(group.rules[0]),
        unseen=unseen(audit),
        left_out=tuple(left_out(audit)),
        fine=_by_namespace(audit),
        plugins=audit.plugins,
        plugins_bad=any(p.verdicts & FAILING for p in audit.plugins),
        plugins_counted=counted(audit),
        said=plugin_said,
        show=lambda value: printable(str(value)),
        bad_replicas=_bad_replicas,
        number=lambda rule: numbers[id(rule)],
        holds=lambda info: _holds(audit, info),
    )


def _sections(groups: Iterable[Group]) -> list[tuple[str, list[Group]]]:
    return [(verdict.value, list(same)) for verdict, same in groupby(groups, key=lambda g: g.verdict)]


def headline(audit: Audit) -> tuple[str, str]:
    """The overall state in one line, and its tone."""
    by = audit.by_verdict
    wrong = sum(n for name, n in by.items() if TONES[name] == "bad")
    errors = sum(f.severity is Severity.ERROR for f in audit.findings)
    if by["lost"]:
        others = [
            f"{n:,} {_WORDS.get(name, name)}" for name, n in by.items() if n and name != "lost" and TONES[name] == "bad"
        ]
        return ", ".join((f"{by['lost']:,} of {len(audit.rules):,} rules lost", *others)), "bad"
    if wrong or audit.extra or errors:
        return f"{wrong:,} of {len(audit.rules):,} rules not in effect", "bad"
    plugins = sum(bool(p.verdicts & FAILING) for p in audit.plugins)
    if plugins:
        return f"{len(audit.rules):,} rules in effect, {plugins:,} of {len(audit.plugins):,} plugins not", "bad"
    if not audit.conclusive:
        return f"{by['in_sync']:,} of {len(audit.rules):,} rules in sync, but not everything was read", "warn"
    return f"{len(audit.rules):,} rules in sync", "good"


def _controller(audit: Audit) -> str:
    name = str(audit.controller.get("kind") or "higress").capitalize()
    return printable(f"{name} {audit.controller.get('version') or '(unknown version)'}")


def _matrix(audit: Audit) -> dict[str, object] | None:
    """Rules by groups of replicas, if replicas of a view disagree."""
    rules = divergent(audit)
    if not rules:
        return None
    return {"columns": columns(rules), "rules": rules[:_ROWS], "more": max(len(rules) - _ROWS, 0)}


def _codes(audit: Audit) -> list[Cause]:
    """The causes whose codes appear on the page."""
    used = {r.code for r in audit.rules} | {f.code for f in audit.findings} | {p.code for p in audit.plugins}
    used |= {r.code for p in audit.plugins for r in p.rules if r.code}
    return [row for row in CATALOGUE if row.code in used]


def _by_namespace(audit: Audit) -> list[tuple[str, list[RuleVerdict]]]:
    def space(rule: RuleVerdict) -> str:
        return rule.rule.namespace

    return [(name, list(rules)) for name, rules in groupby(sorted(audit.of(Verdict.IN_SYNC), key=space), key=space)]


def _bad_replicas(rule: RuleVerdict) -> str:
    return " ".join(r.replica for r in rule.replicas if r.replica and r.verdict is not Verdict.IN_SYNC)


def _holds(audit: Audit, info: ViewInfo) -> str:
    counts = audit.counts.get((info.name, info.replica))
    return f"{counts['routes']:,} routes on {counts['hosts']:,} hosts" if counts else ""
