"""Reports with one entry per line or record: JSON Lines, GitHub annotations, JUnit and SARIF, all from the same entries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from xdsaudit.audit.causes.auditor import UNREADABLE
from xdsaudit.audit.causes.catalogue import CATALOGUE
from xdsaudit.model.plain import Plain
from xdsaudit.model.plugin_verdict import PluginVerdict, plugin_said
from xdsaudit.model.verdict import FAILING, IN_EFFECT, Audit, Finding, Origin, RuleVerdict, Severity, Verdict
from xdsaudit.report.head import left_out, unseen
from xdsaudit.report.json import as_json, as_line, extra_object, finding_object, left_out_object, rule_object
from xdsaudit.report.plugins import QUIET, own_rules, plugin_object, troubled
from xdsaudit.report.terminal import printable
from xdsaudit.report.tool import TOOL, project_url

_LEVEL: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


class Entry(NamedTuple):
    """One thing to report.

    Attributes:
        name: what it is about.
        severity: how bad.
        code: the catalogue's code, or None (``extra``).
        title: a few words.
        lines: evidence.
        remedy: how to fix it.
        at: file and line, if known.
    """

    name: str
    severity: Severity
    code: str | None
    title: str
    lines: tuple[str, ...]
    remedy: str | None
    at: Origin | None


def severity_of(verdict: RuleVerdict) -> Severity | None:
    """How bad a rule's verdict is; None if it is fine."""
    if verdict.verdict in IN_EFFECT or verdict.verdict is Verdict.NOT_SELECTED:
        return None
    return Severity.ERROR if verdict.verdict in FAILING else Severity.WARNING


def entries(audit: Audit) -> Iterator[Entry]:
    """Everything that is not fine: rules, routes that no Ingress explains, findings, views that could not be read."""
    for rule in audit.rules:
        severity = severity_of(rule)
        if severity is not None:
            yield _of_rule(audit, rule, severity)
    for extra in audit.extra:
        place = f"{extra.view} {extra.replica or ''}".strip()
        title = f"{place} serves a route that no Ingress explains: {extra.match}"
        name = f"{extra.route or '(no name)'} {extra.host}:{extra.port}"
        yield Entry(name, Severity.ERROR, None, title, (), None, None)
    for plugin in troubled(audit):
        yield from _of_plugin(plugin)
    for finding in audit.findings:
        yield _of_finding(finding)
    for info in audit.gaps:
        yield Entry(
            info.label,
            Severity.WARNING,
            UNREADABLE.code,
            f"{info.label} is {info.state.value}",
            (info.why or "",),
            UNREADABLE.remedy,
            None,
        )


def _of_rule(audit: Audit, rule: RuleVerdict, severity: Severity) -> Entry:
    stage = f" at stage {rule.stage.value}" if rule.stage else ""
    slug = f" ({rule.slug})" if rule.slug else ""
    title = f"{rule.verdict.value.replace('_', ' ')}{stage}{slug}"
    lines = (*((f"by {rule.by}",) if rule.by else ()), *rule.evidence)
    return Entry(str(rule.rule), severity, rule.code, title, lines, rule.remedy, audit.origin(rule.rule))


def _of_plugin(plugin: PluginVerdict) -> Iterator[Entry]:
    """A WasmPlugin, and each of its match rules with a problem of its own."""
    name = f"WasmPlugin {plugin.ref}"
    if plugin.verdict not in QUIET:
        lines = (*((f"by {plugin.by}",) if plugin.by else ()), *plugin.evidence)
        yield Entry(name, _weight(plugin.verdict), plugin.code, plugin_said(plugin), lines, plugin.remedy, None)
    for rule in own_rules(plugin):
        yield Entry(
            f"{name} {rule.said}", _weight(rule.verdict), rule.code, plugin_said(rule), rule.evidence, rule.remedy, None
        )


def _weight(verdict: Verdict) -> Severity:
    return Severity.ERROR if verdict in FAILING else Severity.WARNING


def _of_finding(finding: Finding) -> Entry:
    concern = next((c for c in finding.concerns if c.ingress), None)
    name = f"{concern.namespace}/{concern.ingress}" if concern else finding.slug
    return Entry(name, finding.severity, finding.code, finding.message, finding.evidence, finding.remedy, finding.at)


