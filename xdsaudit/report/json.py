"""The JSON report (docs/reference/json.md, schema ``xdsaudit.audit/1``): keys are always present, null where empty."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from xdsaudit.audit.groups import causes
from xdsaudit.model.plain import Plain
from xdsaudit.model.verdict import Audit, Concern, Extra, Finding, LeftOut, Rule, RuleVerdict
from xdsaudit.report.head import unseen
from xdsaudit.report.plugins import plugin_object
from xdsaudit.report.tool import TOOL

SCHEMA: Final = "xdsaudit.audit/1"


def to_json(audit: Audit) -> str:
    """One JSON object and a newline, indented for people."""
    return as_json(to_object(audit))


def as_json(value: object) -> str:
    """Plain data as indented JSON, with a newline."""
    return _escaped(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=1).decode()) + "\n"


def as_line(value: object) -> str:
    """Plain data as JSON on a single line, whatever a reader counts as a line end."""
    return _escaped(msgspec.json.encode(value, enc_hook=str).decode()) + "\n"


_UNSEEN: Final = re.compile("[\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def _escaped(text: str) -> str:
    """The same JSON value, with characters escaped that are invisible, end a line or change the text's direction."""
    return text if text.isascii() else _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def to_object(audit: Audit) -> dict[str, Plain]:
    """The object as plain data."""
    return {
        "schema": SCHEMA,
        "snapshot": {
            "captured_at": audit.captured_at,
            "controller": dict(audit.controller),
            "views": [
                {
                    "name": v.name,
                    "replica": v.replica,
                    "state": v.state.value,
                    "why": v.why,
                    "counts": dict(audit.counts[v.name, v.replica]) if (v.name, v.replica) in audit.counts else None,
                    "version": audit.told.get((v.name, v.replica), {}).get("version"),
                    "newest_table": audit.told.get((v.name, v.replica), {}).get("newest_table"),
                }
                for v in audit.views
            ],
        },
        "conclusive": audit.conclusive,
        "not_looked_at": list(unseen(audit)),
        "summary": {"rules": len(audit.rules), "by_verdict": audit.by_verdict},
        "rules": [rule_object(r) for r in audit.rules],
        "extra": [extra_object(e) for e in audit.extra],
        "findings": [finding_object(f) for f in audit.findings],
        "notes": list(audit.notes),
        "plugins": [plugin_object(p) for p in audit.plugins],
        "left_out": [left_out_object(x) for x in audit.left_out],
        "groups": _groups(audit),
        "tool": dict(TOOL),
        "latency": audit.latency,
    }


def left_out_object(left: LeftOut) -> dict[str, Plain]:
    """What an option hid of one code, as plain data (`left_out`)."""
    return {"by": left.by, "code": left.code, "count": len(left.what), "what": list(left.what)}


def _groups(audit: Audit) -> list[dict[str, Plain]]:
    """Rules by cause; ``rules`` are indices into the list of rules."""
    numbers = {id(r): i for i, r in enumerate(audit.rules)}
    return [
        {
            "verdict": g.verdict.value,
            "stage": g.stage.value if g.stage else None,
            "code": g.code,
            "slug": g.slug,
            "by": _by(g.by),
            "rules": [numbers[id(r)] for r in g.rules],
            "hosts": g.hosts,
            "replicas": [{"view": s.view, "replicas": list(s.replicas), "of": s.of} for s in g.shares],
            "evidence": list(g.lines),
            "remedy": g.remedy,
            "fix": [f._asdict() for f in g.fix],
        }
        for g in causes(audit).groups
    ]


def _by(rule: Rule | None) -> dict[str, Plain] | None:
    return None if rule is None else rule._asdict()


def rule_object(verdict: RuleVerdict) -> dict[str, Plain]:
    """A rule and its verdict as plain data (`rules`)."""
    return {
        **verdict.rule._asdict(),
        "verdict": verdict.verdict.value,
        "stage": verdict.stage.value if verdict.stage else None,
        "last_seen": verdict.last_seen,
        "first_missing": verdict.first_missing,
        "code": verdict.code,
        "slug": verdict.slug,
        "by": _by(verdict.by),
        "fields": [d._asdict() for d in verdict.fields],
        "replicas": [
            {
                "view": r.view,
                "replica": r.replica,
                "verdict": r.verdict.value,
                "stage": r.stage.value if r.stage else None,
            }
            for r in verdict.replicas
        ],
        "evidence": list(verdict.evidence),
        "remedy": verdict.remedy,
        "fix": [f._asdict() for f in verdict.fix],
    }


def _concern(concern: Concern) -> dict[str, Plain]:
    return concern._asdict()


def extra_object(extra: Extra) -> dict[str, Plain]:
    """A route that no Ingress explains as plain data (`extra`)."""
    return extra._asdict()


def finding_object(finding: Finding) -> dict[str, Plain]:
    """A finding as plain data (`findings`)."""
    return {
        "code": finding.code,
        "slug": finding.slug,
        "severity": finding.severity.value,
        "message": finding.message,
        "concerns": [_concern(c) for c in finding.concerns],
        "by": _by(finding.by),
        "evidence": list(finding.evidence),
        "remedy": finding.remedy,
        "at": finding.at._asdict() if finding.at else None,
        "fix": [f._asdict() for f in finding.fix],
    }
