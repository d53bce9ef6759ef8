"""Many audits as one: a row a cluster and the causes over all of them, as a table, a page, metrics or JSON.

Holds reports of reports (``-o json`` of many clusters); must not audit anything or read files.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from xdsaudit.errors import InputError
from xdsaudit.model.snapshot import moment_of
from xdsaudit.model.verdict import FAILING, Verdict
from xdsaudit.report.json import SCHEMA, as_json

FLEET_SCHEMA: Final = "xdsaudit.fleet/1"
_OBJECT: Final = re.compile(r"^\{", re.MULTILINE)
_COLUMNS: Final = ("cluster", "rules", "in sync", "lost", "changed", "other", "unsure", "extra", "read at")


class _View(msgspec.Struct):
    name: str
    replica: str | None
    state: str
    why: str | None = None


class _Head(msgspec.Struct):
    captured_at: str | None
    controller: dict[str, object]
    views: list[_View]


class _Summary(msgspec.Struct):
    rules: int
    by_verdict: dict[str, int]


class _Rule(msgspec.Struct):
    namespace: str
    ingress: str
    host: str
    path: str
    verdict: str
    stage: str | None = None
    code: str | None = None
    slug: str | None = None


class _Finding(msgspec.Struct):
    code: str
    slug: str
    severity: str
    message: str


class Report(msgspec.Struct):
    """What is read from an ``-o json`` report; other keys are ignored."""

    schema: str
    snapshot: _Head
    conclusive: bool
    summary: _Summary
    rules: list[_Rule]
    extra: list[object]
    findings: list[_Finding]
    cluster: str | None = None

    @property
    def exit_code(self) -> int:
        """The exit code that ``diff`` had: 1 something is wrong, 3 not everything could be read, otherwise 0."""
        wrong = any(self.summary.by_verdict.get(v, 0) for v in FAILING)
        if wrong or self.extra or any(f.severity == "error" for f in self.findings):
            return 1
        return 0 if self.conclusive else 3


class Member(NamedTuple):
    """One cluster of a fleet and its report; ``why`` explains a missing one."""

    name: str
    report: Report | None
    why: str = ""


class FleetCause(NamedTuple):
    """One code at one stage across the fleet: number of rules (or findings) by cluster."""

    code: str
    slug: str
    stage: str
    clusters: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """Number of rules and findings with this cause in all clusters."""
        return sum(n for _, n in self.clusters)


def read_reports(data: bytes, place: str, name: str) -> list[Member]:
    """The reports in a file: one, or several in a row, as in the log of many Jobs; other lines are skipped.

    Args:
        data: the file.
        place: its path, for messages.
        name: the cluster's name, if a report does not have its own (key ``cluster``).

    Raises:
        InputError: there is no report in it, or one of the wrong kind.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not a report of xdsaudit diff -o json ({error})") from error
    reports = []
    for line, report in _objects(text):
        try:
            reports.append(msgspec.convert(report, Report))
        except msgspec.ValidationError as error:
            if SCHEMA not in str(report.get("schema")):
                continue
            raise InputError(f"{place}:{line}: not a report of xdsaudit diff -o json ({error})") from error
    if not reports:
        raise InputError(f"{place}: contains no report of xdsaudit diff -o json")
    several = len(reports) > 1
    return [Member(r.cluster or (f"{name}-{n}" if several else name), r) for n, r in enumerate(reports, 1)]


def _objects(text: str) -> Iterator[tuple[int, dict[str, object]]]:
    """The JSON objects that begin at the start of a line, with line numbers."""
    decoder = json.JSONDecoder()
    at = 0
    for match in _OBJECT.finditer(text):
        if match.start() < at:
            continue  # inside the previous object
        try:
            value, at = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        yield text.count("\n", 0, match.start()) + 1, value


