"""The stage that lost a rule, named no finer than the views that were read allow, and what gateways refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from xdsaudit.audit.case import World
from xdsaudit.audit.compare.flaws import Flaw, flaw_of
from xdsaudit.audit.compare.view import Judgement
from xdsaudit.audit.connections import node_id
from xdsaudit.audit.guilt import guilty
from xdsaudit.audit.signs import LISTENER, UNSUBSCRIBED, dropped, listener_error
from xdsaudit.ingress.expectation import RuleIndex
from xdsaudit.model.route import MatchKey, Place, Route
from xdsaudit.model.verdict import Stage
from xdsaudit.model.view import PIPELINE, State, View, ViewName

Lacks = Callable[[Judgement, RuleIndex], bool]


class Where(NamedTuple):
    """The first view that lacks a rule (or serves it differently), the stage that this proves, and the replicas that prove it."""

    last_seen: ViewName
    first_missing: ViewName
    stage: Stage | None
    proof: tuple[Judgement, ...]


def locate(world: World, rejected: Mapping[str | None, Rejection], index: RuleIndex, lacks: Lacks) -> Where | None:
    """Where along the pipeline a rule is first lacking, or None when every view that was read has it."""
    last = ViewName.INGRESS
    for name in PIPELINE:
        judged = world.read(name)
        lacking = tuple(j for j in judged if lacks(j, index))
        if lacking:
            stage = _stage(world, name, lacking, rejected)
            if stage is Stage.DELIVERY:
                lacking = tuple(j for j in lacking if _fed(world, j, rejected))
            return Where(last, name, stage, lacking)
        if judged:
            last = name
    return None


def _stage(
    world: World, missing: ViewName, lacking: Sequence[Judgement], rejected: Mapping[str | None, Rejection]
) -> Stage | None:
    """The edge before the first view that lacks a rule, coarser where the view before it was not read."""
    core = bool(world.read(ViewName.CORE))
    if missing is ViewName.CORE:
        return Stage.TRANSLATION
    if missing is ViewName.PILOT_FRESH:
        return Stage.GENERATION if core else Stage.CONTROL_PLANE
    if missing is ViewName.PILOT:
        # Caches are each pilot's own: only its own private line tells its cache from its generation.
        fresh = {j.view.replica for j in world.read(ViewName.PILOT_FRESH)}
        if any(j.view.replica in fresh for j in lacking):
            return Stage.CACHE
        return Stage.PILOT if core else Stage.CONTROL_PLANE
    # Only the answer of the pilot that serves a gateway tells pilot's stages from delivery.
    return Stage.DELIVERY if any(_fed(world, j, rejected) for j in lacking) else None


def _fed(world: World, gateway: Judgement, rejected: Mapping[str | None, Rejection]) -> bool:
    """Whether what this gateway is served was read: by its own pilot, or by all that were asked where nobody tells which."""
    replica = gateway.view.replica
    read = {j.view.replica for j in world.read(ViewName.PILOT)}
    if not read:
        return False
    if gateway.view.connected is False or replica in rejected:
        return True
    listed = world.attached.get(replica)
    if listed:
        return any(pilot in read for pilot in listed)
    return not any(i.name is ViewName.PILOT and i.state is State.UNREAD for i in world.infos)


@dataclass(frozen=True)
class Culprit:
    """A route that makes Envoy refuse the response it came in."""

    index: RuleIndex | None
    place: Place
    route: Route
    flaw: Flaw


@dataclass
class Rejection:
    """What a gateway refuses of what pilot serves now."""

    gateway: View
    culprits: list[Culprit] = field(default_factory=list)
    held: set[RuleIndex] = field(default_factory=set)
    counted: bool = False
    reported: bool = False
    unacknowledged: bool = False

    @property
    def proven(self) -> bool:
        """Whether something shows a rejection: a route that Envoy refuses, or a counter beside the difference."""
        return self.counted or self.reported or any(c.flaw.sure for c in self.culprits)


def rejections(world: World) -> dict[str | None, Rejection]:
    """Rejections by gateway: standing differences to pilot, and the routes in them that Envoy must refuse."""
    found: dict[str | None, Rejection] = {}
    pilots = world.read(ViewName.PILOT)
    if not pilots:
        return found
    for judged in world.read(ViewName.GATEWAY):
        gateway = judged.view
        held = {
            index
            for index in (*judged.missing, *judged.changed)
            if all(index not in p.missing and index not in p.changed for p in pilots) and _of_table(judged, index)
        }
        if not held or gateway.connected is False:
            continue
        rejection = Rejection(gateway, held=held)
        places = _places(world, held)
        guilty = [c for p in pilots for place in places for c in _culprits(world, p.view, gateway, place)]
        once = {(c.index, c.route.name if c.index is None else "", c.flaw): c for c in reversed(guilty)}
        rejection.culprits = sorted(once.values(), key=lambda c: not c.flaw.sure)
        tables = {t.resource for p in pilots for place in places if (t := p.view.tables.get(place))}
        rejection.counted = any(f"rds.{t}" in gateway.rejected for t in tables)
        node = node_id(judged)
        refused = (p.view.pilot.rejects or {} for p in pilots if p.view.pilot is not None)
        rejection.reported = any("RDS" in nodes.get(node, ()) for nodes in refused)
        states = (p.view.proxies.get(node) for p in pilots)
        rejection.unacknowledged = any("RDS" in s.unacknowledged for s in states if s is not None)
        if rejection.proven or rejection.culprits:
            found[gateway.replica] = rejection
    return found


def _of_table(judged: Judgement, index: RuleIndex) -> bool:
    """Whether a rule differs in the gateway's route table itself, which alone a refused route table can explain."""
    missing = judged.missing.get(index, ())
    reasons = {m.reason for m in missing}
    if missing:
        return not reasons <= (UNSUBSCRIBED if listener_error(judged.view) else LISTENER)
    fields = [d.field for d in judged.changed.get(index, ())]
    beside = all(f.startswith(("cluster.", "tls.", "destination_rule", "service_entry")) for f in fields)
    return not beside and not dropped(judged, index)


def _places(world: World, indices: set[RuleIndex]) -> list[Place]:
    return [
        place
        for place, routes in world.expectation.tables.items()
        if any(index in indices for route in routes for index in route.rules)
    ]


def _culprits(world: World, pilot: View, gateway: View, place: Place) -> list[Culprit]:
    table = pilot.tables.get(place)
    if table is None:
        return []
    there = gateway.tables.get(place)
    running: dict[tuple[MatchKey, str], list[Route]] = {}
    for route in there.routes if there else ():
        running.setdefault((route.key, route.name), []).append(route)
    found = []
    for route in table.routes:
        if any(r[:4] == route[:4] for r in running.get((route.key, route.name), ())):
            continue  # what the gateway runs already cannot be what it refuses
        flaw = flaw_of(route, gateway)
        if flaw is not None:
            found.append(Culprit(guilty(world, place, route, flaw, gateway), place, route, flaw))
    return found
