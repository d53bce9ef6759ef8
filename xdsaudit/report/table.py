"""The table for people: what is wrong first, with stage, reason, proof and remedy; what is in sync in one line a host group.

It fits 80 columns. Names come from strangers: control and direction characters are shown as escapes, never sent on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Final

from xdsaudit.model.verdict import Audit, RuleVerdict, Severity, Verdict
from xdsaudit.model.view import State
from xdsaudit.report.matrix import matrix
from xdsaudit.report.plugins import section
from xdsaudit.report.terminal import ORDER, STYLE, many, name_of, paper, say

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN: Final = 12


def to_table(audit: Audit, *, width: int = 80, color: bool = False, wide: bool = False) -> str:
    """The report as text.

    Args:
        audit: what to show.
        width: columns to fit.
        color: whether to write colours.
        wide: show every rule and every line of evidence, those in sync and not selected too.
    """
    console, finish = paper(width, color=color)
    _head(console, audit)
    for verdict in ORDER:
        _section(console, verdict, audit.of(verdict), wide)
    _extras(console, audit, wide)
    _findings(console, audit)
    section(console, audit, wide=wide)
    matrix(console, audit, wide=wide)
    _in_sync(console, audit, wide)
    if wide and audit.not_selected:
        say(console, "not selected", "dim")
        for each in audit.not_selected:
            say(console, f"  {name_of(each)}", "dim")
    _totals(console, audit)
    return finish()


def _head(console: Console, audit: Audit) -> None:
    controller = audit.controller
    name = str(controller.get("kind") or "higress").capitalize()
    version = controller.get("version")
    say(
        console,
        f"{name} {version or '(version not known)'}, captured {audit.captured_at or 'at an unknown time'}",
        "bold",
    )
    for info in audit.views:
        label = f"{info.name.value} {info.replica or ''}".strip()
        if info.state in (State.UNREAD, State.PARTIAL):
            say(console, f"  {label}: {info.state.value}: {info.why}", "yellow", hang=4)
        elif info.state is State.NOT_ASKED:
            say(console, f"  {label}: not asked", "dim")
        else:
            counted = audit.counts.get((info.name.value, info.replica))
            said = many(len(audit.rules), "rule")
            if counted:
                said = f"{many(counted['routes'], 'route')} on {many(counted['hosts'], 'host')}"
            say(console, f"  {label}: {said}", "dim")
    for note in audit.notes:
        say(console, f"  {note}", "dim", hang=4)


def _section(console: Console, verdict: Verdict, rules: tuple[RuleVerdict, ...], wide: bool) -> None:
    if not rules:
        return
    style = STYLE[verdict]
    console.print()
    say(console, f"{verdict.value.upper().replace('_', ' ')}: {many(len(rules), 'rule')}", style)

    def alike(rule: RuleVerdict) -> tuple[str, str]:
        return rule.code or "", rule.stage.value if rule.stage else ""

    for (code, stage), group in groupby(sorted(rules, key=alike), key=alike):
        listed = list(group)
        slug = f"{code} {listed[0].slug}" if code else ""
        where = f"stage {stage}" if stage else ""
        say(console, " - ".join(x for x in (where, slug) if x) or verdict.value, "bold", indent=2)
        shown = listed if wide else listed[:_SHOWN]
        proofs: tuple[str, ...] = ()
        for rule in shown:
            say(console, name_of(rule), indent=4, hang=2)
            if rule.by is not None:
                say(console, f"by {rule.by}", "dim", indent=6, hang=2)
            lines = (
                rule.evidence
                if wide or verdict in (Verdict.LOST, Verdict.CHANGED) or len(listed) <= 3
                else rule.evidence[:1]
            )
            if lines == proofs or (verdict is Verdict.REFUSED and not wide):
                continue
            proofs = lines
            for line in lines:
                say(console, f"- {line}", "dim", indent=6, hang=2)
        if len(listed) > len(shown):
            say(console, f"... and {len(listed) - len(shown)} more (-o wide shows all)", "dim", indent=4)
        if listed[0].remedy:
            say(console, f"remedy: {listed[0].remedy}", indent=4, hang=8)


def _extras(console: Console, audit: Audit, wide: bool) -> None:
    if not audit.extra:
        return
    console.print()
    say(console, f"EXTRA: {many(len(audit.extra), 'route')} that no Ingress explains", "bold red")
    shown = audit.extra if wide else audit.extra[:_SHOWN]
    for e in shown:
        place = f"{e.view} {e.replica or ''}".strip()
        say(console, f"{e.route or '(no name)'}  {e.host}:{e.port} {e.match}  in {place}", indent=4, hang=2)
    if len(audit.extra) > len(shown):
        say(console, f"... and {len(audit.extra) - len(shown)} more (-o wide shows all)", "dim", indent=4)


def _findings(console: Console, audit: Audit) -> None:
    for finding in audit.findings:
        console.print()
        style = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}.get(finding.severity, "dim")
        say(console, f"{finding.severity.value.upper()}: {finding.code} {finding.slug}", style)
        say(console, f"{finding.at}: {finding.message}" if finding.at else finding.message, indent=2, hang=2)
        for line in finding.evidence:
            say(console, f"- {line}", "dim", indent=4, hang=2)
        if finding.remedy:
            say(console, f"remedy: {finding.remedy}", indent=2, hang=8)


def _in_sync(console: Console, audit: Audit, wide: bool) -> None:
    rules = audit.of(Verdict.IN_SYNC)
    if not rules:
        return
    console.print()
    say(console, f"IN SYNC: {many(len(rules), 'rule')}", STYLE[Verdict.IN_SYNC])
    if wide:
        for rule in rules:
            say(console, name_of(rule), indent=4, hang=2)
        return
    for line in _runs(rules):
        say(console, line, "dim", indent=4, hang=2)


def _runs(rules: Iterable[RuleVerdict]) -> Iterator[str]:
    """Namespaces with the number of their rules and hosts: long runs of healthy rules in a line each."""

    def space(rule: RuleVerdict) -> str:
        return rule.rule.namespace

    for namespace, group in groupby(sorted(rules, key=space), key=space):
        listed = list(group)
        hosts = sorted({r.rule.host for r in listed})
        on = hosts[0] if len(hosts) == 1 else many(len(hosts), "host")
        yield f"{namespace}: {many(len(listed), 'rule')} on {on}"


def _totals(console: Console, audit: Audit) -> None:
    console.print()
    if not audit.rules and audit.counts == {}:
        errors = sum(f.severity is Severity.ERROR for f in audit.findings)
        total = (
            f"{many(len(audit.findings), 'finding')}, {many(errors, 'error')}" if audit.findings else "nothing to say"
        )
        say(console, total, "bold")
        return
    counted = [f"{n:,} {v.replace('_', ' ')}" for v, n in audit.by_verdict.items() if n]
    if audit.extra:
        counted.append(f"{len(audit.extra)} extra")
    if not audit.conclusive:
        counted.append("inconclusive")
    say(console, f"{many(len(audit.rules), 'rule')}: {', '.join(counted) or 'nothing to audit'}", "bold")
