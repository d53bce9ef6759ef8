"""Which plugins act on one request, in which order and with which part of their configuration, as a replica runs them.

Plugins pick the first match rule that fits, of each rule by its routes, else domains, else services, and routes together with services;
without one they take what stands beside the rules (higress-group/wasm-go pkg/matcher/rule_matcher.go). A plugin that is not made with one
of Higress's SDKs may do otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import chain_of
from xdsaudit.ingress.plugins import PluginPlan
from xdsaudit.model.plugin import CONDITIONS, WASM, Settings, Slot
from xdsaudit.model.route import Route
from xdsaudit.model.view import View, ViewName

_ROUTE, _SERVICE, _DOMAIN = CONDITIONS
_PREFIX: Final = "_match_route_prefix_"
_NAMED: Final = frozenset({*CONDITIONS, _PREFIX})


class PluginAction(NamedTuple):
    """What one plugin does with a request.

    Attributes:
        view: where it runs.
        replica: its name.
        plugin: ``namespace/name``.
        acts: whether it acts; None where that depends on what is not known here.
        rule: number of the match rule that it follows, in ``matchRules`` where its object was read; None for what holds by default.
        said: the same for people.
        keys: names of the keys of the configuration that it acts with.
    """

    view: ViewName
    replica: str | None
    plugin: str
    acts: bool | None
    rule: int | None
    said: str
    keys: tuple[str, ...] = ()


def plugins_for(view: View, request: Request, route: Route, plans: Mapping[str, PluginPlan]) -> Iterator[PluginAction]:
    """The plugins that a request passes on its way to a route, in their order.

    Args:
        view: of a gateway, or of the pilot that stands in for it.
        request: the request.
        route: the route that answers it there.
        plans: what was made of WasmPlugins, by filter name; empty where they were not read.
    """
    chain = chain_of(view, request)
    for slot in chain.slots if chain is not None else ():
        yield _action(view, slot, request, route, plans.get(slot.name))


def _action(view: View, slot: Slot, request: Request, route: Route, plan: PluginPlan | None) -> PluginAction:
    unknown = PluginAction(view.name, view.replica, slot.name.replace(".", "/", 1), None, None, "")
    if view.plugins is None:
        return unknown._replace(said="its configuration was not read")
    plugin = view.plugins.get(slot.name)
    if plugin is None:
        said = "has no configuration: the request passes without it" if slot.open else "has no configuration: 500"
        return unknown._replace(acts=False, said=said)
    if plugin.kind != WASM:
        return unknown._replace(said=f"another filter stands in its place: {plugin.kind.rpartition('.')[2]}")
    if plugin.settings is None:
        return unknown._replace(said="its configuration was not captured")
    return _chosen(unknown, plugin.settings, request, route, plan)


def _chosen(
    unknown: PluginAction, settings: Settings, request: Request, route: Route, plan: PluginPlan | None
) -> PluginAction:
    numbers = {r.place: r.number for r in plan.rules if r.place is not None} if plan is not None else {}
    doubt = ""
    for place, text in enumerate(settings.rules):
        rule = json.loads(text)
        if not isinstance(rule, dict):
            continue
        number = numbers.get(place, place)
        fits = _fits(rule, request, route)
        if fits is None:
            doubt = doubt or f"matchRules[{number}] may take it, depending on the cluster that is chosen"
        elif fits:
            said = doubt or f"acts by matchRules[{number}] ({_why(rule)})"
            return unknown._replace(acts=None if doubt else True, rule=number, said=said, keys=_keys(rule))
    default = json.loads(settings.default)
    if doubt:
        return unknown._replace(said=doubt)
    if default is not None or not settings.rules:
        keys = _keys(default) if isinstance(default, dict) else ()
        return unknown._replace(acts=True, said="acts by its default configuration", keys=keys)
    return unknown._replace(acts=False, said="does not act: no match rule fits, and it has no default configuration")


def _keys(config: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(sorted(k for k in config if k not in _NAMED))


def _names(rule: Mapping[str, object], key: str) -> list[str]:
    names = rule.get(key)
    return [n for n in names if isinstance(n, str) and n] if isinstance(names, list) else []


def _why(rule: Mapping[str, object]) -> str:
    words = {_ROUTE: "route", _SERVICE: "service", _DOMAIN: "domain", _PREFIX: "route prefix"}
    return "; ".join(f"{w} {', '.join(names[:3])}" for k, w in words.items() if (names := _names(rule, k)))


def _fits(rule: Mapping[str, object], request: Request, route: Route) -> bool | None:
    routes, services, domains = (_names(rule, k) for k in CONDITIONS)
    if routes:
        if route.name not in routes:
            return False
        return _of_service(services, route) if services else True
    if domains:
        return any(_of_domain(d, request.host) for d in domains)
    if services:
        return _of_service(services, route)
    return any(route.name.startswith(p) for p in _names(rule, _PREFIX))


def _of_domain(pattern: str, host: str) -> bool:
    if pattern.startswith("*"):
        return host.endswith(pattern[1:])
    return host.startswith(pattern[:-1]) if pattern.endswith("*") else host == pattern


def _of_service(services: list[str], route: Route) -> bool | None:
    """Whether the route's cluster is one of these; None where it goes to one of several."""
    if route.cluster is None:
        return None if route.get("weighted_clusters") else False
    parts = route.cluster.split("|")
    if len(parts) != 4:
        return False
    return any(s in (parts[3], f"{parts[3]}:{parts[1]}") for s in services)
