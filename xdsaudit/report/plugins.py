"""Plugins in reports: as plain data, and as a section of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from xdsaudit.audit.groups import ORDER
from xdsaudit.audit.sayings import Labels, folded
from xdsaudit.model.plain import Plain
from xdsaudit.model.plugin_verdict import MatchVerdict, PluginVerdict, plugin_said
from xdsaudit.model.verdict import FAILING, IN_EFFECT, Audit, Verdict
from xdsaudit.report.terminal import STYLE, Page, many, paragraph

QUIET: Final = IN_EFFECT | {Verdict.NOT_SELECTED}
"""Verdicts that need no action."""
_SHOWN: Final = 6


def plugin_object(plugin: PluginVerdict) -> dict[str, Plain]:
    """A plugin and its verdict as plain data (docs/reference/json.md, ``plugins``)."""
    return {
        "namespace": plugin.namespace,
        "name": plugin.name,
        **_common(plugin),
        "last_seen": plugin.last_seen,
        "first_missing": plugin.first_missing,
        "by": plugin.by,
        "replicas": [
            {
                "view": r.view,
                "replica": r.replica,
                "verdict": r.verdict.value,
                "stage": r.stage.value if r.stage else None,
            }
            for r in plugin.replicas
        ],
        "rules": [
            {
                "number": r.number,
                "ingress": list(r.ingress),
                "service": list(r.service),
                "domain": list(r.domain),
                **_common(r),
                "by": r.by,
            }
            for r in plugin.rules
        ],
    }


def _common(verdict: PluginVerdict | MatchVerdict) -> dict[str, Plain]:
    return {
        "verdict": verdict.verdict.value,
        "stage": verdict.stage.value if verdict.stage else None,
        "code": verdict.code,
        "slug": verdict.slug,
        "fields": [d._asdict() for d in verdict.fields],
        "evidence": list(verdict.evidence),
        "remedy": verdict.remedy,
    }


def troubled(audit: Audit) -> list[PluginVerdict]:
    """Plugins with problems, worst first; also those in sync with a match rule that is not."""
    bad = [p for p in audit.plugins if p.verdicts - QUIET]
    return sorted(bad, key=lambda p: (_rank(p.verdict), p.ref))


def _rank(verdict: Verdict) -> int:
    return ORDER.index(verdict) if verdict in ORDER else len(ORDER)


def own_rules(plugin: PluginVerdict) -> list[MatchVerdict]:
    """Match rules with a problem that their plugin's verdict does not already report."""
    return [r for r in plugin.rules if r.verdict not in QUIET and (r.verdict, r.slug) != (plugin.verdict, plugin.slug)]


def counted(audit: Audit) -> str:
    """Plugins by verdict: ``3 plugins: 2 in sync, 1 lost``; those not selected are not counted."""
    mine = [p for p in audit.plugins if p.verdict is not Verdict.NOT_SELECTED]
    counts = Counter(p.verdict for p in mine)
    parts = [f"{counts[v]:,} {v.value.replace('_', ' ')}" for v in Verdict if counts[v]]
    return f"{many(len(mine), 'plugin')}: {', '.join(parts) or 'none for this controller'}"


def section(page: Page, audit: Audit, *, wide: bool) -> None:
    """The plugins with problems (in a wide report all), and one line for the others."""
    if not audit.plugins:
        return
    shown = list(audit.plugins) if wide else troubled(audit)
    bad = any(p.verdicts & FAILING for p in audit.plugins)
    page.print()
    paragraph(page, f"PLUGINS: {counted(audit)}", "bold red" if bad else STYLE[Verdict.IN_SYNC])
    proofs: tuple[str, ...] = ()
    labels = Labels.of(audit.views)
    for plugin in shown:
        paragraph(page, f"{plugin.ref}  {plugin_said(plugin)}", STYLE.get(plugin.verdict, ""), indent=4, hang=2)
        if plugin.by is not None:
            paragraph(page, f"by {plugin.by}", "dim", indent=6, hang=2)
        for line in plugin.evidence if wide else folded(labels, plugin.evidence):
            paragraph(page, f"- {line}", indent=6, hang=2)
        for line in _rule_lines(plugin, wide):
            paragraph(page, line, indent=6, hang=2)
        if plugin.remedy and proofs != (plugin.remedy,) and plugin.verdict not in QUIET:
            paragraph(page, f"remedy: {plugin.remedy}", indent=6, hang=8)
        proofs = (plugin.remedy or "",)


def plugin_text(plugin: PluginVerdict, *, width: int = 80, color: bool = False) -> str:
    """One plugin and its match rules, followed through the views, for people."""
    page = Page(width, color=color)
    paragraph(page, f"WasmPlugin {plugin.ref}: {plugin_said(plugin)}", STYLE.get(plugin.verdict, "dim"), hang=4)
    if plugin.by is not None:
        paragraph(page, f"by {plugin.by}", indent=2, hang=2)
    for line in plugin.evidence:
        paragraph(page, f"- {line}", "dim", indent=2, hang=2)
    if not plugin.evidence:
        for one in plugin.replicas:
            paragraph(page, f"- {one.view} {one.replica or ''}".rstrip() + " has it", "dim", indent=2, hang=2)
    if plugin.remedy:
        paragraph(page, f"remedy: {plugin.remedy}", indent=2, hang=8)
    for rule in plugin.rules:
        page.print()
        paragraph(page, f"{rule.said}: {plugin_said(rule)}", STYLE.get(rule.verdict, "dim"), hang=4)
        for line in rule.evidence:
            paragraph(page, f"- {line}", "dim", indent=2, hang=2)
        if rule.remedy and rule.code != plugin.code:
            paragraph(page, f"remedy: {rule.remedy}", indent=2, hang=8)
    return page.text()


def _rule_lines(plugin: PluginVerdict, wide: bool) -> Iterator[str]:
    rules = list(plugin.rules) if wide else own_rules(plugin)
    for rule in rules if wide else rules[:_SHOWN]:
        yield f"{rule.said}: {plugin_said(rule)}{''.join(f'; {line}' for line in rule.evidence)}"
    if len(rules) > _SHOWN and not wide:
        yield f"... and {len(rules) - _SHOWN} more (-o wide shows all)"
