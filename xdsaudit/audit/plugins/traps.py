"""What a match rule can never do as it is written: names that do not exist, and rules that another one takes everything of.

The plugin SDKs take the first match rule that fits, and of one rule they read routes, else domains, else services; routes and
services together in newer ones (higress-group/wasm-go pkg/matcher/rule_matcher.go; higress plugins/wasm-cpp
common/route_rule_matcher.h; plugins/wasm-rust src/rule_matcher.rs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from xdsaudit.audit.case import World
from xdsaudit.audit.causes import plugins
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.plugins import MatchRulePlan, PluginPlan
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import PIPELINE, ViewName


class Trap(NamedTuple):
    """What is wrong with one match rule; ``verdict`` is None where some of its conditions still stand."""

    cause: Cause
    said: str
    verdict: Verdict | None = None
    by: int | None = None


@dataclass
class Names:
    """Everything a match rule may name, as far as it was read.

    Attributes:
        system: the system namespace.
        routes: names of routes, of whatever origin; None when no view with routes was read.
        hosts: hosts of each route name.
        every_host: all hosts.
        services: (host, port) of the clusters; None when they were not read.
    """

    system: str
    routes: frozenset[str] | None
    hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    every_host: frozenset[str] = frozenset()
    services: frozenset[tuple[str, str]] | None = None

    @cached_property
    def by_ingress(self) -> Mapping[str, str]:
        """Route names by the name of their Ingress without its namespace; the first where there are several."""
        return {r.partition("/")[2]: r for r in sorted(self.routes or (), reverse=True) if "/" in r}

    @cached_property
    def service_hosts(self) -> frozenset[str]:
        """Hosts of the clusters."""
        return frozenset(host for host, _ in self.services or ())

    @cached_property
    def met(self) -> dict[str, bool]:
        """Domain conditions that were looked up already."""
        return {}


def names_of(world: World) -> Names:
    """The names of a world; those of a narrowed reading tell nothing."""
    expectation = world.expectation
    system = expectation.profile.system_namespace
    views = [j.view for name in PIPELINE for j in world.read(name)]
    serving = [v for v in views if v.name is not ViewName.CORE]
    if world.snapshot.hosts is not None or not serving:
        return Names(system, None)
    hosts = {name: set(found) for name, found in hosts_by_route(expectation).items()}
    for view in views:
        for place, table in view.tables.items():
            for served in table.routes:
                hosts.setdefault(served.name, set()).add(place[1])
    known = {route_name(i.namespace, i.metadata.name, system) for i in world.objects.ingresses}
    clusters = [v.clusters for v in serving if v.clusters is not None]
    services = {(p[3], p[1]) for c in clusters for name in c for p in (name.split("|"),) if len(p) == 4}
    places = {host for _, host in expectation.tables} | {host for v in views for _, host in v.tables}
    return Names(
        system,
        frozenset(known | hosts.keys()),
        {n: frozenset(h) for n, h in hosts.items()},
        frozenset(h.lower() for h in places),
        frozenset(services) if clusters else None,
    )


def hosts_by_route(expectation: Expectation) -> dict[str, frozenset[str]]:
    """Hosts of each route that must be served, by its name."""
    hosts: dict[str, set[str]] = {}
    for place, expected in expectation.tables.items():
        for route in expected:
            hosts.setdefault(route.name, set()).add(place[1])
    return {name: frozenset(found) for name, found in hosts.items()}


def route_name(namespace: str, ingress: str, system: str) -> str:
    """The name of an Ingress's routes: without the namespace for those of the controller's own."""
    return ingress if namespace == system else f"{namespace}/{ingress}"


def traps(plans: Iterable[PluginPlan], names: Names) -> dict[tuple[str, int], Trap]:
    """Traps by plugin (``namespace/name``) and number of the match rule: the worst of each."""
    found: dict[tuple[str, int], Trap] = {}
    for plan in plans:
        if plan.expected is None:
            continue
        before = _Before(names)
        for rule in plan.rules:
            if rule.place is None:
                continue
            trap = before.takes(rule) or _dangling(rule, names)
            if trap is not None:
                found[plan.ref, rule.number] = trap
            before.add(rule)
    return found


# -- names that do not exist ------------------------------------------------------------------------------------------
def _dangling(rule: MatchRulePlan, names: Names) -> Trap | None:
    if names.routes is None:
        return None
    ingress, service, domain = read_conditions(rule)
    bare = {i: w for i in ingress if i not in names.routes and (w := _meant(i, names))}
    absent = [f"Ingress {i}" for i in ingress if i not in names.routes and i not in bare]
    absent += [f"domain {d}" for d in domain if not _met(d, names)]
    absent += [f"service {s}" for s in service if not _served(s, names)]
    dead = _all_dead(rule, [*absent, *bare], names)
    verdict = Verdict.DORMANT if dead else None
    if bare:
        wrong, right = next(iter(bare.items()))
        return Trap(
            plugins.PLUGIN_RULE_WRONG_NAMESPACE, f"names the Ingress {wrong}, whose route is called {right}", verdict
        )
    if absent:
        return Trap(plugins.PLUGIN_RULE_DANGLING, f"names what does not exist: {', '.join(absent[:5])}", verdict)
    return None


def _all_dead(rule: MatchRulePlan, bad: list[str], names: Names) -> bool:
    """Whether no request can meet the conditions: all of a kind that must be met name nothing."""
    ingress, service, domain = read_conditions(rule)
    if ingress and all(i not in (names.routes or ()) for i in ingress):
        return True
    if service and all(not _served(s, names) for s in service):
        return True
    return bool(bad) and bool(domain) and all(not _met(d, names) for d in domain)


def read_conditions(rule: MatchRulePlan) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Routes, services and domains that a plugin reads of a served match rule."""
    ingress, service, domain = rule.ingress, rule.service, rule.domain
    if rule.unread:
        ingress, service, domain = (
            () if k in rule.unread else getattr(rule, k) for k in ("ingress", "service", "domain")
        )
    if ingress:
        return ingress, service, ()
    return ((), (), domain) if domain else ((), service, ())