def to_jsonl(audit: Audit) -> str:
    """One JSON object per line: first ``{"kind": "scope"}`` with what was not read, then each with its ``kind`` and the keys of ``-o json``."""
    rows: list[dict[str, Plain]] = [
        {"kind": "scope", "conclusive": audit.conclusive, "not_looked_at": list(unseen(audit))}
    ]
    rows += [{"kind": "rule", **rule_object(r)} for r in audit.rules]
    rows += [{"kind": "extra", **extra_object(e)} for e in audit.extra]
    rows += [{"kind": "finding", **finding_object(f)} for f in audit.findings]
    rows += [{"kind": "plugin", **plugin_object(p)} for p in audit.plugins]
    rows += [{"kind": "left_out", **left_out_object(x)} for x in audit.left_out]
    return "".join(map(as_line, rows))


def to_github(audit: Audit) -> str:
    """Workflow commands that annotate files and lines: ``::error file=…,line=…,title=…::…``."""
    word = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
    lines = [f"::notice title=not looked at::{_message(text)}\n" for text in unseen(audit)]
    lines += [
        f"::notice title=left out by {option}::{count} ({_message(codes)})\n"
        for option, count, codes in left_out(audit)
    ]
    for entry in entries(audit):
        properties = []
        if entry.at is not None:
            properties += [f"file={_property(entry.at.file)}", f"line={entry.at.line}"]
            properties += [f"col={entry.at.column}"] if entry.at.column else []
        properties.append(f"title={_property(f'{entry.code or chr(45)} {entry.name}')}")
        text = "\n".join((entry.title, *entry.lines, *((f"remedy: {entry.remedy}",) if entry.remedy else ())))
        lines.append(f"::{word[entry.severity]} {','.join(properties)}::{_message(text)}\n")
    return "".join(lines)


def _message(text: str) -> str:
    """Text of a workflow command; line ends become escapes, other control characters become visible."""
    safe = "\n".join(printable(line) for line in text.split("\n"))
    return safe.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text.replace("\n", " ")).replace(":", "%3A").replace(",", "%2C")


def to_sarif(audit: Audit) -> str:
    """SARIF 2.1.0: a result per entry, with file and line if the Ingress came from a file, otherwise only its name."""
    reported = list(entries(audit))
    used = {e.code for e in reported}
    rules: list[Plain] = [
        {
            "id": row.code,
            "name": "".join(w.capitalize() for w in row.slug.split("-")),
            "shortDescription": {"text": row.title},
            "fullDescription": {"text": row.meaning},
            "help": {"text": f"{row.meaning}\n\nRemedy: {row.remedy}\n\nPrevention: {row.prevention}"},
            "defaultConfiguration": {"level": _LEVEL[row.severity]},
            **_help_uri(row.code),
        }
        for row in CATALOGUE
        if row.code in used
    ]
    if None in used:
        text = "A route that no Ingress explains"
        rules.append({"id": "extra", "shortDescription": {"text": text}, "defaultConfiguration": {"level": "error"}})
    driver: Plain = {**TOOL, "rules": rules}
    run: dict[str, Plain] = {
        "tool": {"driver": driver},
        "results": [_result(e, mark) for e, mark in zip(reported, fingerprints(audit, reported), strict=True)],
        "columnKind": "unicodeCodePoints",
        "properties": {
            "notLookedAt": [printable(text) for text in unseen(audit)],
            "leftOut": [f"{option}: {count} ({codes})" for option, count, codes in left_out(audit)],
        },
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return as_json(document)


def _help_uri(code: str) -> dict[str, str]:
    """The address of a code's documentation, if the project publishes any: its own page on a site, otherwise the whole document."""
    place = project_url("Documentation")
    if place is None:
        return {}
    return {"helpUri": f"{place}reference/codes/{code}.html" if place.endswith("/") else place}


def fingerprints(audit: Audit, reported: Iterable[Entry]) -> Iterator[str]:
    """An identity for each entry that stays the same from run to run.

    Numbers (ages, counts, lines) and pod names are ignored; entries that are otherwise the same are numbered.
    """
    from hashlib import sha256

    pods = sorted({v.replica for v in audit.views if v.replica}, key=len, reverse=True)
    passing = re.compile("|".join((*map(re.escape, pods), r"[0-9]+(?:[.,:][0-9]+)*")))
    seen: Counter[str] = Counter()
    for entry in reported:
        words = passing.sub("#", f"{entry.title}\0{entry.at.file if entry.at else ''}")
        text = f"{entry.code}\0{entry.name}\0{words}"
        yield sha256(f"{text}\0{seen[text]}".encode("utf-8", "backslashreplace")).hexdigest()[:40]
        seen[text] += 1


def _result(entry: Entry, mark: str) -> dict[str, Plain]:
    text = "\n".join(
        (f"{entry.name}: {entry.title}", *entry.lines, *((f"Remedy: {entry.remedy}",) if entry.remedy else ()))
    )
    location: dict[str, Plain] = {
        "logicalLocations": [{"fullyQualifiedName": printable(entry.name), "kind": "resource"}]
    }
    if entry.at is not None:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": uri_of(entry.at.file)},
            "region": {"startLine": entry.at.line, **({"startColumn": entry.at.column} if entry.at.column else {})},
        }
    safe = "\n".join(printable(line) for line in text.split("\n"))
    return {
        "ruleId": entry.code or "extra",
        "level": _LEVEL[entry.severity],
        "message": {"text": safe},
        "locations": [location],
        "partialFingerprints": {"xdsaudit/v2": mark},
    }


