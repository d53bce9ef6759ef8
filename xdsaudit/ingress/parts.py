"""Translation in parts: Ingresses that share a host become routes together, and no other Ingress has a say in it.

What all parts share, Services, classes, registries and traffic policies, are their surroundings. A part whose Ingresses and
surroundings are the same objects as last time is the same part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple, cast

from xdsaudit.ingress.annotations import relevant
from xdsaudit.ingress.backends import Backends, parse_destinations
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute, Plans, RuleIndex, RulePlan
from xdsaudit.ingress.objects import Backend, Ingress, KubeObjects
from xdsaudit.ingress.policy import TrafficPolicy
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.protection import may_be_protected, unprotected
from xdsaudit.ingress.selection import selected
from xdsaudit.ingress.tables import Tables
from xdsaudit.ingress.taken import Notes, age_of, notes_of
from xdsaudit.ingress.tls import Certificates
from xdsaudit.model.route import Place
from xdsaudit.model.verdict import Rule

Target = tuple[str, int | None]
"""Host and port of a destination."""


class Sheet(NamedTuple):
    """One Ingress, with what is asked of it whatever the others are.

    Attributes:
        ingress: as written.
        selected: whether the controller takes it.
        hosts: for which it may have a say.
        age: what Ingresses are sorted by: creation, then name and namespace.
        notes: what its annotations say.
        policies: what it asks for the connections to its backends.
        protects: whether it asks for protection.
        name: its namespace and name.
    """

    ingress: Ingress
    selected: bool
    hosts: frozenset[str]
    age: tuple[str, str]
    notes: Notes
    policies: tuple[tuple[Target, TrafficPolicy], ...]
    protects: bool
    name: tuple[str, str]


class Part(NamedTuple):
    """What Ingresses that share hosts become.

    Attributes:
        plans: of each of them, in their order, by number.
        tables: as in an Expectation, and so are secrets, crashes, open, meaningless and unmodelled.
    """

    plans: tuple[Mapping[RuleIndex, RulePlan], ...]
    tables: Mapping[Place, tuple[ExpectedRoute, ...]]
    secrets: Mapping[str, tuple[str, str]]
    crashes: tuple[tuple[str, str, str], ...]
    open: frozenset[Place]
    meaningless: tuple[tuple[str, str, str, str], ...]
    unmodelled: tuple[Rule, ...]


class Surroundings:
    """What all parts share.

    Attributes:
        objects: what the API holds; its Ingresses are not asked for.
        profile: of the controller.
        policies: traffic policies by destination: of the oldest Ingress that has one for a service and port.
    """

    def __init__(self, objects: KubeObjects, profile: Profile) -> None:
        """Keep what is asked of again and again."""
        self.objects: KubeObjects = objects
        self.profile: Profile = profile
        self.backends: Backends = Backends(objects, profile)
        self.certificates: Certificates = Certificates(objects, profile)
        self.policies: dict[Target, TrafficPolicy] = {}
        self._notes: dict[tuple[tuple[str, str], ...], Notes] = {}

    def notes(self, ingress: Ingress) -> Notes:
        """What the annotations of an Ingress say, worked out once for all Ingresses that carry the same."""
        annotations = relevant(ingress.annotations, self.profile.version)
        key = tuple(annotations.items())
        known = self._notes.get(key)
        if known is None:
            known = self._notes[key] = notes_of(annotations, self.profile)
        return known

    def choose(self, sheets: Sequence[Sheet]) -> None:
        """Let the oldest Ingress with a traffic policy for a service and port win."""
        self.policies = {}
        for sheet in sorted((s for s in sheets if s.policies), key=lambda s: s.age):
            for target, policy in sheet.policies:
                self.policies.setdefault(target, policy)

    def sheet(self, ingress: Ingress) -> Sheet:
        """One Ingress by itself."""
        mine = selected(ingress, self.objects, self.profile)
        notes = self.notes(ingress)
        policies = tuple(self._policies(ingress, notes)) if mine else ()
        protects = mine and bool(ingress.metadata.annotations) and may_be_protected(ingress)
        name = ingress.namespace, ingress.metadata.name
        return Sheet(ingress, mine, hosts_of(ingress), age_of(ingress), notes, policies, protects, name)

    def _policies(self, ingress: Ingress, notes: Notes) -> Iterator[tuple[Target, TrafficPolicy]]:
        if notes.policy is None:
            return
        written = parse_destinations(notes.annotations)
        backends: list[Backend | None] = [ingress.spec.defaultBackend]
        backends += [p.backend for r in ingress.spec.rules or () if r.http for p in r.http.paths or ()]
        for backend in backends:
            if backend is not None:
                for target in self.backends.resolve(ingress.namespace, backend, written, bridge_only=True).destinations:
                    yield (target.host, target.port), notes.policy


@dataclass
class Kept:
    """What one translation leaves for the next.

    Attributes:
        numbers: of rules that come; a rule keeps its number for as long as its part is kept.
    """

    numbers: Iterator[RuleIndex] = field(default_factory=lambda: cast("Iterator[RuleIndex]", count()))
    _around: Surroundings | None = None
    _policies: Mapping[Target, TrafficPolicy] = field(default_factory=dict)
    _sheets: dict[int, Sheet] = field(default_factory=dict)
    _parts: dict[tuple[int, ...], tuple[Sequence[Sheet], Part]] = field(default_factory=dict)
    _grouped: tuple[list[frozenset[str]], list[list[int]]] = field(default_factory=lambda: ([], []))

    def around(self, objects: KubeObjects, profile: Profile) -> Surroundings:
        """The surroundings; where they are not what they were, nothing is kept."""
        held = self._around
        if held is None or held.profile != profile or not _same_but_ingresses(held.objects, objects):
            self._sheets, self._parts = {}, {}
            self._around = held = Surroundings(objects, profile)
        return held

    def sheets(self, ingresses: Iterable[Ingress], around: Surroundings) -> list[Sheet]:
        """The sheet of each Ingress; of one that is the same object as in the translation before the same."""
        known = self._sheets
        sheets = [known.get(id(ingress)) or around.sheet(ingress) for ingress in ingresses]
        # Each holds its Ingress: an id is a name only while its object lives.
        self._sheets = {id(s.ingress): s for s in sheets}
        return sheets

    def groups(self, sheets: Sequence[Sheet]) -> list[list[Sheet]]:
        """Ingresses in groups (``together``); as before where every Ingress has the hosts it had."""
        hosts = [sheet.hosts for sheet in sheets]
        if hosts != self._grouped[0]:
            self._grouped = hosts, together(hosts)
        return [[sheets[number] for number in group] for group in self._grouped[1]]

    def parts(
        self, groups: Sequence[Sequence[Sheet]], around: Surroundings, make: Callable[[Sequence[Sheet]], Part]
    ) -> list[Part]:
        """The part of each group of Ingresses; of those that were a part in the translation before the same."""
        if self._policies != around.policies:
            self._policies, self._parts = around.policies, {}
        known = self._parts
        keys = [tuple(map(id, group)) for group in groups]
        self._parts = {key: known.get(key) or (group, make(group)) for key, group in zip(keys, groups, strict=True)}
        return [part for _, part in self._parts.values()]


def _same_but_ingresses(one: KubeObjects, other: KubeObjects) -> bool:
    return all(
        getattr(one, name) is getattr(other, name) or getattr(one, name) == getattr(other, name)
        for name in KubeObjects.__dataclass_fields__
        if name != "ingresses"
    )


def sharing(ingresses: Iterable[Ingress], hosts: Iterable[str]) -> frozenset[str]:
    """Some hosts with all that may have a say about them: wildcards above them, and hosts of Ingresses that they share."""
    of_host: dict[str, list[frozenset[str]]] = {}
    for ingress in ingresses:
        mine = hosts_of(ingress)
        for host in mine:
            of_host.setdefault(host, []).append(mine)
    found: set[str] = set()
    new = set(hosts)
    while new:
        host = new.pop()
        found.add(host)
        rest = host.removeprefix("*.").partition(".")[2]
        new.add(f"*.{rest}" if rest else "*")
        for mine in of_host.pop(host, ()):
            new |= mine
        new -= found
    return frozenset(found)


def hosts_of(ingress: Ingress) -> frozenset[str]:
    """Hosts for which an Ingress may have a say."""
    hosts = {rule.host or "*" for rule in ingress.spec.rules or ()}
    if ingress.spec.defaultBackend is not None:
        hosts.add("*")
    return frozenset(hosts)


def together(hosts: Sequence[frozenset[str]]) -> list[list[int]]:
    """Ingresses, by their numbers and given the hosts of each, in groups: those that share a host, or share one with one that does."""
    group_of: dict[str, list[int]] = {}
    hosts_of: dict[int, list[str]] = {}
    groups: dict[int, list[int]] = {}
    for number, mine in enumerate(hosts):
        meeting = {id(g): g for host in mine if (g := group_of.get(host)) is not None}
        group = max(meeting.values(), key=len, default=[])
        for other in meeting.values():
            if other is not group:
                group += other
                for host in hosts_of.pop(id(other)):
                    group_of[host] = group
                    hosts_of[id(group)].append(host)
                del groups[id(other)]
        group.append(number)
        groups[id(group)] = group
        known = hosts_of.setdefault(id(group), [])
        for host in mine:
            if group_of.get(host) is not group:
                group_of[host] = group
                known.append(host)
    return sorted(sorted(group) for group in groups.values())


def joined(
    parts: Sequence[Part], groups: Sequence[Sequence[Sheet]], sheets: Sequence[Sheet], around: Surroundings
) -> Expectation:
    """All parts as one expectation."""
    of_sheet = {
        id(s): plans
        for group, part in zip(groups, parts, strict=True)
        for s, plans in zip(group, part.plans, strict=True)
    }
    tables: dict[Place, tuple[ExpectedRoute, ...]] = {}
    secrets: dict[str, tuple[str, str]] = {}
    for part in parts:
        tables.update(part.tables)
        secrets.update(part.secrets)
    asking = any(s.protects for s in sheets)
    mine = (s.ingress for s in sorted(sheets, key=lambda s: s.age) if s.selected) if asking else ()
    cluster_policies = Tables(around.backends, around.profile, around.policies, {}, _none).cluster_policies(tables)
    return Expectation(
        Plans(*[of_sheet[id(sheet)] for sheet in sheets]),
        tables,
        secrets,
        around.profile,
        tuple(sorted(crash for part in parts for crash in part.crashes)),
        frozenset().union(*(part.open for part in parts if part.open)),
        tuple(sorted((each for part in parts for each in part.meaningless), key=lambda each: each[:2])),
        cluster_policies,
        around.backends.registries.hosts,
        around.certificates.invalid,
        tuple(unprotected(around.objects, secrets, mine, around.profile)),
        tuple(rule for part in parts for rule in part.unmodelled),
    )


def _none(_: RuleIndex, __: str, ___: RuleIndex | None) -> None:
    raise AssertionError  # pragma: no cover - nothing is refused by what all parts share