def exit_code(fleet: Sequence[Member]) -> int:
    """1 if something is wrong in any cluster, otherwise 3 if any could not be read completely, otherwise 0."""
    codes = {3 if m.report is None else m.report.exit_code for m in fleet}
    return 1 if 1 in codes else 3 if 3 in codes else 0


def fleet_causes(fleet: Sequence[Member]) -> list[FleetCause]:
    """What is wrong across all clusters, most widespread first."""
    counted: dict[tuple[str, str, str], dict[str, int]] = {}
    for member in fleet:
        for row in _caused(member.report) if member.report else ():
            by_cluster = counted.setdefault(row, {})
            by_cluster[member.name] = by_cluster.get(member.name, 0) + 1
    rows = [FleetCause(*key, tuple(sorted(n.items()))) for key, n in counted.items()]
    return sorted(rows, key=lambda c: (-len(c.clusters), -c.total, c.code))


def _caused(report: Report) -> Iterable[tuple[str, str, str]]:
    for rule in report.rules:
        if rule.verdict in FAILING and rule.code:
            yield rule.code, rule.slug or "", rule.stage or ""
    for finding in report.findings:
        if finding.severity == "error":
            yield finding.code, finding.slug, ""


def _row(member: Member) -> tuple[str, ...]:
    report = member.report
    if report is None:
        return (member.name, *("-",) * (len(_COLUMNS) - 2), member.why)
    by = report.summary.by_verdict
    shown = (Verdict.IN_SYNC, Verdict.LOST, Verdict.CHANGED)
    other = sum(by.get(v, 0) for v in FAILING if v not in shown)
    unsure = by.get(Verdict.UNKNOWN, 0) + by.get(Verdict.PENDING, 0)
    counts = (report.summary.rules, *(by.get(v, 0) for v in shown), other, unsure, len(report.extra))
    when = report.snapshot.captured_at or "unknown"
    return (member.name, *map(str, counts), when + ("" if report.conclusive else " (incomplete)"))


def _headline(fleet: Sequence[Member]) -> str:
    wrong = sum(m.report is not None and m.report.exit_code == 1 for m in fleet)
    unread = sum(m.report is None or m.report.exit_code == 3 for m in fleet)
    rules = sum(m.report.summary.rules for m in fleet if m.report)
    parts = [_clusters(len(fleet)), f"{rules} rules"]
    parts.append(f"{wrong} with problems" if wrong else "nothing wrong")
    if unread:
        parts.append(f"{unread} not completely read")
    return ", ".join(parts)


def _clusters(number: int) -> str:
    return f"{number} cluster{'s' * (number != 1)}"


def to_fleet_table(fleet: Sequence[Member], *, width: int = 80) -> str:
    """A row per cluster, then each cause with its clusters."""
    rows = [_COLUMNS, *(_row(m) for m in fleet)]
    widths = [max(len(r[i]) for r in rows) for i in range(len(_COLUMNS))]
    lines = [_headline(fleet), ""]
    for row in rows:
        cells = (c.ljust(w) if i in (0, len(row) - 1) else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths)))  # noqa: B905
        lines.append("  ".join(cells).rstrip())
    for cause in fleet_causes(fleet):
        stage = f" at {cause.stage}" if cause.stage else ""
        lines += ["", f"{cause.code} {cause.slug}{stage}: {cause.total} in {_clusters(len(cause.clusters))}"]
        lines += _wrapped([f"{name} ({n})" for name, n in cause.clusters], width)
    return "\n".join(lines) + "\n"


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    lines = ["  "]
    for number, word in enumerate(words):
        text = word + (", " if number < len(words) - 1 else "")
        if len(lines[-1]) + len(text) > width and lines[-1].strip():
            lines.append("  ")
        lines[-1] += text
    return [line.rstrip() for line in lines]


