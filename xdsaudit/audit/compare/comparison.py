"""What a change of Ingresses, or of the controller's version, changes for clients: by translation on both sides, request by request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from xdsaudit.audit.compare.answers import Answering, Change, Differences, Side, differences
from xdsaudit.audit.requests.request import Request
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute
from xdsaudit.ingress.objects import KubeObjects
from xdsaudit.ingress.plugin_objects import WasmPlugin
from xdsaudit.ingress.policy import TrafficPolicy
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.model.plain import as_mapping
from xdsaudit.model.route import Fields, Place, Route, clusters_of_fields, ingress_of
from xdsaudit.model.verdict import Rule
from xdsaudit.model.view import View


class Answer(NamedTuple):
    """What answers a request on one side.

    Attributes:
        rule: whose route; None where none answers or it is nobody's.
        route: the name of the route; empty where none answers.
        does: where it goes, in words.
    """

    rule: Rule | None
    route: str
    does: str

    def __str__(self) -> str:
        return f"{self.rule or self.route} {self.does}".strip() if self.route else self.does


class Changed(NamedTuple):
    """Requests that get another answer: an example, and who answers it before and after; ``fields`` differ between the two."""

    request: Request
    before: Answer
    after: Answer
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f" ({', '.join(self.fields)})" if self.fields else ""
        return f"{self.request}: {self.before} -> {self.after}{what}"


@dataclass(frozen=True)
class Comparison:
    """Two sides held against each other.

    Attributes:
        changed: every kind of request that is answered differently, with an example each.
        certificates: hosts whose certificate is another, with both Secrets.
        refused: rules that are refused after and were not before.
        cured: rules that were refused before and are not after.
        notes: what depends on the gateway's version.
        doubts: why it is not proved that nothing else changes; empty where it is.
    """

    changed: tuple[Changed, ...]
    certificates: tuple[tuple[str, str, str], ...] = ()
    refused: tuple[tuple[Rule, str], ...] = ()
    cured: tuple[tuple[Rule, str], ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether nothing else changes."""
        return not self.doubts

    @property
    def same(self) -> bool:
        """Whether nothing was found to change."""
        return not (self.changed or self.certificates or self.refused or self.cured)


def compare_objects(before: KubeObjects, after: KubeObjects, profile: Profile, to: Profile | None = None) -> Comparison:
    """What changes from one set of objects to another, or from one controller to another.

    Args:
        before: the objects that are.
        after: the objects that will be.
        profile: of the controller that is.
        to: of the controller that will be; None for the same.
    """
    return of_expectations(translate(before, profile), translate(after, to or profile), before, after)


def of_expectations(one: Expectation, two: Expectation, before: KubeObjects, after: KubeObjects) -> Comparison:
    """The same for what was translated already."""
    numbers = _Outcomes()
    sides = (_Expected(one, numbers), _Expected(two, numbers))
    profile = two.profile
    same = partial(_same, one, two, _moved(one.policies, two.policies))
    result = differences(*sides, scoped=profile.scoped_rds, https_port=profile.https_port, same=same)
    result.doubts += _not_modelled(one, two, before, after)
    if sorted(before.plugins or (), key=_ref) != sorted(after.plugins or (), key=_ref):
        result.doubts.append("the WasmPlugins are not the same, and what they do with requests is not compared")
    if sorted(before.registries or (), key=repr) != sorted(after.registries or (), key=repr):
        result.doubts.append("the registries of the McpBridge are not the same, and where they lead is not compared")
    for each in (one.profile, two.profile):
        if each.merge_subset:
            result.doubts.append("HOST_RDS_MERGE_SUBSET appends routes of wildcard hosts, which are not compared")
            break
    if (one.profile.scoped_rds, one.profile.https_port) != (profile.scoped_rds, profile.https_port):
        result.doubts.append("the two controllers serve hosts by different means (scoped RDS, ports)")
    refused = {p.rule: p.refusal for p in one.plans if p.refusal}, {p.rule: p.refusal for p in two.plans if p.refusal}
    known = {p.rule for p in one.plans}
    return Comparison(
        _grouped(_words(result, sides, one.policies, two.policies)),
        tuple(_certificates(one, two)),
        tuple((r, s) for r, s in refused[1].items() if r in known and r not in refused[0]),
        tuple((r, s) for r, s in refused[0].items() if r not in refused[1] and any(p.rule == r for p in two.plans)),
        tuple(_own_tables(one, two)),
        tuple(dict.fromkeys(result.doubts)),
    )


