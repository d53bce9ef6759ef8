"""Attribution: the stage that lost a rule, named no finer than the views that were read allow, and its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from xdsaudit.audit.judge import Judgement, Missing
from xdsaudit.audit.validate import Flaw, flaw_of
from xdsaudit.audit.world import PIPELINE, World
from xdsaudit.model.route import MatchKey, Place, Route
from xdsaudit.model.verdict import Stage
from xdsaudit.model.view import View, ViewName

Lacks = Callable[[Judgement, int], bool]


class Where(NamedTuple):
    """The first view that lacks a rule (or serves it differently), and the stage that this proves."""

    last_seen: ViewName
    first_missing: ViewName
    stage: Stage | None


def locate(world: World, rule: int, lacks: Lacks) -> Where | None:
    """Where along the pipeline a rule is first lacking, or None when every view that was read has it."""
    last = ViewName.INGRESS
    for name in PIPELINE:
        judged = world.read(name)
        if any(lacks(j, rule) for j in judged):
            return Where(last, name, _stage(world, name))
        if judged:
            last = name
    return None


def _stage(world: World, missing: ViewName) -> Stage | None:
    """The edge before the first view that lacks a rule, coarser where the view before it was not read."""
    core, fresh, pilot = (bool(world.read(n)) for n in (ViewName.CORE, ViewName.PILOT_FRESH, ViewName.PILOT))
    if missing is ViewName.CORE:
        return Stage.TRANSLATION
    if missing is ViewName.PILOT_FRESH:
        return Stage.GENERATION if core else Stage.CONTROL_PLANE
    if missing is ViewName.PILOT:
        if fresh:
            return Stage.CACHE
        return Stage.PILOT if core else Stage.CONTROL_PLANE
    # Only pilot's own answer tells its stages from delivery.
    return Stage.DELIVERY if pilot else None


class Culprit(NamedTuple):
    """A route that makes Envoy refuse the response it came in."""

    rule: int | None
    place: Place
    route: Route
    flaw: Flaw


@dataclass
class Rejection:
    """What a gateway refuses of what pilot serves now."""

    gateway: View
    culprits: list[Culprit] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    counted: bool = False

    @property
    def proven(self) -> bool:
        """Whether something shows a rejection: a route that Envoy refuses, or a counter beside the difference."""
        return self.counted or any(c.flaw.sure for c in self.culprits)


def rejections(world: World) -> dict[str | None, Rejection]:
    """Rejections by gateway: standing differences to pilot, and the routes in them that Envoy must refuse."""
    found: dict[str | None, Rejection] = {}
    pilots = world.read(ViewName.PILOT)
    if not pilots:
        return found
    for judged in world.read(ViewName.GATEWAY):
        gateway = judged.view
        held = {
            rule
            for rule in (*judged.missing, *judged.changed)
            if all(rule not in p.missing and rule not in p.changed for p in pilots)
        }
        if not held or gateway.connected is False:
            continue
        rejection = Rejection(gateway, held=held)
        places = _places(world, held)
        guilty = [c for p in pilots for place in places for c in _culprits(world, p.view, gateway, place)]
        once = {(c.rule, c.route.name if c.rule is None else "", c.flaw): c for c in reversed(guilty)}
        rejection.culprits = sorted(once.values(), key=lambda c: not c.flaw.sure)
        tables = {t.resource for p in pilots for place in places if (t := p.view.tables.get(place))}
        rejection.counted = any(f"rds.{t}" in gateway.rejected for t in tables)
        if rejection.proven or rejection.culprits:
            found[gateway.replica] = rejection
    return found


def _places(world: World, rules: set[int]) -> list[Place]:
    return [
        place
        for place, routes in world.expectation.tables.items()
        if any(rule in rules for route in routes for rule in route.rules)
    ]


def _culprits(world: World, pilot: View, gateway: View, place: Place) -> list[Culprit]:
    table = pilot.tables.get(place)
    if table is None:
        return []
    there = gateway.tables.get(place)
    running: dict[tuple[MatchKey, str], list[Route]] = {}
    for route in there.routes if there else ():
        running.setdefault((route.key, route.name), []).append(route)
    owners = {(e.key, e.name): e.rules[0] for e in world.expectation.tables.get(place, ()) if e.rules}
    found = []
    for route in table.routes:
        if any(r[:4] == route[:4] for r in running.get((route.key, route.name), ())):
            continue  # what the gateway runs already cannot be what it refuses
        flaw = flaw_of(route, gateway)
        if flaw is not None:
            found.append(Culprit(owners.get((route.key, route.name)), place, route, flaw))
    return found


def delivery_slug(rejected: dict[str | None, Rejection], judged: Judgement, rule: int) -> str:
    """Why a gateway does not have what pilot serves, by the strongest evidence (disconnection outranks all)."""
    gateway = judged.view
    if gateway.connected is False:
        return "gateway-disconnected"
    reasons = {m.reason for m in judged.missing.get(rule, ())}
    if "no-chain" in reasons:
        return "listener-rejected" if any(li.error for li in gateway.listeners or ()) else "no-filter-chain"
    rejection = rejected.get(gateway.replica)
    if rejection is not None and rule in rejection.held:
        return "envoy-rejected"
    if "not-fetched" in reasons:
        return "table-not-fetched"
    if "no-scope" in reasons:
        return "scope-not-applied"
    return "not-delivered"


def control_plane_slug(stage: Stage | None, missing: list[Missing], host: str) -> str:
    """Why the control plane does not serve a rule, as far as the stage and what is missing tell."""
    if stage is Stage.TRANSLATION:
        return "not-translated"
    if stage is Stage.CACHE:
        return "stale-route-cache"
    if stage is None:
        return "differs-in-gateway"
    reasons = {m.reason for m in missing}
    if "blackhole" in reasons or single_label(host):
        return "blackhole-table"
    if stage is Stage.CONTROL_PLANE:
        return "lost-in-control-plane"
    if "no-scope" in reasons:
        return "scope-missing"
    return "route-omitted" if stage is Stage.GENERATION else "lost-in-pilot"


def single_label(host: str) -> bool:
    """Whether a host has a single label, which pilot expands to another name than the gateway keeps."""
    return host != "*" and "." not in host
