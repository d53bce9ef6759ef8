"""WasmPlugins to the plugins that must be served: Higress's conversion, quirks included, and what it drops.

Source: higress@v2.0.1 and v2.1.9 pkg/ingress/config/ingress_config.go (AddOrUpdateWasmPlugin, convertIstioWasmPlugin).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from xdsaudit.ingress.plugin_objects import Config, MatchRule, PluginSpec, WasmPlugin
from xdsaudit.ingress.profile import ALL_CONDITIONS, BOUND_INFORMERS, ROUTE_TYPES, Profile
from xdsaudit.model.plain import Plain, as_text
from xdsaudit.model.plugin import CONDITIONS, PHASES, RULES, Plugin, environment, image_of, settings_of
from xdsaudit.model.plugin_verdict import match_said
from xdsaudit.model.refusal import Refusal

_ENUMS: Final = {
    "phase": ("UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"),
    "pull": ("UNSPECIFIED_POLICY", "IfNotPresent", "Always"),
    "fail": ("FAIL_CLOSE", "FAIL_OPEN"),
    "env": ("INLINE", "HOST"),
    "route": ("HTTP",),
}
_UNSET: Final = -(2**31)
"""Pilot sorts a plugin without a priority as if it had the lowest there is."""


class MatchRulePlan(NamedTuple):
    """What is to become of one match rule.

    Attributes:
        number: its place in ``matchRules``, from 0.
        ingress: route names it is for; so are ``service`` and ``domain``, and all three are as written.
        disabled: whether it is switched off.
        refusal: why the controller drops it although it is on, or None.
        place: its place among the rules that are served; None when it is not.
        unread: kinds of conditions that this version does not read, since another kind stands beside them.
    """

    number: int
    ingress: tuple[str, ...]
    service: tuple[str, ...]
    domain: tuple[str, ...]
    disabled: bool = False
    refusal: Refusal | None = None
    place: int | None = None
    unread: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """For people: ``matchRules[0] (ingress shop/cart)``."""
        return match_said(self.number, self.ingress, self.service, self.domain)


@dataclass(frozen=True)
class PluginPlan:
    """What is to become of one WasmPlugin.

    Attributes:
        namespace: of the object.
        name: of the object.
        selected: False for one outside the controller's namespace.
        refusal: why nothing is served of it, or None.
        unknown: why it is unknown what is served of it, or None.
        expected: what must be served, None when nothing must, or when it is unknown.
        rules: its match rules.
        ignored_default: whether it has a defaultConfig that pluginConfig hides.
        changed_at: newest time it may have changed (RFC 3339), or None.
    """

    namespace: str
    name: str
    selected: bool
    refusal: Refusal | None
    unknown: str | None
    expected: Plugin | None
    rules: tuple[MatchRulePlan, ...]
    ignored_default: bool = False
    changed_at: str | None = None

    @property
    def ref(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def filter_name(self) -> str:
        """``namespace.name``, as pilot calls its filter."""
        return f"{self.namespace}.{self.name}"


def plan_plugins(plugins: Iterable[WasmPlugin], profile: Profile) -> tuple[PluginPlan, ...]:
    """A plan for each WasmPlugin, in the order of their names."""
    return tuple(_plan(p, profile) for p in sorted(plugins, key=lambda p: (p.namespace, p.metadata.name)))


def run_order(plans: Iterable[PluginPlan]) -> tuple[str, ...]:
    """Names of the filters in the order in which they must run.

    By phase, then by priority, the highest first; equal ones by name and namespace, since MCP carries no time of creation
    (istio pilot/pkg/model/push_context.go initWasmPlugins, WasmPluginsByListenerInfo).
    """
    served = [p for p in plans if p.expected is not None]
    served.sort(key=lambda p: f"{p.name}.{p.namespace}")
    served.sort(key=lambda p: -_priority(p))
    served.sort(key=lambda p: PHASES.index(as_text(_fields(p)["phase"])))
    return tuple(p.filter_name for p in served)


def _fields(plan: PluginPlan) -> Mapping[str, Plain]:
    return plan.expected.fields if plan.expected is not None else {}


def _priority(plan: PluginPlan) -> int:
    priority = _fields(plan).get("priority")
    return priority if isinstance(priority, int) else _UNSET


def _plan(plugin: WasmPlugin, profile: Profile) -> PluginPlan:
    spec = plugin.spec
    watched = profile.watches(plugin.namespace) or not profile.has(BOUND_INFORMERS)
    selected = plugin.namespace == profile.system_namespace and watched
    whole = spec.pluginConfig is not None
    rules = _rules(spec.matchRules or (), whole, profile)
    refusal: Refusal | None = None
    unknown = None
    if not selected:
        refusal = Refusal.PLUGIN_ELSEWHERE
    elif not whole and any(not r.disabled and not (r.ingress or r.service or r.domain) for r in rules):
        refusal = Refusal.PLUGIN_RULE_WITHOUT_CONDITION
    elif not whole and spec.defaultConfigDisable and all(r.disabled for r in rules):
        refusal = Refusal.PLUGIN_DISABLED
    else:
        unknown = _unforeseen(spec, rules, profile)
    expected = None
    if refusal is None and unknown is None:
        try:
            expected = _expected(plugin, rules)
        except RecursionError:
            unknown = "its configuration is nested too deeply to be read"
    return PluginPlan(
        plugin.namespace,
        plugin.metadata.name,
        selected,
        refusal,
        unknown,
        expected,
        rules,
        whole and spec.defaultConfig is not None,
        plugin.metadata.changed_at,
    )


def _rules(listed: Iterable[MatchRule], whole: bool, profile: Profile) -> tuple[MatchRulePlan, ...]:
    rules, place = [], 0
    for number, rule in enumerate(listed):
        plan = MatchRulePlan(
            number,
            tuple(rule.ingress or ()),
            tuple(rule.service or ()),
            tuple(rule.domain or ()),
            bool(rule.configDisable),
        )
        if whole:
            plan = plan._replace(refusal=Refusal.PLUGIN_RULES_IGNORED)
        elif not plan.disabled:
            plan = plan._replace(place=place, unread=_unread(plan, profile))
            place += 1
        rules.append(plan)
    return tuple(rules)


def _unread(rule: MatchRulePlan, profile: Profile) -> tuple[str, ...]:
    kinds = [k for k in ("ingress", "service", "domain") if getattr(rule, k)]
    return () if profile.has(ALL_CONDITIONS) else tuple(kinds[1:])


def _unforeseen(spec: PluginSpec, rules: tuple[MatchRulePlan, ...], profile: Profile) -> str | None:
    if spec.pluginConfig is None:
        typed = [r for r in spec.matchRules or () if _enum("route", r.routeType) != "HTTP"]
        if typed and profile.has(ROUTE_TYPES):
            return "a match rule has a routeType other than HTTP, which is not modelled"
        if profile.known_version is None and any(len(_kinds(r)) > 1 for r in rules if not r.disabled):
            return "a match rule has several kinds of conditions, which Higress reads by version, and the version is not known"
    for name, value in (("phase", spec.phase), ("pull", spec.imagePullPolicy), ("fail", spec.failStrategy)):
        if _enum(name, value) is None:
            return f"it holds {value!r}, which is not one of {', '.join(_ENUMS[name])}"
    return None


def _kinds(rule: MatchRulePlan) -> list[str]:
    return [k for k in ("ingress", "service", "domain") if getattr(rule, k)]


def _enum(name: str, value: str | int | None) -> str | None:
    """A protobuf enum by its name or number; its first value where it is not set, None for what is none of them."""
    values = _ENUMS[name]
    if isinstance(value, int):
        return values[value] if 0 <= value < len(values) else None
    return value if value in values else values[0] if not value else None


def _expected(plugin: WasmPlugin, rules: tuple[MatchRulePlan, ...]) -> Plugin:
    spec = plugin.spec
    env = (spec.vmConfig.env if spec.vmConfig else None) or ()
    host = tuple(e.name for e in env if _enum("env", e.valueFrom) == "HOST")
    fields: dict[str, Plain] = {
        "url": image_of(spec.url),
        "sha256": spec.sha256,
        "root_id": spec.pluginName,
        "fail_open": _enum("fail", spec.failStrategy) == "FAIL_OPEN",
        "pull_policy": _enum("pull", spec.imagePullPolicy),
        "phase": _enum("phase", spec.phase),
        "priority": spec.priority,
        "env": environment({e.name: e.value for e in env if _enum("env", e.valueFrom) == "INLINE"}),
        "host_env": host,
    }
    config: Config = {}
    if spec.pluginConfig is not None:
        config = spec.pluginConfig
    else:
        if not spec.defaultConfigDisable:
            config |= spec.defaultConfig or {}
        served = [_served(r, p) for r, p in zip(spec.matchRules or (), rules, strict=True) if not p.disabled]
        if served:
            config[RULES] = served
    return Plugin(f"{plugin.namespace}.{plugin.metadata.name}", fields, settings_of(config))


def _served(rule: MatchRule, plan: MatchRulePlan) -> Config:
    """A match rule as it is served: its configuration, with its conditions beside it."""
    served = dict(rule.config or {})
    for key, kind in zip(CONDITIONS, ("ingress", "service", "domain"), strict=True):
        names = getattr(plan, kind)
        if names and kind not in plan.unread:
            served[key] = list(names)
    return served
