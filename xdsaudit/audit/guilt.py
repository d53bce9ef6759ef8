"""Who is to blame for a route that several Ingresses make: a canary changes its base's route, and may be what Envoy refuses."""

from __future__ import annotations

from dataclasses import replace

from xdsaudit.audit.case import World
from xdsaudit.audit.compare.flaws import Flaw, flaw_of
from xdsaudit.ingress.expectation import RuleIndex
from xdsaudit.ingress.translate import translate
from xdsaudit.model.route import Place, Route
from xdsaudit.model.view import View


def guilty(world: World, place: Place, route: Route, flaw: Flaw, gateway: View) -> RuleIndex | None:
    """The rule whose Ingress gives a route its flaw: the canary without which it has none, else the first; None for a stranger's.

    Args:
        world: the case.
        place: where the route stands.
        route: as pilot serves it.
        flaw: why Envoy refuses it.
        gateway: whose Envoy does.
    """
    tables = world.expectation.tables.get(place, ())
    indices = next((e.rules for e in tables if (e.key, e.name) == (route.key, route.name) and e.rules), ())
    plans = world.expectation.plans
    refs = {index: plans[index].rule.ref for index in indices}
    for canary in indices[1:]:
        left = set(refs.values()) - {refs[canary]}
        mine = tuple(i for i in world.objects.ingresses if i.ref in left)
        without = translate(replace(world.objects, ingresses=mine), world.expectation.profile).tables.get(place, ())
        alike = [Route(e.key, e.name, e.fields, e.cluster) for e in without if e.key == route.key]
        if alike and all(flaw_of(r, gateway) != flaw for r in alike):
            return canary
    return indices[0] if indices else None
