"""One self-contained HTML page: the pipeline with what each stage holds back, the lost rules first, filters, dark and print.

It loads nothing, works without JavaScript but for the filters, and shows strangers' names as text alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib import resources
from itertools import groupby
from typing import Final

from xdsaudit.audit.groups import Group, causes
from xdsaudit.model.plugin_verdict import said
from xdsaudit.model.verdict import FAILING, Audit, RuleVerdict, Severity, Stage, Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.head import left_out, unseen
from xdsaudit.report.plugins import counted
from xdsaudit.report.table import extent
from xdsaudit.report.terminal import printable

_TONES: Final = {
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
_SEVERITIES: Final = {"error": "bad", "warning": "warn", "info": "dim"}
_EDGES: Final = (
    (ViewName.INGRESS, Stage.TRANSLATION),
    (ViewName.CORE, Stage.GENERATION),
    (ViewName.PILOT_FRESH, Stage.CACHE),
    (ViewName.PILOT, Stage.DELIVERY),
    (ViewName.GATEWAY, Stage.UPSTREAM),
)
_LABELS: Final = {ViewName.PILOT_FRESH: "pilot, fresh", ViewName.PILOT: "pilot, served"}


def to_html(audit: Audit) -> str:
    """The page."""
    import jinja2

    source = resources.files("xdsaudit.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    replicas = sorted({r.replica for v in audit.rules for r in v.replicas if r.replica})
    headline, tone = _headline(audit)
    found = causes(audit)
    return environment.from_string(source).render(
        audit=audit,
        headline=headline,
        tone=tone,
        controller=_controller(audit),
        flow=_flow(audit),
        totals=[(name, n) for name, n in audit.by_verdict.items() if n],
        tones=_TONES,
        severities=_SEVERITIES,
        namespaces=sorted({r.rule.namespace for r in audit.rules}),
        replicas=replicas,
        sections=_sections(found.groups),
        told=found.told,
        extent=extent,
        unseen=unseen(audit),
        left_out=tuple(left_out(audit)),
        fine=_by_namespace(audit),
        plugins=audit.plugins,
        plugins_bad=any(p.verdicts & FAILING for p in audit.plugins),
        plugins_counted=counted(audit),
        said=said,
        show=lambda value: printable(str(value)),
        bad_replicas=_bad_replicas,
        holds=lambda info: _holds(audit, info),
    )


def _sections(groups: Iterable[Group]) -> list[tuple[str, list[Group]]]:
    return [(verdict.value, list(listed)) for verdict, listed in groupby(groups, key=lambda g: g.verdict)]


def _headline(audit: Audit) -> tuple[str, str]:
    by = audit.by_verdict
    wrong = sum(n for name, n in by.items() if _TONES[name] == "bad")
    errors = sum(f.severity is Severity.ERROR for f in audit.findings)
    if by["lost"]:
        return f"{by['lost']:,} of {len(audit.rules):,} rules lost", "bad"
    if wrong or audit.extra or errors:
        return f"{wrong:,} of {len(audit.rules):,} rules not in effect", "bad"
    plugins = sum(bool(p.verdicts & FAILING) for p in audit.plugins)
    if plugins:
        return f"{len(audit.rules):,} rules in effect, {plugins:,} of {len(audit.plugins):,} plugins not", "bad"
    if not audit.conclusive:
        return f"{by['in_sync']:,} of {len(audit.rules):,} rules in sync, as far as was looked", "warn"
    return f"{len(audit.rules):,} rules in sync", "good"


def _controller(audit: Audit) -> str:
    name = str(audit.controller.get("kind") or "higress").capitalize()
    return printable(f"{name} {audit.controller.get('version') or '(version not known)'}")


def _flow(audit: Audit) -> list[dict[str, str]]:
    """Views as boxes and stages as the arrows between them, with the number of rules that each holds back."""
    held = Counter(r.stage for r in audit.rules if r.stage is not None)
    states: dict[ViewName, list[ViewInfo]] = {}
    for info in audit.views:
        if info.state is not State.NOT_ASKED:
            states.setdefault(info.name, []).append(info)
    # A coarser stage is shown on the last edge that it may be.
    coarse = {Stage.CACHE: (Stage.PILOT, Stage.CONTROL_PLANE)}
    steps = []
    for view, stage in _EDGES:
        infos = states.get(view, [])
        many = f"{len(infos)} replicas" if len(infos) > 1 else ("" if infos else "not asked")
        steps.append({"kind": "view" if infos else "off", "name": _LABELS.get(view, view.value), "text": many})
        words = []
        if held[stage]:
            words.append(f"{held[stage]:,} at {stage.value}")
        words += [f"{held[s]:,} at {s.value}" for s in coarse.get(stage, ()) if held[s]]
        kind = "edge lost" if words else "edge"
        steps.append({"kind": kind, "name": f"→ {stage.value} →" if not words else "→", "text": ", ".join(words)})
    steps.append({"kind": "view", "name": "backend", "text": ""})
    return steps


def _by_namespace(audit: Audit) -> list[tuple[str, list[RuleVerdict]]]:
    def space(rule: RuleVerdict) -> str:
        return rule.rule.namespace

    return [(name, list(rules)) for name, rules in groupby(sorted(audit.of(Verdict.IN_SYNC), key=space), key=space)]


def _bad_replicas(rule: RuleVerdict) -> str:
    return " ".join(r.replica for r in rule.replicas if r.replica and r.verdict is not Verdict.IN_SYNC)


def _holds(audit: Audit, info: ViewInfo) -> str:
    counts = audit.counts.get((info.name.value, info.replica))
    return f"{counts['routes']:,} routes on {counts['hosts']:,} hosts" if counts else ""
