"""Ingresses to expected routes: selection, conversion, conflicts, canaries, default backends, TLS, order.

The order of the passes is Higress's (higress@v2.0.1 pkg/ingress/config/ingress_config.go convertVirtualService): base Ingresses
by age, canaries, default backends, app roots and fallbacks, then the sort of each host.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from xdsaudit.ingress import canary as canaries
from xdsaudit.ingress.annotations import look, meaningless, relevant, text
from xdsaudit.ingress.backends import Backends, Resolved, parse_destinations
from xdsaudit.ingress.effects import Effects
from xdsaudit.ingress.envoy_routes import Emitter
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute, RulePlan
from xdsaudit.ingress.http_route import Work, normalise
from xdsaudit.ingress.objects import Backend, Ingress, IngressRule, KubeObjects
from xdsaudit.ingress.order import sort_routes
from xdsaudit.ingress.paths import conditions_of, effective, uris_of
from xdsaudit.ingress.policy import TrafficPolicy, traffic_policy
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.selection import crashes_of, selected, templated, unforeseen
from xdsaudit.ingress.tls import Certificates, first_secrets
from xdsaudit.ingress.with_services import default_backend, mirror, stateful_session
from xdsaudit.model.route import Place
from xdsaudit.model.verdict import Rule

RuleKey = tuple[Any, ...]


def translate(objects: KubeObjects, profile: Profile) -> Expectation:
    """The expectation for these objects under this profile. Pure; independent of the order of the objects."""
    return _Translation(objects, profile).run()


def _age(ingress: Ingress) -> tuple[str, str]:
    return ingress.metadata.creationTimestamp or "", f"{ingress.metadata.name}.{ingress.namespace}"


def _rule_host(rule: IngressRule) -> str:
    return rule.host or "*"


class _Translation:
    """State of one run."""

    def __init__(self, objects: KubeObjects, profile: Profile) -> None:
        self.objects = objects
        self.profile = profile
        self.backends = Backends(objects, profile)
        self.plans: list[RulePlan] = []
        self.hosts: dict[str, list[Work]] = defaultdict(list)
        self.fallbacks: dict[str, list[Work]] = defaultdict(list)
        self.owners: dict[tuple[str, RuleKey], int] = {}
        self.bases: dict[tuple[str, RuleKey], Work] = {}
        self.gateways: list[tuple[Ingress, str]] = []
        self.root_taken: set[str] = set()
        self.app_roots: dict[str, tuple[Ingress, str, list[int]]] = {}
        self.effects: dict[tuple[tuple[str, str], ...], Effects] = {}
        self.policies: dict[tuple[str, int | None], TrafficPolicy] = {}
        self.rules_of: dict[int, dict[tuple[int, int], int]] = {}
        self.default_of: dict[int, int] = {}

    # -- the run ------------------------------------------------------------------------------------------------------
    def run(self) -> Expectation:
        taken = []
        for ingress in sorted(self.objects.ingresses, key=lambda i: (i.namespace, i.metadata.name)):
            mine = selected(ingress, self.objects, self.profile)
            self._plan(ingress, mine)
            if mine:
                taken.append(ingress)
        taken.sort(key=_age)
        crashes = tuple((i.namespace, i.metadata.name, what) for i in taken for what in crashes_of(i))
        bases: list[Ingress] = []
        later: list[Ingress] = []
        for ingress in taken:
            (later if canaries.is_canary(ingress.annotations) else bases).append(ingress)
        for ingress in bases:
            self._convert(ingress)
        for ingress in taken:
            self._traffic_policy(ingress)
        weighted: dict[int, Work] = {}
        for ingress in later:
            self._canary(ingress, weighted)
        for base in weighted.values():
            normalise(base.destinations, base.weight_total)
        self._default_backends(bases)
        for ingress in later:
            if id(ingress) in self.default_of:  # a canary's defaultBackend is ignored
                self._refuse(self.default_of[id(ingress)], "default-backend-unreachable")
        secrets = first_secrets(self.gateways, Certificates(self.objects, self.profile))
        return Expectation(
            tuple(self.plans),
            self._tables(secrets),
            secrets,
            self.profile,
            crashes,
            self._open(secrets),
            tuple((i.namespace, i.metadata.name, *said) for i in taken for said in meaningless(i.annotations)),
            {f"outbound|{port}||{host}": p for (host, port), p in self.policies.items() if port is not None},
            frozenset(
                f"{r.name}.{r.type}" for r in self.objects.registries or () if r.type in ("static", "dns") and r.domain
            ),
        )

    def _open(self, secrets: dict[str, tuple[str, str]]) -> frozenset[Place]:
        """HTTPS places that the ConfigMap of certificates, which was not read, may bring into being."""
        if self.objects.configmaps is not None:
            return frozenset()
        port = self.profile.https_port
        return frozenset((port, host) for i, host in self.gateways if i.spec.tls and host not in secrets)

    def _plan(self, ingress: Ingress, mine: bool) -> None:
        """One plan per rule, whatever becomes of it."""
        indices: dict[tuple[int, int], int] = {}
        unknown = unforeseen(ingress) if mine and ingress.annotations else None
        if mine and self.profile.version >= (2, 1, 0) and templated(ingress):
            unknown = "it holds a template ${...}, which Higress 2.1 and later replace by values of Secrets"
        changed = ingress.changed_at

        def add(host: str, path: str, kind: str | None, slug: str | None = None) -> int:
            rule = Rule(ingress.namespace, ingress.metadata.name, host, path, kind)
            self.plans.append(RulePlan(rule, mine, slug, unknown=unknown, changed_at=changed))
            return len(self.plans) - 1

        rules = ingress.spec.rules or []
        for r, rule in enumerate(rules):
            paths = (rule.http.paths if rule.http else None) or []
            for p, path in enumerate(paths):
                indices[r, p] = add(rule.host or "*", path.path or "/", path.pathType or None)
            if not paths and ingress.spec.defaultBackend is None:
                add(rule.host or "*", "/", None, "empty-rule")
        if ingress.spec.defaultBackend is not None:
            self.default_of[id(ingress)] = add("*", "/", "DefaultBackend")
        elif not rules:
            add("*", "/", None, "empty-rule")
        self.rules_of[id(ingress)] = indices

    def _refuse(self, index: int, slug: str, by: int | None = None) -> None:
        plan = self.plans[index]
        plan.slug = slug
        plan.by = self.plans[by].rule if by is not None else None

    def _name(self, ingress: Ingress) -> str:
        name = ingress.metadata.name
        return name if ingress.namespace == self.profile.system_namespace else f"{ingress.namespace}/{name}"

    # -- base Ingresses -----------------------------------------------------------------------------------------------
    def _convert(self, ingress: Ingress) -> None:
        annotations = relevant(ingress.annotations)
        shared = parse_destinations(annotations)
        declared = sum(d.weight for d in shared or ())
        effects = self._effects(annotations)
        conditions = conditions_of(annotations)
        root = look(annotations, "app-root", text)
        for r, rule in enumerate(ingress.spec.rules or ()):
            host = _rule_host(rule)
            if rule.host or rule.http is not None:
                self.gateways.append((ingress, host))
            seen: dict[tuple[str, str], int] = {}
            indices = self.rules_of[id(ingress)]
            for p, path in enumerate((rule.http.paths if rule.http else None) or ()):
                index = indices[r, p]
                kind, value, written = effective(annotations, path)
                if kind == "prefix" and written == "/":
                    self.root_taken.add(host)
                key = (host, (kind, value, *conditions))
                first = seen.setdefault((kind, value), index)
                winner = self.owners.setdefault(key, index)
                if first != index or winner != index:
                    self._refuse(index, "duplicated-route", winner if winner != index else first)
                    continue
                resolved = self.backends.resolve(ingress.namespace, path.backend, shared)
                if not self._usable(index, resolved):
                    continue
                self._add(
                    ingress, effects, host, key, self._work(ingress, index, (kind, value, written), resolved, declared)
                )
            if root and rule.http is not None and rule.http.paths:
                self.app_roots[host] = (ingress, root, [i for (rr, _), i in indices.items() if rr == r])

    def _effects(self, annotations: dict[str, str]) -> Effects:
        """Effects of these annotations, worked out once for all Ingresses that carry the same."""
        key = tuple(annotations.items())
        if key not in self.effects:
            self.effects[key] = Effects(annotations)
        return self.effects[key]

    def _usable(self, index: int, resolved: Resolved) -> bool:
        if resolved.unknown:
            self.plans[index].unknown = f"{resolved.unknown} were not read, and the backend's port is given by name"
            return False
        if resolved.slug:
            self._refuse(index, resolved.slug)
            return False
        return True

    def _work(
        self, ingress: Ingress, index: int, path: tuple[str, str, str], resolved: Resolved, declared: int
    ) -> Work:
        kind, value, written = path
        work = Work(self._name(ingress), [index], kind, value, uris_of(kind, written), list(resolved.destinations))
        work.weight_total = declared
        normalise(work.destinations, declared)
        for each in work.destinations:
            if self.profile.version >= (2, 2, 0) and self.backends.external(each.host):
                work.uncertain |= {"cluster"}  # its cluster may be the alias's, depending on the build
            if each.port is None and self.backends.known_to_pilot(each.host) is None:
                work.uncertain |= {"cluster"}
            if "." not in each.host:
                each.host = f"{each.host}.{self.profile.system_namespace}"
        return work

    def _add(self, ingress: Ingress, effects: Effects, host: str, key: tuple[str, RuleKey], work: Work) -> None:
        effects.on(work)
        self.hosts[host].append(work)
        self.bases[key] = work
        annotations = effects.annotations
        if not annotations:
            return
        extra = default_backend(work, annotations, ingress.namespace, self.backends)
        for route in (work, extra):
            if route is not None:
                mirror(route, annotations, ingress.namespace, self.backends, self.profile)
                stateful_session(route, annotations, self.profile)
        if extra is not None:
            self.fallbacks[host].insert(0, extra)

    def _traffic_policy(self, ingress: Ingress) -> None:
        """Policies by destination: the first Ingress with a traffic policy for a service and port wins."""
        policy = traffic_policy(ingress.annotations, self.profile) if ingress.annotations else None
        if policy is None:
            return
        backends: list[Backend | None] = [ingress.spec.defaultBackend]
        backends += [p.backend for r in ingress.spec.rules or () if r.http for p in r.http.paths or ()]
        shared = parse_destinations(ingress.annotations)
        for backend in backends:
            if backend is None:
                continue
            for each in self.backends.resolve(ingress.namespace, backend, shared, bridge_only=True).destinations:
                self.policies.setdefault((each.host, each.port), policy)

    # -- canaries -----------------------------------------------------------------------------------------------------
    def _canary(self, ingress: Ingress, weighted: dict[int, Work]) -> None:
        annotations = relevant(ingress.annotations)
        shared = parse_destinations(annotations)
        kind_of = canaries.parse(annotations)
        conditions = conditions_of(annotations)
        for r, rule in enumerate(ingress.spec.rules or ()):
            host = _rule_host(rule)
            for p, path in enumerate((rule.http.paths if rule.http else None) or ()):
                index = self.rules_of[id(ingress)][r, p]
                kind, value, written = effective(annotations, path)
                resolved = self.backends.resolve(ingress.namespace, path.backend, shared)
                if not self._usable(index, resolved):
                    continue
                base = self.bases.get((host, (kind, value, *conditions)))
                if base is None:
                    self._refuse(index, "orphan-canary")
                    continue
                own = self._work(ingress, index, (kind, value, written), resolved, 0)
                if kind_of.condition is None:
                    canaries.by_weight(base, kind_of, [index], own.destinations[0])
                    weighted[id(base)] = base
                    continue
                made = canaries.by_header(base, kind_of, own.name, [index], own.destinations, annotations)
                listed = self.hosts[host]
                listed.insert(next(n for n, w in enumerate(listed) if w is base), made)
                extra = default_backend(own, annotations, ingress.namespace, self.backends)
                if extra is not None:
                    self._canary_fallback(host, made, extra)

    def _canary_fallback(self, host: str, made: Work, extra: Work) -> None:
        extra.fields = {k: v for k, v in made.fields.items() if k != "internal_active_redirect_policy"}
        extra.rewrite, extra.redirect, extra.https_redirect = made.rewrite, made.redirect, made.https_redirect
        extra.request, extra.response, extra.host_rewrite = made.request, made.response, made.host_rewrite
        self.fallbacks[host].insert(0, extra)

    # -- default backends ---------------------------------------------------------------------------------------------
    def _default_backends(self, ingresses: list[Ingress]) -> None:
        with_gateway = {host for _, host in self.gateways}
        chosen: dict[str, tuple[Ingress, Resolved]] = {}
        for ingress in ingresses:
            index = self.default_of.get(id(ingress))
            if index is None:
                continue
            resolved = self.backends.resolve(
                ingress.namespace,
                ingress.spec.defaultBackend,
                parse_destinations(ingress.annotations),
                bridge_only=True,
            )
            if not self._usable(index, resolved):
                continue
            hosts = dict.fromkeys(["*", *(_rule_host(rule) for rule in ingress.spec.rules or ())])
            for host in hosts:
                if host not in self.root_taken and (host == "*" or host not in chosen):
                    chosen[host] = (ingress, resolved)
        used = set()
        for host, (ingress, resolved) in chosen.items():
            if host not in with_gateway:
                continue
            index = self.default_of[id(ingress)]
            used.add(index)
            work = Work(
                f"{self._name(ingress)}-default", [index], "", "", [("prefix", "/")], list(resolved.destinations)
            )
            work.default = True
            Effects({}).on(work)
            normalise(work.destinations, 0)
            self.hosts[host].append(work)
        for ingress in ingresses:
            index = self.default_of.get(id(ingress))
            if index is None or index in used or self.plans[index].slug or self.plans[index].unknown:
                continue
            winner = chosen.get("*")
            by = self.default_of[id(winner[0])] if winner and winner[0] is not ingress else None
            self._refuse(index, "default-backend-unreachable", by)

    # -- tables -------------------------------------------------------------------------------------------------------
    def _tables(self, secrets: dict[str, tuple[str, str]]) -> dict[Place, tuple[ExpectedRoute, ...]]:
        with_gateway = {host for _, host in self.gateways}
        tables: dict[Place, tuple[ExpectedRoute, ...]] = {}
        emitters = {
            port: Emitter(self.backends, port, self.profile.https_port, self.policies)
            for port in (self.profile.http_port, self.profile.https_port)
        }
        for host in {*self.hosts, *self.app_roots}:
            if host not in with_gateway:
                continue
            works = [*self.fallbacks.get(host, ()), *self._app_root(host), *self.hosts.get(host, ())]
            sort_routes(works)
            for port, emitter in emitters.items():
                if port == self.profile.https_port and host not in secrets:
                    continue
                routes, hidden = emitter.emit(works)
                for work in hidden:
                    self._hide(work, routes[-1])
                # SortVHostRoutes: plain "/" routes go to the end, the others keep their order.
                routes.sort(key=lambda r: r.key.catch_all)
                tables[port, host] = tuple(routes)
        return tables

    def _hide(self, work: Work, catch_all: ExpectedRoute) -> None:
        for index in work.rules:
            if self.plans[index].slug is None:
                self._refuse(index, "behind-catch-all", catch_all.rules[0] if catch_all.rules else None)

    def _app_root(self, host: str) -> list[Work]:
        if host not in self.app_roots:
            return []
        _, target, rules = self.app_roots[host]
        alive = [i for i in rules if self.plans[i].slug is None][:1]
        work = Work(f"{host}-app-root", alive, "", "", [("path", "/")], [])
        work.redirect = {"path_redirect": target, "response_code": "FOUND"}
        return [work]
