"""WasmPlugins of a batch before it is applied: what the controller would drop, hide or never reach of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from xdsaudit.audit.causes import plugins
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.plugins.report import written
from xdsaudit.audit.plugins.traps import Names, hosts_by_route, route_name, traps
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import KubeObjects
from xdsaudit.ingress.plugins import PluginPlan, plan_plugins
from xdsaudit.model.refusal import Refusal
from xdsaudit.model.verdict import Concern, Finding, Origins
from xdsaudit.model.view import ViewName


def check_plugins(
    mine: KubeObjects, whole: KubeObjects, after: Expectation, origins: Origins, *, live: bool
) -> Iterator[Finding]:
    """What is to be said of the batch's WasmPlugins.

    Args:
        mine: objects of the batch.
        whole: what there will be.
        after: what must be served then.
        origins: where objects were written.
        live: whether what is live was read: without it nobody can say that an Ingress does not exist.
    """
    plans = plan_plugins(mine.plugins or (), after.profile)
    hosts = hosts_by_route(after)
    system = after.profile.system_namespace
    known = {route_name(i.namespace, i.metadata.name, system) for i in whole.ingresses} | hosts.keys()
    # Domains and services may be those of objects that a batch does not hold: they are left to an audit.
    names = Names(system, frozenset(known) if live else None, hosts, frozenset({"*"}), None)
    caught = traps(plans, names)
    for plan in plans:
        at = origins.get((f"wasmplugin/{plan.ref}", "", ""))
        for finding in (*_dropped(plan), *written((plan,), caught)):
            yield replace(finding, at=at)
        for rule in plan.rules:
            trap = caught.get((plan.ref, rule.number))
            if trap is not None and trap.cause is plugins.PLUGIN_RULE_UNREACHABLE:
                said = f"WasmPlugin {plan.ref}: {rule.said} is never reached: {trap.said}"
                yield replace(_finding(trap.cause, plan, said), at=at)


def _dropped(plan: PluginPlan) -> Iterator[Finding]:
    if plan.refusal is Refusal.PLUGIN_RULE_WITHOUT_CONDITION:
        bad = next(r for r in plan.rules if not (r.disabled or r.ingress or r.service or r.domain))
        said = f"WasmPlugin {plan.ref}: matchRules[{bad.number}] has neither ingress, nor service, nor domain: the controller refuses the whole plugin"
        yield _finding(plugins.PLUGIN_RULE_WITHOUT_CONDITION, plan, said)
    ignored = [r for r in plan.rules if r.refusal is Refusal.PLUGIN_RULES_IGNORED]
    if plan.selected and ignored:
        count = f"{len(ignored)} match rule{'s' * (len(ignored) != 1)}"
        yield _finding(
            plugins.PLUGIN_RULES_IGNORED, plan, f"WasmPlugin {plan.ref} has a pluginConfig, which hides its {count}"
        )


def _finding(cause: Cause, plan: PluginPlan, message: str) -> Finding:
    return cause.finding(message, Concern(ViewName.INGRESS, None, f"wasmplugin/{plan.ref}"))
