"""Evidence: a rule's journey through the views in sentences, none of which says more than a view shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from xdsaudit.audit.case import PIPELINE, World
from xdsaudit.audit.compare.view import Judgement, Missing
from xdsaudit.audit.stage import Rejection, single_label
from xdsaudit.model.view import View, ViewName

_REASONS = {
    "no-table": "has no virtual host for {host} on port {port}",
    "no-scope": "has no scope for {host} on port {port}",
    "not-fetched": "has the scope of {host} on port {port} but not its route table",
    "blackhole": "has a blackhole table without routes for {host} on port {port}",
    "no-route": "lacks {match} for {host} on port {port}",
    "no-chain": "has the routes, but no filter chain of a listener leads to {host} on port {port}",
}


def upstream_view(world: World) -> list[Judgement]:
    """The views that requests are judged by: the gateways, or the pilots where no gateway was read."""
    return world.read(ViewName.GATEWAY) or world.read(ViewName.PILOT)


def _lacking(missing: list[Missing]) -> str:
    first = missing[0]
    text = _REASONS[first.reason].format(host=first.place[1], port=first.place[0], match=first.match)
    return text + (f" (and {len(missing) - 1} more of its routes)" if len(missing) > 1 else "")


def journey(world: World, rejected: dict[str | None, Rejection], rule: int, slug: str) -> Iterator[str]:
    """One line per view in the order of the pipeline, then what tells the cause."""
    for name in PIPELINE:
        for judged in world.read(name):
            yield _line(judged, rule)
    proofs = (j.reordered[rule] for name in PIPELINE for j in world.read(name) if rule in j.reordered)
    yield from islice(proofs, 1)
    host = world.expectation.plans[rule].rule.host
    if slug == "blackhole-table" and single_label(host):
        system = world.expectation.profile.system_namespace
        port = world.expectation.profile.http_port
        yield (
            f"{host} is a single label, which pilot expands to {host}.{system}"
            + (
                f": its scope leads to a table with the virtual host blackhole:{port}"
                if world.expectation.profile.scoped_rds
                else " and binds to no virtual host"
            )
        )
    if slug in ("stale-route-cache", "stale-listener-cache"):
        yield "a private cache line of the same pilot has it: what gateways are served is stale"
    if slug == "gateway-disconnected":
        for judged in world.read(ViewName.GATEWAY):
            if judged.view.connected is False:
                yield f"{judged.view.label}: control_plane.connected_state is 0{frozen_since(judged.view)}"
    for judged in world.read(ViewName.GATEWAY):
        rejection = rejected.get(judged.view.replica)
        if slug == "envoy-rejected" and rejection is not None and rule in rejection.held:
            yield from _rejection_lines(world, rejection)
    yield from _attachment(world, rule)
    if _lost_above(world, rule) and _held_below(world, rule):
        yield "the gateway still serves the route from an older table: the next push or a restart ends that"


def frozen_since(view: View) -> str:
    """When the newest route table of a gateway came, as the end of a sentence; empty where it does not tell."""
    updated = view.own.updated
    return f"; its newest route table is of {updated}" if updated else ""


def _attachment(world: World, rule: int) -> Iterator[str]:
    """Which gateways hang on the pilots that lack the rule, where pilots disagree."""
    pilots = world.read(ViewName.PILOT)
    lacking = {j.view.replica for j in pilots if not j.holds(rule) or rule in j.changed}
    if not lacking or len(lacking) == len(pilots):
        return
    for pilot in sorted(lacking, key=str):
        hanging = [str(g) for g, listed in world.attached.items() if pilot in listed]
        if hanging:
            yield f"on pilot {pilot} hang: {', '.join(sorted(hanging))}"


def _line(judged: Judgement, rule: int) -> str:
    view = judged.view
    label = {
        ViewName.PILOT_FRESH: f"pilot {view.replica}, private cache line,",
        ViewName.PILOT: f"pilot {view.replica}, as gateways are served,",
    }.get(view.name, view.label)
    if not judged.holds(rule):
        return f"{label} {_lacking(judged.missing[rule])}"
    if rule in judged.changed:
        delta = judged.changed[rule][0]
        return f"{label} differs in {delta.field}: expected {short(delta.expected)}, has {short(delta.actual)}"
    return f"{label} has it"


def short(value: object) -> str:
    """A value cut to what fits a line."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _rejection_lines(world: World, rejection: Rejection) -> Iterator[str]:
    for culprit in rejection.culprits[:3]:
        rule = world.expectation.plans[culprit.rule].rule if culprit.rule is not None else culprit.route.name
        word = "culprit" if culprit.flaw.sure else "probable culprit"
        yield f"{word}: {rule}: {culprit.flaw.reason}"
    if rejection.reported:
        yield "pilot's metrics count a refused RDS response of this gateway"
    if rejection.unacknowledged:
        yield "pilot's syncz: the gateway has not acknowledged the last RDS response"
    if rejection.counted:
        yield "update_rejected of the table is above zero beside this difference"
    if not rejection.culprits:
        yield "the culprit is not known: no route that pilot serves breaks a rule known here; see the gateway's log"


def _lost_above(world: World, rule: int) -> bool:
    return any(not j.holds(rule) for name in PIPELINE[:-1] for j in world.read(name))


def _held_below(world: World, rule: int) -> bool:
    gateways = world.read(ViewName.GATEWAY)
    return any(j.holds(rule) for j in gateways)
