"""Everything an audit says of plugins: verdicts, findings, notes, and the rules that plugins break."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from xdsaudit.audit.case import World
from xdsaudit.audit.causes.catalogue import BY_SLUG
from xdsaudit.audit.causes.upstream import Upstream
from xdsaudit.audit.plugins.applied import with_manifest
from xdsaudit.audit.plugins.judge import PluginJudge, suspicion
from xdsaudit.audit.plugins.rejection import Refusal, refusals
from xdsaudit.audit.plugins.traps import Trap, names_of, traps, unread_conditions
from xdsaudit.audit.plugins.trouble import broken_rules
from xdsaudit.ingress.plugins import PluginPlan, plan_plugins
from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.verdict import Concern, Finding, Severity
from xdsaudit.model.view import View, ViewName


@dataclass(frozen=True)
class Plugins:
    """What an audit says of plugins.

    Attributes:
        verdicts: one per WasmPlugin; empty where nobody looked for them.
        findings: beside the verdicts.
        notes: remarks for people.
        broken: rules whose requests get 500, by rule index.
        plans: what is to become of each WasmPlugin.
    """

    verdicts: tuple[PluginVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    broken: Mapping[int, Upstream] = field(default_factory=dict)
    plans: tuple[PluginPlan, ...] = ()


def judge_plugins(world: World) -> Plugins:
    """Judge the plugins of a world; without a list of WasmPlugins only what a gateway refuses is said."""
    refused = refusals(world)
    broken = broken_rules(world)
    said = [*(_refused(r, broken) for r in refused.values())]
    listed = world.objects.plugins
    if listed is None:
        wanted = with_manifest(world.snapshot, world.expectation.profile, None, ())
        return Plugins(wanted, tuple(said), tuple(_unjudged(world)), broken)
    plans = plan_plugins(listed, world.expectation.profile)
    served = [p for p in plans if p.expected is not None]
    caught = traps(served, names_of(world)) if any(p.rules for p in served) else {}
    judge = PluginJudge(world, plans, refused, caught)
    verdicts = with_manifest(world.snapshot, world.expectation.profile, plans, [judge(p) for p in plans])
    found = (*said, *written(plans, caught), *_unexplained(world, plans))
    return Plugins(verdicts, found, (), broken, plans)


def _make(
    slug: str,
    message: str,
    plan: PluginPlan | None = None,
    *,
    concern: Concern | None = None,
    evidence: tuple[str, ...] = (),
    severity: Severity | None = None,
) -> Finding:
    row = BY_SLUG[slug]
    about = concern or Concern(ViewName.INGRESS.value, None, f"wasmplugin/{plan.ref}" if plan else None)
    return Finding(row.code, slug, severity or row.severity, message, (about,), None, evidence, row.remedy)


def _unjudged(world: World) -> Iterator[str]:
    names = {
        s.name
        for j in world.read(ViewName.GATEWAY) or world.read(ViewName.PILOT)
        for c in j.view.chains
        for s in c.slots
    }
    if names:
        yield (
            f"{len(names)} plugin{'s run' if len(names) != 1 else ' runs'} and no WasmPlugin was read "
            "(kube/wasmplugins.json; the account may not list wasmplugins.extensions.higress.io): plugins were not judged"
        )


def _refused(refusal: Refusal, broken: Mapping[int, Upstream]) -> Finding:
    count = len(refusal.held)
    names = [n.replace(".", "/", 1) for n in refusal.suspects]
    who = f"{names[0]} makes it" if len(names) == 1 else f"one of {', '.join(names[:5])} makes it"
    mine = [u for u in broken.values() if u.evidence.startswith(f"{refusal.gateway.label}:")]
    message = (
        f"{refusal.gateway.label} rejects the plugin configurations that it is served ({who}), which holds back "
        f"{count} plugin{'s' * (count != 1)}"
    )
    if mine:
        message += f"; requests of {len(mine)} rule{'s' * (len(mine) != 1)} get 500"
    concerns = [Concern(ViewName.GATEWAY.value, refusal.gateway.replica)]
    concerns += [Concern(ViewName.INGRESS.value, None, f"wasmplugin/{n}") for n in names[:5]]
    row = BY_SLUG["plugin-config-rejected"]
    return Finding(
        row.code, row.slug, row.severity, message, tuple(concerns), None, tuple(suspicion(refusal)), row.remedy
    )


def written(plans: tuple[PluginPlan, ...], caught: Mapping[tuple[str, int], Trap]) -> Iterator[Finding]:
    """What is wrong with objects as they are written, whatever the views hold."""
    for plan in plans:
        if plan.slug == "plugin-elsewhere":
            yield _make(
                plan.slug, f"WasmPlugin {plan.ref} is not in the controller's own namespace and has no effect", plan
            )
        if plan.selected and plan.ignored_default:
            yield _make(
                "plugin-rules-ignored",
                f"WasmPlugin {plan.ref} has a pluginConfig beside its defaultConfig, which is then ignored",
                plan,
                severity=Severity.WARNING,
            )
        for rule in plan.rules:
            trap = caught.get((plan.ref, rule.number))
            if trap is not None and trap.slug != "plugin-rule-unreachable":
                yield _make(trap.slug, f"WasmPlugin {plan.ref}: {rule.said} {trap.said}", plan)
        for rule, kinds, proven in unread_conditions(plan):
            by = (
                "this version of Higress serves one kind alone"
                if proven
                else "plugins of Higress's SDKs do not read it then"
            )
            yield _make(
                "plugin-condition-unread",
                f"WasmPlugin {plan.ref}: {rule.said}: its {' and its '.join(kinds)} {'counts' if len(kinds) == 1 else 'count'} for nothing: {by}",
                plan,
                severity=None if proven else Severity.INFO,
            )


def _unexplained(world: World, plans: tuple[PluginPlan, ...]) -> Iterator[Finding]:
    """Plugins of the system namespace that a view holds and no WasmPlugin asks for, each said once."""
    profile = world.expectation.profile
    known = {p.filter_name for p in plans if p.slug != "plugin-disabled"}
    prefix = f"{profile.system_namespace}."
    said: set[str] = set()
    before: list[View] = []
    for name in (ViewName.CORE, ViewName.PILOT, ViewName.GATEWAY):
        views = [j.view for j in world.read(name)]
        for view in views:
            held = set(view.plugins or ()) if name is ViewName.CORE else {s.name for c in view.chains for s in c.slots}
            for each in sorted(held - known - said):
                if not each.startswith(prefix):
                    continue
                said.add(each)
                yield _of_nobody(view, each, stale=bool(before))
        told = [v for v in views if v.plugins is not None]
        before = told or before


def _of_nobody(view: View, name: str, *, stale: bool) -> Finding:
    called = name.replace(".", "/", 1)
    concern = Concern(view.name.value, view.replica, f"wasmplugin/{called}")
    if stale:
        return _make(
            "plugin-unexplained",
            f"{view.label} still holds the plugin {called}, which no WasmPlugin asks for and the view before it does not have",
            concern=concern,
        )
    return _make(
        "plugin-unexplained",
        f"{view.label} holds the plugin {called}, which no WasmPlugin asks for: a registry or another object made it, and it is not judged",
        concern=concern,
        severity=Severity.INFO,
    )
