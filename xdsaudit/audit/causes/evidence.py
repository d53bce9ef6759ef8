"""Evidence: a rule's journey through the views in sentences, none of which says more than a view shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from xdsaudit.audit.case import World
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.compare.view import Judgement, Missing
from xdsaudit.audit.signs import short
from xdsaudit.audit.stage import Rejection
from xdsaudit.ingress.expectation import RuleIndex
from xdsaudit.model.view import PIPELINE, ViewName

_REASONS = {
    "no-table": "has no virtual host for {host} on port {port}",
    "no-scope": "has no scope for {host} on port {port}",
    "not-fetched": "has the scope of {host} on port {port} but not its route table",
    "blackhole": "has a blackhole table without routes for {host} on port {port}",
    "no-route": "lacks {match} for {host} on port {port}",
    "no-chain": "has the routes, but no filter chain of a listener leads to {host} on port {port}",
}


def _lacking(missing: list[Missing]) -> str:
    first = missing[0]
    text = _REASONS[first.reason].format(host=first.place[1], port=first.place[0], match=first.match)
    return text + (f" (and {len(missing) - 1} more of its routes)" if len(missing) > 1 else "")


def journey(
    world: World, rejected: Mapping[str | None, Rejection], index: RuleIndex, cause: Cause | None
) -> Iterator[str]:
    """One line per view in the order of the pipeline, then what tells the cause."""
    for name in PIPELINE:
        for judged in world.read(name):
            yield _line(judged, index)
    proofs = (j.reordered[index] for name in PIPELINE for j in world.read(name) if index in j.reordered)
    yield from islice(proofs, 1)
    if cause is not None and cause.evidence is not None:
        yield from cause.evidence(world, rejected, index)
    yield from _attachment(world, index)
    if _lost_above(world, index) and _held_below(world, index):
        yield "the gateway still serves the route from an older table: the next push or a restart ends that"


def _attachment(world: World, index: RuleIndex) -> Iterator[str]:
    """Which gateways are connected to the pilots that lack the rule, where pilots disagree."""
    pilots = world.read(ViewName.PILOT)
    lacking = {j.view.replica for j in pilots if not j.holds(index) or index in j.changed}
    if not lacking or len(lacking) == len(pilots):
        return
    for pilot in sorted(lacking, key=str):
        connected = [str(g) for g, listed in world.attached.items() if pilot in listed]
        if connected:
            yield f"gateways connected to pilot {pilot}: {', '.join(sorted(connected))}"


def _line(judged: Judgement, index: RuleIndex) -> str:
    view = judged.view
    label = {
        ViewName.PILOT_FRESH: f"pilot {view.replica}, private cache line,",
        ViewName.PILOT: f"pilot {view.replica}, as gateways are served,",
    }.get(view.name, view.label)
    if not judged.holds(index):
        return f"{label} {_lacking(judged.missing[index])}"
    if index in judged.changed:
        delta = judged.changed[index][0]
        return f"{label} differs in {delta.field}: expected {short(delta.expected)}, has {short(delta.actual)}"
    return f"{label} has it"


def _lost_above(world: World, index: RuleIndex) -> bool:
    return any(not j.holds(index) for name in PIPELINE[:-1] for j in world.read(name))


def _held_below(world: World, index: RuleIndex) -> bool:
    gateways = world.read(ViewName.GATEWAY)
    return any(j.holds(index) for j in gateways)