def uri_of(file: str) -> str:
    """A file as a relative or file URI, with forward slashes on every system."""
    from urllib.parse import quote

    path = file.replace("\\", "/")
    if len(path) > 1 and path[1] == ":":
        return f"file:///{path[0]}:{quote(path[2:])}"
    return f"file://{quote(path)}" if path.startswith("/") else quote(path)


def to_junit(audit: Audit) -> str:
    """JUnit XML: a test case per rule, finding and extra route; unknown and pending rules are errors, what was left out is skipped."""
    from xml.etree import ElementTree as Xml

    cases: list[tuple[str, str, str | None, str, str]] = []
    for rule in audit.rules:
        severity = severity_of(rule)
        if severity is None:
            cases.append((rule.rule.ref, f"{rule.rule.host}{rule.rule.path}", None, "", ""))
            continue
        entry = _of_rule(audit, rule, severity)
        kind = "failure" if severity is Severity.ERROR else "error"
        cases.append((rule.rule.ref, f"{rule.rule.host}{rule.rule.path}", kind, entry.title, _body(entry)))
    quiet = (p for p in audit.plugins if not p.verdicts - QUIET)
    cases += [(f"WasmPlugin {p.ref}", p.verdict.value.replace("_", " "), None, "", "") for p in quiet]
    for other in entries(replace(audit, rules=())):
        word = {Severity.ERROR: "failure", Severity.WARNING: "error", Severity.INFO: None}[other.severity]
        cases.append((f"xdsaudit.{other.code or 'extra'}", other.name, word, other.title, _body(other)))
    for left in audit.left_out:
        cases += [
            (f"xdsaudit.{left.code or 'extra'}", what, "skipped", f"left out by {left.option}", "")
            for what in left.what
        ]
    failures = sum(kind == "failure" for _, _, kind, _, _ in cases)
    errors = sum(kind == "error" for _, _, kind, _, _ in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    root = Xml.Element("testsuites", {"name": "xdsaudit", **counts})
    skipped = str(sum(kind == "skipped" for _, _, kind, _, _ in cases))
    suite = Xml.SubElement(root, "testsuite", {"name": "xdsaudit", **counts, "skipped": skipped, "time": "0"})
    if audit.captured_at:
        suite.set("timestamp", audit.captured_at.partition(".")[0].removesuffix("Z"))
    if unseen(audit):
        properties = Xml.SubElement(suite, "properties")
        for text in unseen(audit):
            Xml.SubElement(properties, "property", {"name": "not looked at", "value": printable(text)})
    for group, name, outcome, title, body in cases:
        case = Xml.SubElement(suite, "testcase", {"classname": printable(group), "name": printable(name), "time": "0"})
        if outcome is not None:
            Xml.SubElement(case, outcome, {"message": printable(title), "type": "xdsaudit"}).text = body
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _body(entry: Entry) -> str:
    lines = (*entry.lines, *((f"remedy: {entry.remedy}",) if entry.remedy else ()))
    return "\n".join(printable(line) for line in lines)
