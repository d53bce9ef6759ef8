"""The routes of each host put together: fallbacks, app roots, order, and what pilot makes of them on each port.

The last pass of translation; must not look at an Ingress.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from xdsaudit.ingress.backends import Backends
from xdsaudit.ingress.envoy_routes import Emitter
from xdsaudit.ingress.expectation import ExpectedRoute, RuleIndex, RulePlan
from xdsaudit.ingress.http_route import Work
from xdsaudit.ingress.order import sort_routes
from xdsaudit.ingress.policy import TrafficPolicy
from xdsaudit.ingress.profile import REGISTRY_TLS, Profile
from xdsaudit.ingress.with_services import fallback_route
from xdsaudit.model.refusal import Refusal
from xdsaudit.model.route import Place, clusters_of_fields, simple_key

Policies = Mapping[tuple[str, int | None], TrafficPolicy]
Refuse = Callable[[RuleIndex, Refusal, RuleIndex | None], None]


class Tables:
    """Builds the tables of one translation."""

    def __init__(
        self,
        backends: Backends,
        profile: Profile,
        policies: Policies,
        plans: Mapping[RuleIndex, RulePlan],
        refuse: Refuse,
    ) -> None:
        """Keep what every table needs; ``refuse(index, refusal, by)`` notes a rule that is hidden behind a catch-all."""
        self._backends, self._profile, self._policies = backends, profile, policies
        self._plans, self._refuse = plans, refuse

    def build(
        self,
        hosts: Mapping[str, Sequence[Work]],
        app_roots: Mapping[str, tuple[str, list[RuleIndex]]],
        with_gateway: set[str],
        secrets: Mapping[str, tuple[str, str]],
    ) -> dict[Place, tuple[ExpectedRoute, ...]]:
        """Expected routes by place, in first-match order."""
        tables: dict[Place, tuple[ExpectedRoute, ...]] = {}
        ports = (self._profile.http_port, self._profile.https_port)
        emitters = {port: Emitter(self._backends, port, ports[1], self._policies) for port in ports}
        for host in sorted({*hosts, *app_roots} & with_gateway):
            works = [*self._app_root(host, app_roots), *hosts.get(host, ())]
            copies = [made for work in works if work.fallback and (made := fallback_route(work)) is not None]
            works = [*reversed(copies), *works]
            sort_routes(works)
            for port, emitter in emitters.items():
                if port == self._profile.https_port and host not in secrets:
                    continue
                routes, hidden = emitter.emit(works)
                for work in hidden:
                    self._hide(work, routes[-1])
                # SortVHostRoutes puts plain "/" routes at the end, where ``emit`` has left the only one.
                tables[port, host] = tuple(routes)
        return tables

    def _hide(self, work: Work, catch_all: ExpectedRoute) -> None:
        for index in work.rules:
            if self._plans[index].refusal is None:
                self._refuse(index, Refusal.BEHIND_CATCH_ALL, catch_all.rules[0] if catch_all.rules else None)

    def _app_root(self, host: str, app_roots: Mapping[str, tuple[str, list[RuleIndex]]]) -> list[Work]:
        if host not in app_roots:
            return []
        target, rules = app_roots[host]
        alive = [i for i in rules if self._plans[i].refusal is None][:1]
        work = Work(f"{host}-app-root", tuple(alive), "", "", (simple_key("path", "/"),), [])
        work.redirect = {"path_redirect": target, "response_code": "FOUND"}
        return [work]

    def cluster_policies(self, tables: Mapping[Place, tuple[ExpectedRoute, ...]]) -> dict[str, TrafficPolicy]:
        """What annotations ask of clusters, by the cluster's name.

        From 2.0.2 on the TLS of a registry joins the DestinationRule of an Ingress (ingress_config.go convertDestinationRule).
        """
        policies = {
            f"outbound|{port}||{host}": self._joined(host, port, policy)
            for (host, port), policy in self._policies.items()
            if port is not None
        }
        for_all_ports = {host: policy for (host, port), policy in self._policies.items() if port is None}
        if for_all_ports:
            used = {
                c
                for routes in tables.values()
                for r in routes
                for c in (r.cluster, *clusters_of_fields(r.fields))
                if c is not None
            }
            for cluster in used - set(policies):
                _, port, _, host = cluster.split("|", 3)
                if host in for_all_ports and not self._backends.mixed(host, self._policies):
                    policies[cluster] = self._joined(host, int(port), for_all_ports[host], for_all_ports=True)
        return policies

    def _joined(self, host: str, port: int, policy: TrafficPolicy, *, for_all_ports: bool = False) -> TrafficPolicy:
        registries = self._backends.registries
        if not registries.secure(host) or registries.port(host) != port or not self._profile.has(REGISTRY_TLS):
            return policy
        # The registry's policy of that port stands beside one for all ports, and then takes its place.
        return policy._replace(tls=True, lb_policy=None if for_all_ports else policy.lb_policy)
