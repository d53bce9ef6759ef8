"""Explanations of requests and Ingresses as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from xdsaudit.audit.plugins.acting import PluginAction
from xdsaudit.audit.questions.explain import Explanation, Journey, ReplicaAnswer
from xdsaudit.audit.requests.access_log import LogSummary
from xdsaudit.model.plain import Plain
from xdsaudit.model.verdict import RuleVerdict, Verdict
from xdsaudit.report.json import rule_object
from xdsaudit.report.routes import side_by_side
from xdsaudit.report.terminal import STYLE, Page, commands, many, name_of, paragraph

_SHOWN = 8
CONTRADICTION: Final = (
    "The log says that no route answered, but the tables that were read have one. Either it has recovered since, another replica wrote the "
    "line, or the request lacked a header that the log does not show."
)
"""Printed where a log and the tables disagree."""


def explanation_text(explanation: Explanation, *, width: int = 80, color: bool = False) -> str:
    """What happens to one request, for people."""
    page = Page(width, color=color)
    paragraph(page, str(explanation.request), "bold")
    _answers(page, explanation.answers)
    if not explanation.serving:
        what = "what answers it now" if explanation.answers else "what answers it"
        paragraph(page, f"no pilot or gateway was read, so {what} is unknown", "cyan", indent=2)
    _plugins(page, explanation.plugins)
    page.print()
    _candidates(page, explanation)
    return page.text()


def _plugins(page: Page, actions: Sequence[PluginAction]) -> None:
    """The plugins applied to the request, in order, once for replicas that agree."""
    by_replica: dict[tuple[str, str | None], list[tuple[str, str, bool | None]]] = {}
    for action in actions:
        keys = f", with {', '.join(action.keys[:_SHOWN])}" if action.keys else ""
        row = (action.plugin, f"{action.said}{keys}", action.acts)
        by_replica.setdefault((action.view, action.replica), []).append(row)
    alike: dict[tuple[tuple[str, str, bool | None], ...], list[str]] = {}
    for (view, replica), rows in by_replica.items():
        alike.setdefault(tuple(rows), []).append(f"{view} {replica or ''}".strip())
    for lines, names in alike.items():
        page.print()
        paragraph(page, f"Plugins applied, in order, in {', '.join(names[:_SHOWN])}:", "bold")
        for number, (plugin, text, acts) in enumerate(lines, 1):
            style = "bold red" if text.endswith("500") else "" if acts else "dim"
            paragraph(page, f"{number}. {plugin} {text}", style, indent=2, hang=3)


def _answers(page: Page, answers: Sequence[ReplicaAnswer]) -> None:
    """One paragraph for all replicas that agree."""

    def alike(a: ReplicaAnswer) -> tuple[str, ...]:
        return a.view, str(a.rule), str(a.route), a.goes_to, a.why, a.origin, *a.does

    for _, group in groupby(sorted(answers, key=alike), key=alike):
        answering = list(group)
        first = answering[0]
        who = first.view.replace("pilot_fresh", "pilot, private cache line,")
        names = [a.replica for a in answering if a.replica]
        label = f"{who} {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}".rstrip()
        if first.route is None:
            paragraph(page, f"{label}: no route answers", "bold red", indent=2, hang=2)
        else:
            paragraph(page, f"{label}: {first.route}", "green", indent=2, hang=2)
            owner = f"of {first.rule or first.origin}, " if first.rule or first.origin else ""
            paragraph(page, f"{owner}to {first.goes_to}", indent=4, hang=2)
            for line in first.does:
                paragraph(page, line, indent=4, hang=2)
        if first.why:
            paragraph(page, first.why, "dim", indent=4, hang=2)


def _candidates(page: Page, explanation: Explanation) -> None:
    if not explanation.candidates:
        hint = f" Did you mean {' or '.join(explanation.meant)}?" if explanation.meant else ""
        paragraph(page, f"No Ingress that was read has a rule for this request.{hint}")
        paragraph(
            page,
            "Check host and path: a host must match exactly or by a wildcard rule, a path of type Prefix by whole segments.",
            "dim",
        )
        return
    paragraph(page, "Ingress rules for this request:", "bold")
    for candidate in explanation.candidates[:_SHOWN]:
        verdict = candidate.verdict
        paragraph(page, f"{name_of(verdict)}: {candidate.why}", STYLE.get(verdict.verdict, ""), indent=2, hang=2)
        if verdict.verdict is Verdict.IN_SYNC:
            continue
        if verdict.by is not None:
            paragraph(page, f"by {verdict.by}", "dim", indent=4, hang=2)
        for line in verdict.evidence:
            paragraph(page, f"- {line}", indent=4, hang=2)
        if verdict.remedy:
            paragraph(page, f"remedy: {verdict.remedy}", indent=4, hang=8)
        commands(page, verdict.fix, 6)
        _closer(page, verdict, 4)
    if len(explanation.candidates) > _SHOWN:
        paragraph(page, f"... and {len(explanation.candidates) - _SHOWN} more", "dim", indent=2)


def _closer(page: Page, verdict: RuleVerdict, indent: int) -> None:
    """How to look at the routes themselves, if a view lacks or changes them."""
    if verdict.verdict in (Verdict.LOST, Verdict.CHANGED):
        command = f"xdsaudit routes {verdict.rule.ref} --compare {side_by_side(verdict)}"
        paragraph(page, f"compare its routes in both views: {command}", "dim", indent=indent, hang=2)


def explanation_object(explanation: Explanation) -> dict[str, Plain]:
    """What happens to one request, as plain data."""
    request = explanation.request
    return {
        "request": {
            "secure": request.secure,
            "port": request.port,
            "host": request.host,
            "path": request.path,
            "method": request.method,
            "headers": {name: ", ".join(values) for name, values in request.headers.items()},
            "query": dict(request.query),
            "server_name": request.server_name or None,
        },
        "expected": explanation.expected._asdict() if explanation.expected else None,
        "answers": [{**a._asdict(), "rule": a.rule._asdict() if a.rule else None} for a in explanation.answers],
        "plugins": [{**p._asdict(), "keys": list(p.keys)} for p in explanation.plugins],
        "candidates": [{"why": c.why, "rule": rule_object(c.verdict)} for c in explanation.candidates],
        "meant": list(explanation.meant),
    }


def journeys_text(ref: str, journeys: Sequence[Journey], *, width: int = 80, color: bool = False) -> str:
    """The journeys of an Ingress's rules, for people."""
    page = Page(width, color=color)
    paragraph(page, f"{ref}: {many(len(journeys), 'rule')}", "bold")
    for line in journeys[0].asides if journeys else ():
        paragraph(page, line, "yellow", indent=2, hang=2)
    for journey in journeys:
        verdict = journey.verdict
        page.print()
        stage = f" at stage {verdict.stage.value}" if verdict.stage else ""
        code = f" - {verdict.code} {verdict.slug}" if verdict.code else ""
        state = verdict.verdict.value.replace("_", " ")
        paragraph(page, f"{name_of(verdict)}: {state}{stage}{code}", STYLE.get(verdict.verdict, "dim"), hang=4)
        if verdict.by is not None:
            paragraph(page, f"by {verdict.by}", indent=2, hang=2)
        for line in journey.lines:
            paragraph(page, f"- {line}", indent=2, hang=2)
        for line in journey.taken:
            paragraph(page, line, "magenta", indent=2, hang=2)
        if verdict.remedy:
            paragraph(page, f"remedy: {verdict.remedy}", indent=2, hang=8)
        commands(page, verdict.fix, 4)
        _closer(page, verdict, 2)
    return page.text()