def _meant(name: str, names: Names) -> str | None:
    """The route that a name with a missing or needless namespace means, None when it means none."""
    routes = names.routes or frozenset()
    namespace, slash, rest = name.partition("/")
    if slash:
        return rest if namespace == names.system and rest in routes else None
    return names.by_ingress.get(name)


def _met(pattern: str, names: Names) -> bool:
    """Whether a request to one of the hosts may meet a domain condition."""
    if pattern not in names.met:
        names.met[pattern] = _may_meet(pattern, names.every_host)
    return names.met[pattern]


def _may_meet(pattern: str, hosts: frozenset[str]) -> bool:
    wanted = pattern.lower()
    if "*" in hosts or wanted in hosts:
        return True
    if wanted.startswith("*"):
        tail = wanted[1:]
        return any(h.lstrip("*").endswith(tail) or (h.startswith("*") and tail.endswith(h[1:])) for h in hosts)
    if wanted.endswith("*"):
        return any(h.startswith((wanted[:-1], "*")) for h in hosts)
    rest = wanted
    while "." in rest:
        rest = rest.partition(".")[2]
        if f"*.{rest}" in hosts:
            return True
    return False


def _served(service: str, names: Names) -> bool:
    if names.services is None:
        return True
    host, _, port = service.rpartition(":")
    return (host, port) in names.services or service in names.service_hosts


# -- rules that another one takes everything of -----------------------------------------------------------------------
class _Before:
    """What the match rules before one take, each with the number of the first that does."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._routes: dict[str, int] = {}
        self._services: dict[str, int] = {}
        self._hosts: dict[str, int] = {}
        self._tails: dict[str, int] = {}
        self._heads: dict[str, int] = {}

    def add(self, rule: MatchRulePlan) -> None:
        ingress, service, domain = read_conditions(rule)
        if ingress and not service:
            for name in ingress:
                self._routes.setdefault(name, rule.number)
        for pattern in domain:
            if pattern.startswith("*"):
                self._tails.setdefault(pattern[1:], rule.number)
            elif pattern.endswith("*"):
                self._heads.setdefault(pattern[:-1], rule.number)
            else:
                self._hosts.setdefault(pattern, rule.number)
        if not ingress and not domain:
            for name in service:
                self._services.setdefault(name, rule.number)

    def takes(self, rule: MatchRulePlan) -> Trap | None:
        ingress, service, domain = read_conditions(rule)
        if ingress:
            takers = [self._of_route(name) for name in ingress]
        elif domain:
            takers = [self._of_pattern(d) for d in domain]
        else:
            takers = [self._services.get(s) for s in service]
        by = _last(takers)
        if by is None:
            return None
        several = sorted({n for n in takers if n is not None})
        who = " and ".join(f"matchRules[{n}]" for n in several[:3]) + (" and others" if len(several) > 3 else "")
        take = "takes" if len(several) == 1 else "take"
        said = f"{who} before it {take} all its requests"
        return Trap(plugins.PLUGIN_RULE_UNREACHABLE, said, Verdict.SHADOWED, by)

    def _of_route(self, name: str) -> int | None:
        taken = self._routes.get(name)
        hosts = self._names.hosts.get(name)
        if taken is not None or not hosts:
            return taken
        takers = [self._of_pattern(h) for h in hosts]
        return _last(takers)

    def _of_pattern(self, pattern: str) -> int | None:
        """The first that takes all that a pattern does: one with the same end, or the same beginning, or the host itself."""
        found = []
        if not pattern.startswith("*"):
            found += [self._heads.get(pattern[:n]) for n in range(len(pattern.rstrip("*")) + 1)]
        if pattern.endswith("*") and pattern != "*":
            found.append(self._tails.get(""))
        else:
            text = pattern.removeprefix("*")
            found += [self._tails.get(text[n:]) for n in range(len(text) + 1)]
            found.append(self._hosts.get(pattern))
        return min((n for n in found if n is not None), default=None)


def _last(takers: list[int | None]) -> int | None:
    """The last of those who take all parts of something between them; None where a part is taken by nobody."""
    found = [n for n in takers if n is not None]
    return max(found) if found and len(found) == len(takers) else None


def unread_conditions(plan: PluginPlan) -> Iterator[tuple[MatchRulePlan, tuple[str, ...], bool]]:
    """Match rules with kinds of conditions that nobody reads, and whether it is the controller that drops them."""
    for rule in plan.rules:
        if rule.place is None or plan.expected is None:
            continue
        if rule.unread:
            yield rule, rule.unread, True
            continue
        read = dict(zip(("ingress", "service", "domain"), read_conditions(rule), strict=True))
        lost = tuple(k for k, names in read.items() if getattr(rule, k) and not names)
        if lost:
            yield rule, lost, False
