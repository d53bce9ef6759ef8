"""Ingresses to expected routes: selection, conversion, conflicts, canaries, default backends.

The order of the passes is Higress's (higress@v2.0.1 pkg/ingress/config/ingress_config.go convertVirtualService): base Ingresses
by age, canaries, weights, default backends, then app roots, fallbacks and the sort of each host (``tables``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from operator import attrgetter

from xdsaudit.ingress import canary as canaries
from xdsaudit.ingress.annotations import meaningless
from xdsaudit.ingress.backends import Resolved, parse_destinations
from xdsaudit.ingress.crashes import Crashes
from xdsaudit.ingress.effects import Effects
from xdsaudit.ingress.expectation import Expectation, RuleIndex, RulePlan
from xdsaudit.ingress.go import int32
from xdsaudit.ingress.http_route import Fallback, PathType, Work, normalise, undetermined
from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.ingress.parts import Kept, Part, Sheet, Surroundings, joined
from xdsaudit.ingress.paths import Conditions, effective, uris_of
from xdsaudit.ingress.profile import EXTERNAL_ALIAS, Profile
from xdsaudit.ingress.selection import unforeseen
from xdsaudit.ingress.tables import Tables
from xdsaudit.ingress.taken import Rules, Taken
from xdsaudit.ingress.tls import first_secrets
from xdsaudit.ingress.with_services import fall_back, fallback_of, mirror, stateful_session
from xdsaudit.model.refusal import Refusal
from xdsaudit.model.route import Place, simple_key
from xdsaudit.model.verdict import Rule

Group = tuple[str, Conditions]
"""A host with what annotations add to the keys of rules: where rules can be duplicates of one another."""
PathKey = tuple[PathType, str]
_TARGET = frozenset({"cluster", "weighted_clusters", "inline_cluster_specifier_plugin"})
"""The fields that say where a request goes."""


def translate(
    objects: KubeObjects, profile: Profile, kept: Kept | None = None, hosts: Collection[str] | None = None
) -> Expectation:
    """The expectation for these objects under this profile. Pure; independent of the order of the objects.

    Args:
        objects: what the API holds.
        profile: of the controller.
        kept: what the translation before left, so that this one costs what changed; it changes nothing but the rules' numbers.
        hosts: of which the rules are asked for (``sharing``), None for all; what Ingresses of others become is left out.
    """
    memory = kept or Kept()
    surroundings = memory.around(objects, profile)
    sheets = sorted(memory.sheets(objects.ingresses, surroundings), key=attrgetter("name"))
    surroundings.choose(sheets)
    groups = memory.groups(sheets)
    if hosts is not None:
        groups = [g for g in groups if any(not s.hosts.isdisjoint(hosts) for s in g)]
        chosen = {id(s) for g in groups for s in g}
        sheets = [s for s in sheets if id(s) in chosen]
    parts = memory.parts(groups, surroundings, lambda group: _Translation(group, surroundings, memory.numbers).run())
    return joined(parts, groups, sheets, surroundings)


class _Translation:
    """State of one run over Ingresses that share hosts."""

    def __init__(self, sheets: Sequence[Sheet], around: Surroundings, numbers: Iterator[RuleIndex]) -> None:
        self.sheets = sheets
        self.around = around
        self.objects = around.objects
        self.profile = around.profile
        self.backends = around.backends
        self.numbers = numbers
        self.plans: dict[RuleIndex, RulePlan] = {}
        self.hosts: dict[str, list[Work]] = defaultdict(list)
        self.owners: dict[Group, dict[PathKey, RuleIndex]] = defaultdict(dict)
        self.bases: dict[Group, dict[PathKey, Work]] = defaultdict(dict)
        self.gateways: list[tuple[Ingress, str]] = []
        self.root_taken: set[str] = set()
        self.app_roots: dict[str, tuple[str, list[RuleIndex]]] = {}
        self.crashes = Crashes(self.backends, self.profile)
        self.aliases = self.profile.has(EXTERNAL_ALIAS)

    # -- the run ------------------------------------------------------------------------------------------------------
    def run(self) -> Part:
        mine = []
        planned: list[dict[RuleIndex, RulePlan]] = []
        for sheet in self.sheets:
            plans, rules, default_index = self._plan(sheet.ingress, sheet.selected)
            planned.append(plans)
            self.plans.update(plans)
            if sheet.selected:
                notes = sheet.notes
                name = sheet.name[1] if sheet.name[0] == self.profile.system_namespace else "/".join(sheet.name)
                written = parse_destinations(notes.annotations)
                mine.append(Taken(sheet.ingress, name, notes, rules, default_index, written, sheet.age))
        mine.sort(key=attrgetter("age"))
        bases: list[Taken] = []
        later: list[Taken] = []
        for each in mine:
            self.crashes.parse(each)
            (later if each.notes.canary else bases).append(each)
        for each in bases:
            self._convert(each)
        for each in later:
            self._canary(each)
        self._normalise(bases)
        self._default_backends(bases)
        for each in later:
            if each.default_index is not None:  # a canary's defaultBackend is ignored
                self._refuse(each.default_index, Refusal.DEFAULT_BACKEND_UNREACHABLE)
        secrets = first_secrets(self.gateways, self.around.certificates)
        tables = Tables(self.backends, self.profile, self.around.policies, self.plans, self._refuse)
        built = tables.build(self.hosts, self.app_roots, {host for _, host in self.gateways}, secrets)
        return Part(
            tuple(planned),
            built,
            secrets,
            self.crashes.listed,
            self._open(secrets),
            tuple(
                (t.ingress.namespace, t.ingress.metadata.name, *said)
                for t in mine
                if t.ingress.annotations
                for said in meaningless(tuple(t.ingress.annotations), self.profile.known_version)
            ),
            tuple(plan.rule for plan in self.plans.values() if plan.unknown),
        )

    def _open(self, secrets: dict[str, tuple[str, str]]) -> frozenset[Place]:
        """HTTPS places that the ConfigMap of certificates, which was not read, may bring into being."""
        if self.objects.configmaps is not None:
            return frozenset()
        port = self.profile.https_port
        return frozenset((port, host) for i, host in self.gateways if i.spec.tls and host not in secrets)

    def _plan(self, ingress: Ingress, mine: bool) -> tuple[dict[RuleIndex, RulePlan], Rules, RuleIndex | None]:
        """One plan per rule, whatever becomes of it; then the rules with the plans' numbers, and that of the defaultBackend."""
        plans: dict[RuleIndex, RulePlan] = {}
        numbered: Rules = []
        namespace, name = ingress.namespace, ingress.metadata.name
        unknown = unforeseen(ingress, self.profile) if mine else None
        changed = ingress.changed_at

        def add(host: str, path: str, kind: str | None, refusal: Refusal | None = None) -> RuleIndex:
            rule: Rule = tuple.__new__(Rule, (namespace, name, host, path, kind))  # as many as there are rules
            index = next(self.numbers)
            plans[index] = RulePlan(rule, mine, refusal, None, unknown, changed)
            return index

        for rule in ingress.spec.rules or ():
            host = rule.host or "*"
            paths = (rule.http.paths if rule.http else None) or ()
            numbered.append((host, rule, [(add(host, p.path or "/", p.pathType or None), p) for p in paths]))
            if not paths and ingress.spec.defaultBackend is None:
                add(host, "/", None, Refusal.EMPTY_RULE)
        if ingress.spec.defaultBackend is not None:
            return plans, numbered, add("*", "/", "DefaultBackend")
        if not numbered:
            add("*", "/", None, Refusal.EMPTY_RULE)
        return plans, numbered, None

    def _refuse(self, index: RuleIndex, refusal: Refusal, by: RuleIndex | None = None) -> None:
        plan = self.plans[index]
        plan.refusal = refusal
        plan.by = self.plans[by].rule if by is not None else None

    # -- base Ingresses -----------------------------------------------------------------------------------------------
    def _convert(self, each: Taken) -> None:
        ingress, namespace, notes = each.ingress, each.ingress.namespace, each.notes
        effects, root = notes.effects, notes.app_root
        fallback = fallback_of(each.annotations, namespace, self.backends) if notes.serviced else None
        declared = int32(sum(d.weight for d in each.destinations)) if each.destinations else 0
        for host, rule, paths in each.rules:
            if rule.host or rule.http is not None:
                self.gateways.append((ingress, host))
            if not paths:
                continue
            self.crashes.convert(each)
            works: list[Work] = []
            owners, bases = self.owners[host, notes.conditions], self.bases[host, notes.conditions]
            for index, path in paths:
                kind, value, written = effective(effects, path)
                if kind == "prefix" and written == "/":
                    self.root_taken.add(host)
                winner = owners.setdefault((kind, value), index)
                if winner != index:
                    self._refuse(index, Refusal.DUPLICATED_ROUTE, winner)
                    continue
                resolved = self.backends.resolve(namespace, path.backend, each.destinations)
                if self._usable(index, resolved):
                    work = self._work(each, index, (kind, value, written), resolved)
                    work.weight_total = declared
                    effects.on(work)
                    works.append(work)
                    bases[kind, value] = work
                    if notes.serviced:
                        self._with_services(each, work, fallback)
            if works:
                self.hosts[host] += works
            if root:
                self.app_roots[host] = (root, [index for index, _ in paths])

    def _usable(self, index: RuleIndex, resolved: Resolved) -> bool:
        if resolved.unknown:
            self.plans[index].unknown = f"{resolved.unknown} were not read, and the backend's port is given by name"
            return False
        if resolved.refusal:
            self._refuse(index, resolved.refusal)
            return False
        return True

    def _work(self, each: Taken, index: RuleIndex, path: tuple[PathType, str, str], resolved: Resolved) -> Work:
        work = Work(each.name, (index,), path[0], path[1], uris_of(path[0], path[2]), resolved.destinations)
        if len(work.destinations) == 1 and work.destinations[0].port is not None and not self.aliases:
            return work
        for target in work.destinations:
            if self.aliases and self.backends.external(target.host):
                work.uncertain |= _TARGET  # its cluster may be the alias's, depending on the build
            if target.port is None and self.backends.known_to_pilot(target.host) is None:
                work.uncertain |= _TARGET
        return work

    def _with_services(self, each: Taken, work: Work, fallback: Fallback | None) -> None:
        annotations = each.annotations
        fall_back(work, annotations, self.backends, fallback)
        mirror(work, annotations, each.ingress.namespace, self.backends, self.profile)
        stateful_session(work, annotations, self.profile)

    # -- canaries and weights -----------------------------------------------------------------------------------------
    def _canary(self, each: Taken) -> None:
        kind_of = canaries.parse(each.annotations)
        effects = each.notes.effects
        for host, _, paths in each.rules:
            if host not in self.hosts:
                for index, _ in paths:
                    self._refuse(index, Refusal.ORPHAN_CANARY)
                continue
            for index, path in paths:
                kind, value, written = effective(effects, path)
                resolved = self.backends.resolve(each.ingress.namespace, path.backend, each.destinations)
                if not self._usable(index, resolved):
                    continue
                self.crashes.convert(each)
                base = self.bases[host, each.notes.conditions].get((kind, value))
                if base is None:
                    self._refuse(index, Refusal.ORPHAN_CANARY)
                    continue
                own = self._work(each, index, (kind, value, written), resolved)
                if not own.destinations:
                    self.crashes.empty(each)
                    continue
                if kind_of.condition is None:
                    self.crashes.weigh(each, base.destinations)
                    canaries.by_weight(base, kind_of, (index,), own.destinations[0], effects.operations)
                    base.uncertain |= own.uncertain
                    continue
                made = canaries.by_header(base, kind_of, own.name, (index,), own.destinations, each.annotations)
                made.uncertain |= own.uncertain
                made.fallback = fallback_of(each.annotations, each.ingress.namespace, self.backends)
                listed = self.hosts[host]
                listed.insert(next(n for n, w in enumerate(listed) if w is base), made)

    def _normalise(self, bases: Sequence[Taken]) -> None:
        """Weights of all routes, once each and in order: paths that share their destinations change each other's."""
        for works in self.hosts.values():
            for work in works:
                if len(work.destinations) < 2:
                    for only in work.destinations:
                        only.weight = 100
                    continue
                if undetermined(work.destinations, work.weight_total):
                    work.uncertain |= _TARGET
                normalise(work.destinations, work.weight_total)
        for each in bases:
            if not each.destinations:
                continue
            first = each.destinations[0]
            sharing = [
                (h, w)
                for h, works in self.hosts.items()
                for w in works
                if w.destinations and w.destinations[0] is first
            ]
            if len({h for h, _ in sharing}) > 1 and len({len(w.destinations) for _, w in sharing}) > 1:
                for _, work in sharing:  # hosts are walked in the order of a Go map
                    work.uncertain |= _TARGET
        for each, work in self._with_bases(bases):
            self.crashes.weigh(each, work.destinations)

    def _with_bases(self, bases: Sequence[Taken]) -> list[tuple[Taken, Work]]:
        """Each route of several destinations with the Ingress that its first rule is of."""
        several = [w for works in self.hosts.values() for w in works if len(w.destinations) != 1]
        if not several:
            return []
        owners = {index: each for each in bases for _, _, paths in each.rules for index, _ in paths}
        return [(owners[w.rules[0]], w) for w in several if w.rules and w.rules[0] in owners]

    # -- default backends ---------------------------------------------------------------------------------------------
    def _default_backends(self, bases: Sequence[Taken]) -> None:
        with_gateway = {host for _, host in self.gateways}
        chosen: dict[str, tuple[Taken, Resolved]] = {}
        for each in bases:
            ingress, index = each.ingress, each.default_index
            if index is None:
                continue
            hosts = dict.fromkeys(["*", *(host for host, _, _ in each.rules)])
            free = [h for h in hosts if h not in self.root_taken]
            self.crashes.default_backend(each, [h for h in free if h == "*" or h not in chosen])
            resolved = self.backends.resolve(
                ingress.namespace, ingress.spec.defaultBackend, each.destinations, bridge_only=True
            )
            if not self._usable(index, resolved):
                continue
            for host in free:
                if host == "*" or host not in chosen:
                    chosen[host] = (each, resolved)
        used = set()
        for host, (each, resolved) in chosen.items():
            if host not in with_gateway or each.default_index is None or not resolved.destinations:
                continue
            used.add(each.default_index)
            whole = (simple_key("prefix", "/"),)
            work = Work(f"{each.name}-default", (each.default_index,), "", "", whole, resolved.destinations)
            work.default = True
            Effects({}).on(work)
            self.hosts[host].append(work)
        for each in bases:
            index = each.default_index
            if index is None or index in used or self.plans[index].refusal or self.plans[index].unknown:
                continue
            winner = chosen.get("*")
            by = winner[0].default_index if winner and winner[0] is not each else None
            self._refuse(index, Refusal.DEFAULT_BACKEND_UNREACHABLE, by)