def to_fleet_json(fleet: Sequence[Member]) -> str:
    """One object, schema ``xdsaudit.fleet/1``."""
    return as_json(
        {
            "schema": FLEET_SCHEMA,
            "clusters": [
                {
                    "name": m.name,
                    "why": m.why or None,
                    "captured_at": m.report.snapshot.captured_at if m.report else None,
                    "version": m.report.snapshot.controller.get("version") if m.report else None,
                    "conclusive": bool(m.report and m.report.conclusive),
                    "rules": m.report.summary.rules if m.report else None,
                    "by_verdict": m.report.summary.by_verdict if m.report else None,
                    "extra": len(m.report.extra) if m.report else None,
                    "exit_code": m.report.exit_code if m.report else 3,
                }
                for m in fleet
            ],
            "causes": [
                {"code": c.code, "slug": c.slug, "stage": c.stage or None, "clusters": dict(c.clusters)}
                for c in fleet_causes(fleet)
            ],
        }
    )


def to_fleet_prom(fleet: Sequence[Member]) -> str:
    """The metrics of ``-o prom`` with a label ``cluster``, for a textfile collector or a push gateway."""
    from xdsaudit.report.prom import exposition

    read = [(m.name, m.report) for m in fleet if m.report]
    codes = [({"cluster": name, "code": c.code}, n) for c in fleet_causes(fleet) for name, n in c.clusters]
    times = [(name, moment_of(r.snapshot.captured_at)) for name, r in read]
    gauges: list[tuple[str, str, Iterable[tuple[Mapping[str, str], float]]]] = [
        (
            "xdsaudit_rules",
            "Rules by verdict.",
            [({"cluster": n, "verdict": v}, c) for n, r in read for v, c in r.summary.by_verdict.items()],
        ),
        ("xdsaudit_codes", "Rules and findings by code.", codes),
        (
            "xdsaudit_extra_routes",
            "Routes that no Ingress explains.",
            [({"cluster": n}, len(r.extra)) for n, r in read],
        ),
        (
            "xdsaudit_conclusive",
            "Whether every view was read and every rule judged.",
            [({"cluster": m.name}, bool(m.report and m.report.conclusive)) for m in fleet],
        ),
        (
            "xdsaudit_last_audit_timestamp_seconds",
            "When the views were read.",
            [({"cluster": n}, t.timestamp()) for n, t in times if t],
        ),
    ]
    return exposition(gauges)


_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>xdsaudit: {title}</title>
<style>
:root {{ color-scheme: light dark; --bad: #b3261e; --unsure: #8a6100; --good: #1b6e3c; --line: #8884; }}
@media (prefers-color-scheme: dark) {{ :root {{ --bad: #ff8a80; --unsure: #ffd180; --good: #81c995; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }}
th:first-child, td:first-child, th:last-child, td:last-child {{ text-align: left; }}
tr.bad td:first-child {{ color: var(--bad); font-weight: 600; }}
tr.unsure td:first-child {{ color: var(--unsure); font-weight: 600; }}
tr.good td:first-child {{ color: var(--good); }}
</style>
<h1>{title}</h1>
<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>
{rows}
</tbody></table></div>
{causes}
</html>
"""


def to_fleet_html(fleet: Sequence[Member]) -> str:
    """One page that works offline, in dark mode and on a phone."""
    tones = {0: "good", 1: "bad", 3: "unsure"}
    rows = "\n".join(
        f'<tr class="{tones[m.report.exit_code if m.report else 3]}">'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in _row(m))
        + "</tr>"
        for m in fleet
    )
    parts = []
    for cause in fleet_causes(fleet):
        stage = f" at {html.escape(cause.stage)}" if cause.stage else ""
        parts.append(f"<h2>{html.escape(cause.code)} {html.escape(cause.slug)}{stage}: {cause.total}</h2>")
        parts.append("<p>" + ", ".join(f"{html.escape(name)} ({n})" for name, n in cause.clusters) + "</p>")
    return _PAGE.format(
        title=html.escape(_headline(fleet)),
        head="".join(f"<th>{c}</th>" for c in _COLUMNS),
        rows=rows,
        causes="\n".join(parts),
    )
