"""The routes of a host or of an Ingress as one view holds them, and two views side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from xdsaudit.audit.case import World
from xdsaudit.audit.compare.align import Comparer
from xdsaudit.audit.plugins.acting import plugins_for
from xdsaudit.audit.requests.example import host_of
from xdsaudit.audit.requests.request import Request
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.ingress.plugins import plan_plugins
from xdsaudit.model.plain import as_mapping
from xdsaudit.model.route import Fields, MatchKey, Place, Route, ingress_of, weights_of
from xdsaudit.model.sensitive import Masks
from xdsaudit.model.verdict import FieldDelta, Rule
from xdsaudit.model.view import View, ViewName

VIEWS: Final[Mapping[str, ViewName | None]] = {
    "expected": None,
    "core": ViewName.CORE,
    "fresh": ViewName.PILOT_FRESH,
    "pilot": ViewName.PILOT,
    "gateway": ViewName.GATEWAY,
}
"""Views by the words of the command line; ``expected`` is what the Ingresses ask for."""
Served = Route | ExpectedRoute


@dataclass(frozen=True)
class RouteQuery:
    """Whose routes: of a host, or of an Ingress (``namespace/name``); without either, all."""

    host: str | None = None
    ref: str | None = None


class Shown(NamedTuple):
    """A route for people.

    Attributes:
        number: its place in the list that is tried in order, from 1.
        match: what it matches.
        to: the cluster it goes to, or what it does instead.
        fields: what else it does; credentials are masked.
        rule: whose it is, None for nobody's.
        name: its own.
        plugins: those that act on its requests, in their order, as pilot and gateways have them; one that may act has a ``?``.
    """

    number: int
    match: str
    to: str
    fields: Fields
    rule: Rule | None
    name: str
    plugins: tuple[str, ...] = ()


class Listing(NamedTuple):
    """The routes of one port and host; ``replicas`` hold exactly the same (empty for the expectation)."""

    view: str
    replicas: tuple[str, ...]
    port: int
    host: str
    routes: tuple[Shown, ...]


class Line(NamedTuple):
    """One line of a comparison.

    Attributes:
        sign: ``" "`` in both, ``-`` in the first alone, ``+`` in the second alone, ``~`` in both and different.
        route: as the first view has it, or the second where that alone has it.
        deltas: what differs, of a ``~``.
        moved: whether the other view has the same route in another place.
    """

    sign: str
    route: Shown
    deltas: tuple[FieldDelta, ...] = ()
    moved: bool = False


class ViewPair(NamedTuple):
    """Two views of one port and host."""

    first: str
    second: str
    replicas: tuple[tuple[str, ...], tuple[str, ...]]
    port: int
    host: str
    lines: tuple[Line, ...]

    @property
    def equal(self) -> bool:
        """Whether both hold the same routes in the same order."""
        return all(line.sign == " " for line in self.lines)


class _Held(NamedTuple):
    replicas: tuple[str, ...]
    tables: Mapping[Place, tuple[Served, ...]]
    view: View | None = None


def listings(world: World, wanted: RouteQuery, view: str) -> tuple[Listing, ...]:
    """The routes of one view, by port and host; replicas that hold the same in one listing."""
    by_content: dict[object, Listing] = {}
    for held in _held(world, view):
        for place in _places(world, wanted, (held.tables,)):
            routes = held.tables.get(place, ())
            every = _with_plugins(world, held.view, place, routes, _all_shown(world, place, routes))
            shown = tuple(_mine(wanted, every))
            if not shown:
                continue
            key = (place, repr(shown))
            before = by_content.get(key)
            replicas = (*before.replicas, *held.replicas) if before is not None else held.replicas
            by_content[key] = Listing(view, replicas, *place, shown)
    return tuple(sorted(by_content.values(), key=lambda each: (each.port, each.host, each.replicas)))


def compared(world: World, wanted: RouteQuery, first: str, second: str) -> tuple[ViewPair, ...]:
    """Two views side by side, by port and host; each kind of replica of the one with each of the other."""
    by_content: dict[object, ViewPair] = {}
    for one in _held(world, first):
        for two in _held(world, second):
            for place in _places(world, wanted, (one.tables, two.tables)):
                lines = tuple(_lines(world, wanted, place, one, two, second))
                if not lines:
                    continue
                key = (place, repr(lines))
                names = (one.replicas, two.replicas)
                if key in by_content:
                    before = by_content[key].replicas
                    names = (_joined(before[0], one.replicas), _joined(before[1], two.replicas))
                by_content[key] = ViewPair(first, second, names, *place, lines)
    return tuple(sorted(by_content.values(), key=lambda each: (each.port, each.host, each.replicas)))


def _joined(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _held(world: World, view: str) -> Iterator[_Held]:
    name = VIEWS[view]
    if name is None:
        yield _Held((), world.expectation.tables)
        return
    for judged in world.read(name):
        tables = {place: table.routes for place, table in judged.view.tables.items()}
        yield _Held((judged.view.replica,) if judged.view.replica else (), tables, judged.view)


def _with_plugins(
    world: World, view: View | None, place: Place, routes: Sequence[Served], shown: Iterable[Shown]
) -> Iterator[Shown]:
    """Each route with the plugins on the way of its requests; plugins look at host, route and service alone."""
    if view is None or not any(chain.slots for chain in view.chains):
        yield from shown
        return
    plans = {p.filter_name: p for p in plan_plugins(world.objects.plugins or (), world.expectation.profile)}
    request = Request(place[0] == world.expectation.profile.https_port, place[0], host_of(place[1], None), "/")
    for route, each in zip(routes, shown, strict=True):
        acting = plugins_for(view, request, route, plans) if isinstance(route, Route) else ()
        names = tuple(p.plugin if p.acts else f"{p.plugin}?" for p in acting if p.acts is not False)
        yield each._replace(plugins=names)


def _places(world: World, wanted: RouteQuery, tables: Sequence[Mapping[Place, tuple[Served, ...]]]) -> list[Place]:
    """The places of a host: its own, or those of the wildcard that covers it; of an Ingress, where it has a route."""
    every = {place for held in tables for place in held}
    if wanted.host is not None:
        host = wanted.host.lower()
        for candidate in _covering(host):
            mine = [p for p in every if p[1].lower() == candidate]
            if mine:
                return sorted(mine)
        return []
    if wanted.ref is None:
        return sorted(every)
    system = world.expectation.profile.system_namespace
    return sorted(
        place
        for place in every
        if any("/".join(ingress_of(r.name, system) or ()) == wanted.ref for held in tables for r in held.get(place, ()))
    )


def _covering(host: str) -> Iterator[str]:
    """The host itself, then wildcards from the longest on, as Envoy chooses a virtual host."""
    yield host
    rest = host.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    yield "*"


def _mine(wanted: RouteQuery, shown: Iterable[Shown]) -> Iterator[Shown]:
    return (s for s in shown if wanted.ref is None or (s.rule is not None and s.rule.ref == wanted.ref))


def _lines(world: World, wanted: RouteQuery, place: Place, one: _Held, two: _Held, second: str) -> Iterator[Line]:
    left, right = tuple(one.tables.get(place, ())), tuple(two.tables.get(place, ()))
    shown = [_all_shown(world, place, side) for side in (left, right)]
    keys = [[(r.key, r.name) for r in side] for side in (left, right)]
    comparer = Comparer()
    name = VIEWS[second] or ViewName.INGRESS
    for line, index in _matched(keys, shown):
        if line.sign == " ":
            there = right[index]
            here = left[line.route.number - 1]
            deltas = _deltas(comparer, here, there, name, two.replicas[0] if two.replicas else None)
            line = line._replace(sign="~" if deltas else " ", deltas=deltas)  # noqa: PLW2901 - the same line, judged
        if wanted.ref is None or (line.route.rule is not None and line.route.rule.ref == wanted.ref):
            yield line


def _matched(
    keys: Sequence[Sequence[tuple[MatchKey, str]]], shown: Sequence[Sequence[Shown]]
) -> Iterator[tuple[Line, int]]:
    """Lines in order, and for those in both views the place in the second."""
    for kind, i, i_end, j, j_end in SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_opcodes():
        if kind == "equal":
            for step in range(i_end - i):
                yield Line(" ", shown[0][i + step]), j + step
            continue
        for n in range(i, i_end):
            yield Line("-", shown[0][n], (), keys[0][n] in keys[1]), -1
        for n in range(j, j_end):
            yield Line("+", shown[1][n], (), keys[1][n] in keys[0]), -1


def _deltas(
    comparer: Comparer, here: Served, there: Served, view: ViewName, replica: str | None
) -> tuple[FieldDelta, ...]:
    if here.cluster is None and not here.fields and isinstance(here, Route):
        return ()  # core tells a match and its destination at most
    if isinstance(there, ExpectedRoute):
        if isinstance(here, ExpectedRoute):
            return ()
        deltas = comparer.deltas(there, here, view, replica)
        return tuple(d._replace(expected=d.actual, actual=d.expected) for d in deltas)
    if there.cluster is None and not there.fields:
        return ()
    wanted = (
        here if isinstance(here, ExpectedRoute) else ExpectedRoute(here.key, here.name, here.fields, here.cluster, ())
    )
    return tuple(comparer.deltas(wanted, there, view, replica))


def _all_shown(world: World, place: Place, routes: Iterable[Served]) -> tuple[Shown, ...]:
    owners = _owners(world, place)
    return tuple(_shown(world, owners, place, n, r) for n, r in enumerate(routes, 1))


def _shown(world: World, owners: Owners, place: Place, number: int, route: Served) -> Shown:
    shown = {k: v for k, v in route.fields.items() if v is not None and k != "weighted_clusters"}
    fields = as_mapping(Masks().masked(shown))
    return Shown(number, str(route.key), goes_to(route), fields, _owner(world, owners, place, route), route.name)


def goes_to(route: Served) -> str:
    """Where a route sends a request: a cluster, several with their weights, or what answers instead."""
    if route.cluster is not None:
        return route.cluster
    weighted = weights_of(route.fields)
    if weighted:
        return ", ".join(f"{c.get('name')} ({c.get('weight', 0)})" for c in weighted)
    for name in ("redirect", "direct_response"):
        if route.fields.get(name):
            return f"a {name.replace('_', ' ')}"
    return "what its filters decide" if route.fields else "(the view does not tell)"


Owners = Mapping[tuple[object, str], Rule]


def _owners(world: World, place: Place) -> Owners:
    plans = world.expectation.plans
    listed = world.expectation.tables.get(place, ())
    return {(e.key, e.name): plans[e.rules[0]].rule for e in reversed(listed) if e.rules}


def _owner(world: World, owners: Owners, place: Place, route: Served) -> Rule | None:
    """The rule whose route this is; an Ingress that is gone gives a rule of its name alone."""
    known = owners.get((route.key, route.name))
    ingress = ingress_of(route.name, world.expectation.profile.system_namespace) if known is None else None
    return Rule(*ingress, place[1], route.key.value, None) if ingress else known