def journeys_object(journeys: Sequence[Journey]) -> list[dict[str, Plain]]:
    """The journeys as plain data."""
    return [
        {"rule": rule_object(j.verdict), "lines": list(j.lines), "taken": list(j.taken), "asides": list(j.asides)}
        for j in journeys
    ]


def log_text(summary: LogSummary, explanations: Sequence[Explanation], *, width: int = 80, color: bool = False) -> str:
    """The unanswered requests of an access log with their explanations, for people."""
    page = Page(width, color=color)
    total = sum(m.count for m in summary.misses)
    paragraph(
        page,
        f"{many(summary.lines, 'line')}, {many(total, 'request')} that no route answered (NR), in {many(len(summary.misses), 'group')}",
        "bold",
    )
    for ending in summary.endings:
        code = f"{ending.code} {ending.flags}".strip()
        more = "".join(
            f", {word} {text}"
            for word, text in (("route", ending.route), ("cluster", ending.cluster))
            if text and ending.failed
        )
        cause = f" (xdsaudit explain {ending.cause})" if ending.cause else ""
        paragraph(
            page,
            f"{ending.requests} x {code}: {ending.meaning}{more}{cause}",
            "yellow" if ending.failed else "dim",
            indent=2,
            hang=2,
        )
    if summary.skipped:
        paragraph(page, f"{many(summary.skipped, 'line')} could not be read and were left out", "yellow")
    parts = [page.text()]
    for miss, explanation in zip(summary.misses, explanations, strict=False):
        when = f", {miss.first} to {miss.last}" if miss.first else ""
        parts.append(f"\n{miss.count} x{when}\n{explanation_text(explanation, width=width, color=color)}")
        if explanation.serving and explanation.exit_code() == 0:
            page = Page(width, color=color)
            paragraph(page, CONTRADICTION, "yellow", indent=2, hang=2)
            parts.append(page.text())
    left = len(summary.misses) - len(explanations)
    if left > 0:
        parts.append(f"\n... and {many(left, 'more group')} (--groups N shows more)\n")
    return "".join(parts)