def of_views(one: View, two: View, profile: Profile) -> Comparison:
    """What two gateways, or two pilots, hold: the answers of the one held against those of the other."""
    numbers = _Outcomes()
    sides = (numbers.held(one, profile), numbers.held(two, profile))
    result = differences(*sides, scoped=two.scopes is not None, https_port=profile.https_port)
    if (one.scopes is None) is not (two.scopes is None):
        result.doubts.append("one side serves a table per host and the other does not")
    return Comparison(_grouped(_words(result, sides, {}, {})), doubts=tuple(dict.fromkeys(result.doubts)))


def _ref(plugin: WasmPlugin) -> str:
    return plugin.ref


Policies = Mapping[str, TrafficPolicy]


class _Outcomes:
    """Numbers for what routes do, so that equal answers are equal numbers."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._frozen: dict[int, tuple[Fields, object]] = {}

    def held(self, view: View, profile: Profile) -> Side:
        """The tables of a view."""
        return {
            place: [self._held(route, place, profile) for route in table.routes] for place, table in view.tables.items()
        }

    def _held(self, route: Route, place: Place, profile: Profile) -> Answering:
        number = self._number((route.cluster, self._plain(route.fields), ""))
        name = ingress_of(route.name, profile.system_namespace)
        rule = Rule(*name, place[1], route.key.value, None) if name else None
        doubt = "a part of it could not be decoded" if any(route.opaque or ()) else ""
        return Answering(route.key, number, rule, route, doubt)

    def _number(self, outcome: object) -> int:
        return self._numbers.setdefault(outcome, len(self._numbers))

    def answering(self, route: ExpectedRoute, expectation: Expectation) -> Answering:
        """What an expected route does."""
        asked = tuple((c, expectation.policies[c]) for c in _clusters(route) if c in expectation.policies)
        number = self._number((route.cluster, self._plain(route.fields), repr(asked)))
        rule = expectation.plans[route.rules[0]].rule if route.rules else None
        unread = ", ".join(sorted(route.uncertain))
        return Answering(route.key, number, rule, route, unread and f"its {unread} depends on what was not read")

    def _plain(self, fields: Fields) -> object:
        known = self._frozen.get(id(fields))
        if known is None or known[0] is not fields:
            known = self._frozen[id(fields)] = (fields, _frozen(fields))
        return known[1]


class _Expected(Mapping[Place, Sequence[Answering]]):
    """The tables of an expectation, each made when it is asked for."""

    def __init__(self, expectation: Expectation, numbers: _Outcomes) -> None:
        self._expectation, self._numbers = expectation, numbers
        self._made: dict[Place, list[Answering]] = {}

    def __getitem__(self, place: Place) -> list[Answering]:
        if place not in self._made:
            expectation, answering = self._expectation, self._numbers.answering
            self._made[place] = [answering(route, expectation) for route in expectation.tables[place]]
        return self._made[place]

    def __iter__(self) -> Iterator[Place]:
        return iter(self._expectation.tables)

    def __len__(self) -> int:
        return len(self._expectation.tables)

    def __contains__(self, place: object) -> bool:
        return place in self._expectation.tables


def _clusters(route: ExpectedRoute) -> list[str]:
    return [c for c in (route.cluster, *clusters_of_fields(route.fields)) if c]


def _moved(one: Policies, two: Policies) -> frozenset[str]:
    """Clusters that connections are made to in another way."""
    return frozenset(c for c in {**one, **two} if one.get(c) != two.get(c))


def _same(one: Expectation, two: Expectation, moved: frozenset[str], place: Place) -> bool:
    """Whether a place is certainly answered alike: two translations that share what did not change have the same table."""
    routes = one.tables.get(place)
    if routes is not two.tables.get(place):
        return False
    return not moved or moved.isdisjoint(c for route in routes or () for c in _clusters(route))


def _frozen(value: object) -> object:
    if isinstance(value, Mapping):
        return tuple(sorted((k, _frozen(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return value


def _not_modelled(one: Expectation, two: Expectation, before: KubeObjects, after: KubeObjects) -> list[str]:
    """Ingresses whose routes cannot be foretold and that are not the same on both sides."""
    objects = [{(i.namespace, i.metadata.name): i.spec for i in o.ingresses} for o in (before, after)]
    notes = [{(i.namespace, i.metadata.name): i.annotations for i in o.ingresses} for o in (before, after)]
    reasons = []
    for plan in (*one.plans, *two.plans):
        key = (plan.rule.namespace, plan.rule.ingress)
        if not plan.unknown or not plan.selected:
            continue
        same = objects[0].get(key) == objects[1].get(key) and notes[0].get(key) == notes[1].get(key)
        if not same or one.profile.version != two.profile.version:
            reasons.append(f"{plan.rule.ref} is not modelled: {plan.unknown}")
    return reasons


def _own_tables(one: Expectation, two: Expectation) -> Iterator[str]:
    """Hosts that get, or lose, a table of their own under a wildcard: what none of its routes match is then somebody else's."""
    if not two.profile.scoped_rds:
        return
    for here, there, verb in ((two, one, "gets"), (one, two, "loses")):
        for place in sorted({*here.tables} - {*there.tables}):
            covering = here.covering(place)
            if covering and place[0] == two.profile.http_port:
                yield (
                    f"{place[1]} {verb} a table of its own: requests that none of its routes match are looked up in {covering[0][1]} "
                    "only by gateways that know retry_other_scope_when_not_found; with others they are 404"
                )


