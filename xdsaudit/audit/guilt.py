"""Who is to blame for a route that several Ingresses make: a canary changes its base's route, and may be what Envoy refuses."""

from __future__ import annotations

from dataclasses import replace

from xdsaudit.audit.case import World
from xdsaudit.audit.compare.flaws import Flaw, flaw_of
from xdsaudit.ingress.translate import translate
from xdsaudit.model.route import Place, Route
from xdsaudit.model.view import View


def guilty(world: World, place: Place, route: Route, flaw: Flaw, gateway: View) -> int | None:
    """The rule whose Ingress gives a route its flaw: the canary without which it has none, else the first; None for a stranger's.

    Args:
        world: the case.
        place: where the route stands.
        route: as pilot serves it.
        flaw: why Envoy refuses it.
        gateway: whose Envoy does.
    """
    tables = world.expectation.tables.get(place, ())
    rules = next((e.rules for e in tables if (e.key, e.name) == (route.key, route.name) and e.rules), ())
    plans = world.expectation.plans
    refs = {rule: plans[rule].rule.ref for rule in rules}
    for canary in rules[1:]:
        left = set(refs.values()) - {refs[canary]}
        mine = tuple(i for i in world.objects.ingresses if f"{i.namespace}/{i.metadata.name}" in left)
        without = translate(replace(world.objects, ingresses=mine), world.expectation.profile).tables.get(place, ())
        alike = [Route(e.key, e.name, e.fields, e.cluster) for e in without if e.key == route.key]
        if alike and all(flaw_of(r, gateway) != flaw for r in alike):
            return canary
    return rules[0] if rules else None
