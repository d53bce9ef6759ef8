"""The table for people: problems first, with stage, reason, proof and remedy; what is in sync in one line per namespace.

It fits 80 columns. Names are user-controlled: control and direction characters are shown as escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from xdsaudit.audit.causes.auditor import UNREADABLE
from xdsaudit.audit.groups import Group, Told, causes
from xdsaudit.audit.sayings import listed
from xdsaudit.model.verdict import Audit, RuleVerdict, Severity, Verdict
from xdsaudit.report.head import head, left_out
from xdsaudit.report.matrix import matrix
from xdsaudit.report.plugins import section
from xdsaudit.report.terminal import STYLE, Page, commands, many, name_of, paragraph

_SHOWN: Final = 12


def to_table(audit: Audit, *, width: int = 80, color: bool = False, wide: bool = False) -> str:
    """The report as text.

    Args:
        audit: what to show.
        width: columns to fit.
        color: whether to write colours.
        wide: show every rule, also those in sync or not selected, and all evidence.
    """
    page = Page(width, color=color)
    grouped = causes(audit)
    head(page, audit)
    _groups(page, audit, grouped.groups, wide)
    _extras(page, audit, wide)
    section(page, audit, wide=wide)
    _findings(page, grouped.told)
    matrix(page, audit, wide=wide)
    _left_out(page, audit, wide)
    _in_sync(page, audit, wide)
    if audit.not_selected and (wide or not audit.rules):
        paragraph(page, "not selected", "dim")
        for verdict in audit.not_selected:
            paragraph(page, f"  {name_of(verdict)}", "dim")
    _totals(page, audit)
    return page.text()


def _groups(page: Page, audit: Audit, groups: Iterable[Group], wide: bool) -> None:
    for verdict, group in groupby(groups, key=lambda g: g.verdict):
        page.print()
        word = verdict.value.upper().replace("_", " ")
        paragraph(page, f"{word}: {many(len(audit.of(verdict)), 'rule')}", STYLE[verdict])
        for cause in group:
            _group(page, cause, wide)


def _group(page: Page, group: Group, wide: bool) -> None:
    """One cause: what it is, how far it reaches, the proof, the rules, the remedy."""
    slug = f"{group.code} {group.slug}" if group.code else ""
    where = f"stage {group.stage.value}" if group.stage else ""
    culprit = f"by {group.by}" if group.by is not None else ""
    title = " - ".join(x for x in (where, slug, culprit) if x) or group.verdict.value
    paragraph(page, title, "bold", indent=2, hang=2)
    single = len(group.rules) == 1
    reach = extent(group, wide=wide)
    paragraph(page, f"{name_of(group.rules[0])}{reach}" if single else reach, indent=4, hang=2)
    for text in group.lines:
        # The first lines of the report say why something could not be read.
        short = re.sub(r"( could not be read): .*", r"\1", text) if group.slug == UNREADABLE.slug else text
        paragraph(page, f"- {short}", indent=6 if single else 4, hang=2)
    if group.verdict is Verdict.UNKNOWN and not wide and len(group.parts) == 1 and len(group.rules) > 3:
        for line in _runs(group.rules):  # they share one reason, so their names add nothing
            paragraph(page, line, "dim", indent=6, hang=2)
        room = 0
    else:
        room = len(group.rules) if wide else _SHOWN
    shown_all = room == 0 or room >= len(group.rules)
    for part in group.parts:
        shown = part.rules[:room]
        for rule in () if single else shown:
            paragraph(page, name_of(rule), indent=6, hang=2)
        for line in part.lines if shown else ():
            paragraph(page, f"- {line}", indent=6 if single else 8, hang=2)
        room -= len(shown)
    if not shown_all:
        paragraph(page, f"... and {len(group.rules) - _SHOWN:,} more (-o wide shows all)", "dim", indent=6)
    if group.remedy:
        paragraph(page, f"remedy: {group.remedy}", indent=4, hang=8)
    commands(page, group.fix, 6, shown=len(group.fix) if wide else 1)


def extent(group: Group, *, wide: bool = False) -> str:
    """How far a cause reaches: ``7 rules on 6 hosts, 3 of 20 gateways: gw-1, gw-2, gw-3``."""
    rules = group.rules
    text = f"{many(len(rules), 'rule')} on {many(group.hosts, 'host')}" if len(rules) > 1 else ""
    for share in group.shares:
        if share.of < 2:
            continue
        name = share.view.replace("pilot_fresh", "private cache line")
        if len(share.replicas) == share.of:
            text += f", all {share.of} {name}s"
        else:
            names = ", ".join(share.replicas) if wide else listed(share.replicas)
            text += f", {len(share.replicas)} of {share.of} {name}s: {names}"
    return text


def _extras(page: Page, audit: Audit, wide: bool) -> None:
    if not audit.extra:
        return
    page.print()
    paragraph(page, f"EXTRA: {many(len(audit.extra), 'route')} that no Ingress explains", "bold red")
    shown = audit.extra if wide else audit.extra[:_SHOWN]
    for e in shown:
        place = f"{e.view} {e.replica or ''}".strip()
        paragraph(page, f"{e.route or '(no name)'}  {e.host}:{e.port} {e.match}  in {place}", indent=4, hang=2)
    if len(audit.extra) > len(shown):
        paragraph(page, f"... and {len(audit.extra) - len(shown)} more (-o wide shows all)", "dim", indent=4)


def _findings(page: Page, findings: Iterable[Told]) -> None:
    for finding, likewise in findings:
        page.print()
        style = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}.get(finding.severity, "dim")
        paragraph(page, f"{finding.severity.value.upper()}: {finding.code} {finding.slug}", style)
        text = f"{finding.at}: {finding.message}" if finding.at else finding.message
        paragraph(page, f"{text}; {likewise}" if likewise.replicas else text, indent=2, hang=2)
        for line in finding.evidence:
            paragraph(page, f"- {line}", indent=4, hang=2)
        if finding.remedy:
            paragraph(page, f"remedy: {finding.remedy}", indent=2, hang=8)
        commands(page, finding.fix, 4)


def _left_out(page: Page, audit: Audit, wide: bool) -> None:
    """What options hid, by name, so that nobody takes it for in sync."""
    what = [(hidden.option, line) for hidden in audit.left_out for line in hidden.what]
    if not what:
        return
    page.print()
    paragraph(page, f"LEFT OUT: {len(what):,}", "yellow")
    for by, line in what if wide else what[:_SHOWN]:
        paragraph(page, f"{line} ({by})", "dim", indent=4, hang=2)
    if len(what) > _SHOWN and not wide:
        paragraph(page, f"... and {len(what) - _SHOWN:,} more (-o wide shows all)", "dim", indent=4)


def _in_sync(page: Page, audit: Audit, wide: bool) -> None:
    rules = audit.of(Verdict.IN_SYNC)
    if not rules:
        return
    page.print()
    paragraph(page, f"IN SYNC: {many(len(rules), 'rule')}", STYLE[Verdict.IN_SYNC])
    if wide:
        for rule in rules:
            paragraph(page, name_of(rule), indent=4, hang=2)
        return
    for line in _runs(rules):
        paragraph(page, line, "dim", indent=4, hang=2)


def _runs(rules: Iterable[RuleVerdict]) -> Iterator[str]:
    """One line per namespace with the number of its rules and hosts."""

    def space(rule: RuleVerdict) -> str:
        return rule.rule.namespace

    for namespace, group in groupby(sorted(rules, key=space), key=space):
        same = list(group)
        hosts = sorted({r.rule.host for r in same})
        on = hosts[0] if len(hosts) == 1 else many(len(hosts), "host")
        yield f"{namespace}: {many(len(same), 'rule')} on {on}"


def _totals(page: Page, audit: Audit) -> None:
    page.print()
    if not audit.rules and audit.counts == {}:
        errors = sum(f.severity is Severity.ERROR for f in audit.findings)
        total = (
            f"{many(len(audit.findings), 'finding')}, {many(errors, 'error')}"
            if audit.findings
            else "nothing wrong was found"
        )
        paragraph(page, total, "bold")
        return
    counted = [f"{n:,} {v.replace('_', ' ')}" for v, n in audit.by_verdict.items() if n]
    if audit.extra:
        counted.append(f"{len(audit.extra)} extra")
    if not audit.conclusive:
        counted.append("inconclusive")
    counted += [f"{count:,} left out by {option}" for option, count, _ in left_out(audit)]
    paragraph(page, f"{many(len(audit.rules), 'rule')}: {', '.join(counted) or 'nothing to audit'}", "bold")
