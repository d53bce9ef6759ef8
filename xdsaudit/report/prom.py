"""Metrics in Prometheus's text format. Labels are bounded: verdicts, stages, codes and replicas, never a rule or a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xdsaudit.model.snapshot import moment_of
from xdsaudit.model.verdict import Audit
from xdsaudit.model.view import State
from xdsaudit.report.head import unseen
from xdsaudit.report.terminal import printable

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Gauge = tuple[str, str, Iterable[tuple[Mapping[str, str], float]]]
"""A name, a help text, and samples: labels and value."""


@dataclass(frozen=True)
class Histogram:
    """Observations of one stage: cumulative numbers by upper bound, their count and sum."""

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
    first = "".join(f"# not looked at: {printable(text)}\n" for text in unseen(audit))
    return first + _text((*map(_gauge, _gauges(audit)), *_of_watch(transitions, latency, rounds)))


def exposition(gauges: Iterable[Gauge]) -> str:
    """Gauges in the text format."""
    return _text(map(_gauge, gauges))


def _text(metrics: Iterable[Metric]) -> str:
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    families = tuple(metrics)

    class Fixed(Collector):
        def collect(self) -> Iterable[Metric]:
            return families

    registry = CollectorRegistry()
    registry.register(Fixed())
    return generate_latest(registry).decode()


def _gauge(row: Gauge) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    name, text, samples = row
    gauge = GaugeMetricFamily(name, text)
    for labels, value in samples:
        gauge.add_sample(name, dict(labels), value)
    return gauge


def _gauges(audit: Audit) -> Iterator[Gauge]:
    """The gauges of any audit."""
    yield "xdsaudit_rules", "Rules by verdict.", (({"verdict": v}, n) for v, n in audit.by_verdict.items())
    stages = Counter((r.verdict.value, r.stage.value) for r in audit.rules if r.stage is not None)
    by_stage = (({"verdict": v, "stage": s}, n) for (v, s), n in sorted(stages.items()))
    yield "xdsaudit_rules_by_stage", "Rules held back at a stage, by verdict.", by_stage
    if audit.plugins:
        plugins = Counter(p.verdict.value for p in audit.plugins)
        yield "xdsaudit_plugins", "WasmPlugins by verdict.", (({"verdict": v}, n) for v, n in sorted(plugins.items()))
    of_plugins = (code for p in audit.plugins for code in (p.code, *(r.code for r in p.rules)))
    codes = Counter(c for c in (*(r.code for r in audit.rules), *(f.code for f in audit.findings), *of_plugins) if c)
    yield "xdsaudit_codes", "Rules, findings and plugins by code.", (({"code": c}, n) for c, n in sorted(codes.items()))
    yield "xdsaudit_extra_routes", "Routes that no Ingress explains.", [({}, len(audit.extra))]
    yield "xdsaudit_conclusive", "Whether every view was read and every rule judged.", [({}, audit.conclusive)]
    asked = (v for v in audit.views if v.state is not State.NOT_ASKED)
    read = (({"view": v.name.value, "replica": v.replica or ""}, v.state is State.READ) for v in asked)
    yield "xdsaudit_view_read", "Whether a view was read completely.", read
    hidden = (({"by": x.by, "code": x.code or ""}, len(x.what)) for x in audit.left_out)
    yield "xdsaudit_left_out", "Rules, findings and routes that --only, --skip or --baseline left out.", hidden
    captured = moment_of(audit.captured_at)
    if captured is not None:
        yield "xdsaudit_last_audit_timestamp_seconds", "When the views were read.", [({}, captured.timestamp())]


def _of_watch(
    transitions: Mapping[str, int] | None, latency: Mapping[str, Histogram] | None, rounds: int | None
) -> Iterator[Metric]:
    """The metrics that a watch adds."""
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    if rounds is not None:
        yield CounterMetricFamily("xdsaudit_rounds", "Rounds of this watch.", value=rounds)
    if transitions is not None:
        changed = CounterMetricFamily("xdsaudit_transitions", "Changed verdicts, by the new one.", labels=["verdict"])
        for verdict, count in sorted(transitions.items()):
            changed.add_metric([verdict], count)
        yield changed
    if latency is not None:
        text = "From the round that first saw a rule in the API to the round that first saw it at a stage; core only if it is read."
        histogram = HistogramMetricFamily("xdsaudit_latency_seconds", text, labels=["stage"])
        for stage, seen in latency.items():
            bounds = [(str(float(bound)), float(n)) for bound, n in sorted(seen.buckets.items())]
            histogram.add_metric([stage], [*bounds, ("+Inf", seen.count)], seen.total)
        yield histogram