def _certificates(one: Expectation, two: Expectation) -> Iterator[tuple[str, str, str]]:
    for host in sorted({*one.secrets} & {*two.secrets}):
        if one.secrets[host] != two.secrets[host]:
            yield host, "/".join(one.secrets[host]), "/".join(two.secrets[host])


def _words(result: Differences, sides: tuple[Side, Side], one: Policies, two: Policies) -> Iterator[Changed]:
    for change in result.changes:
        before, after = _answer(change, change.before, sides[0]), _answer(change, change.after, sides[1])
        fields: tuple[str, ...] = ()
        if change.before is not None and change.after is not None:
            fields = tuple(_differing(change.before, change.after, one, two))
        yield Changed(change.request, before, after, fields)


def _grouped(changed: Iterable[Changed]) -> tuple[Changed, ...]:
    """One of all that say the same of one host: the routes of a rule, on both ports."""
    kept: dict[tuple[object, ...], Changed] = {}
    for each in changed:
        kept.setdefault((each.request.host, each.before, each.after, each.fields), each)
    return tuple(kept.values())


def _answer(change: Change, route: Answering | None, side: Side) -> Answer:
    if route is None:
        host, port = change.request.host, change.request.port
        if change.request.secure and not any(p == port and _under(h, host) for p, h in side):
            return Answer(None, "", "no TLS for this host")
        return Answer(None, "", "404")
    return Answer(route.rule, route.route.name, _does(route.route))


def _under(pattern: str, host: str) -> bool:
    return pattern in (host, "*") or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _does(route: ExpectedRoute | Route) -> str:
    if route.cluster is not None:
        return f"to {_service(route.cluster)}"
    redirect = as_mapping(route.fields.get("redirect"))
    if redirect:
        return f"redirected to {redirect.get('scheme_redirect', 'http')}://{redirect.get('host_redirect', '')}{redirect.get('path_redirect', '')}"
    clusters = clusters_of_fields(route.fields)
    return f"to {', '.join(map(_service, clusters))}" if clusters else "to what its filters decide"


def _service(cluster: str) -> str:
    """A cluster as people name it: the host and port."""
    parts = cluster.split("|")
    return f"{parts[3]}:{parts[1]}" if len(parts) == 4 else cluster


def _differing(before: Answering, after: Answering, one: Policies, two: Policies) -> Iterator[str]:
    """Names of the fields that differ where the request goes to the same place."""
    was, will = before.route, after.route
    if was.cluster != will.cluster or _does(was) != _does(will):
        return
    names = sorted({*was.fields, *will.fields} - {"max_grpc_timeout"})  # what timeout says is said once
    for name in names:
        if was.fields.get(name) != will.fields.get(name):
            old, new = was.fields.get(name), will.fields.get(name)
            simple = all(v is None or isinstance(v, str | int | bool) for v in (old, new))
            yield f"{name} {old} -> {new}" if simple else name
    if was.cluster is not None and one.get(was.cluster) != two.get(was.cluster):
        yield "connections to the backend"
