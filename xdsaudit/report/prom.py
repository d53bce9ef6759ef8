"""Metrics in Prometheus' text format. Labels are bounded: verdicts, stages, codes and replicas, never a rule or a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xdsaudit.model.verdict import Audit
from xdsaudit.model.view import State
from xdsaudit.report.head import unseen
from xdsaudit.report.terminal import printable


@dataclass(frozen=True)
class Histogram:
    """Observations of one stage: number by upper bound, cumulative, their count and sum."""

    buckets: Mapping[float, int]
    count: int
    total: float


def to_prom(
    audit: Audit,
    *,
    transitions: Mapping[str, int] | None = None,
    latency: Mapping[str, Histogram] | None = None,
    rounds: int | None = None,
) -> str:
    """An audit as metrics; a watch adds its transitions, latencies and rounds."""
    lines: list[str] = [f"# not looked at: {printable(text)}" for text in unseen(audit)]

    def metric(name: str, kind: str, text: str, values: Iterable[tuple[Mapping[str, str], float]]) -> None:
        lines.append(f"# HELP {name} {text}")
        lines.append(f"# TYPE {name} {kind}")
        lines.extend(f"{name}{_labels(labels)} {_number(value)}" for labels, value in values)

    metric(
        "xdsaudit_rules",
        "gauge",
        "Rules by verdict.",
        (({"verdict": v}, float(n)) for v, n in audit.by_verdict.items()),
    )
    stages = Counter((r.verdict.value, r.stage.value) for r in audit.rules if r.stage is not None)
    metric(
        "xdsaudit_rules_by_stage",
        "gauge",
        "Rules that a stage holds, by verdict.",
        (({"verdict": v, "stage": s}, float(n)) for (v, s), n in sorted(stages.items())),
    )
    if audit.plugins:
        plugins = Counter(p.verdict.value for p in audit.plugins)
        metric(
            "xdsaudit_plugins",
            "gauge",
            "WasmPlugins by verdict.",
            (({"verdict": v}, float(n)) for v, n in sorted(plugins.items())),
        )
    said = (
        *(r.code for r in audit.rules),
        *(f.code for f in audit.findings),
        *(p.code for p in audit.plugins),
        *(r.code for p in audit.plugins for r in p.rules),
    )
    codes = Counter(c for c in said if c)
    metric(
        "xdsaudit_codes",
        "gauge",
        "Rules, findings and plugins by code.",
        (({"code": c}, float(n)) for c, n in sorted(codes.items())),
    )
    metric("xdsaudit_extra_routes", "gauge", "Routes that no Ingress explains.", [({}, float(len(audit.extra)))])
    metric(
        "xdsaudit_conclusive",
        "gauge",
        "Whether every view was read and every rule judged.",
        [({}, float(audit.conclusive))],
    )
    metric(
        "xdsaudit_view_read",
        "gauge",
        "Whether a view was read whole.",
        (
            ({"view": v.name, "replica": v.replica or ""}, float(v.state is State.READ))
            for v in audit.views
            if v.state is not State.NOT_ASKED
        ),
    )
    metric(
        "xdsaudit_left_out",
        "gauge",
        "Rules, findings and routes that --only, --skip or --baseline left out.",
        (({"by": x.by, "code": x.code or ""}, float(len(x.what))) for x in audit.left_out),
    )
    from xdsaudit.model.snapshot import moment_of

    captured = moment_of(audit.captured_at)
    if captured is not None:
        metric(
            "xdsaudit_last_audit_timestamp_seconds", "gauge", "When the views were read.", [({}, captured.timestamp())]
        )
    if rounds is not None:
        metric("xdsaudit_rounds_total", "counter", "Rounds of this watch.", [({}, float(rounds))])
    if transitions is not None:
        metric(
            "xdsaudit_transitions_total",
            "counter",
            "Verdicts that changed, by the new one.",
            (({"verdict": v}, float(n)) for v, n in sorted(transitions.items())),
        )
    if latency is not None:
        _histograms(lines, latency)
    return "\n".join(lines) + "\n"


def exposition(gauges: Iterable[tuple[str, str, Iterable[tuple[Mapping[str, str], float]]]]) -> str:
    """Gauges in the text format: each a name, a help text and its samples (labels, value)."""
    lines: list[str] = []
    for name, text, values in gauges:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f"{name}{_labels(labels)} {_number(float(value))}" for labels, value in values]
    return "\n".join(lines) + "\n"


def _histograms(lines: list[str], latency: Mapping[str, Histogram]) -> None:
    name = "xdsaudit_latency_seconds"
    lines.append(
        f"# HELP {name} From the round that first saw a rule in the API to the round that first saw it at a stage; core only where it is read."
    )
    lines.append(f"# TYPE {name} histogram")
    for stage, found in latency.items():
        for bound, count in sorted(found.buckets.items()):
            lines.append(f"{name}_bucket{_labels({'stage': stage, 'le': _number(bound)})} {count}")
        lines.append(f"{name}_bucket{_labels({'stage': stage, 'le': '+Inf'})} {found.count}")
        lines.append(f"{name}_sum{_labels({'stage': stage})} {_number(found.total)}")
        lines.append(f"{name}_count{_labels({'stage': stage})} {found.count}")


def _labels(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    text = ",".join(f'{k}="{_escaped(str(v))}"' for k, v in found.items())
    return "{" + text + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
