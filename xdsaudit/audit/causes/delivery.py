"""Delivery: what pilot serves and a gateway does not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from xdsaudit.audit.causes import rejection
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.causes.commands import (
    CONTROLLER_LOG,
    GATEWAY_LOG,
    NEW_SECRET,
    RESTART_GATEWAY,
    RESTART_GATEWAYS,
    TOUCH,
)
from xdsaudit.audit.signs import UNSUBSCRIBED, dropped, frozen_since, initializing, listener_error, silent
from xdsaudit.model.verdict import Concern, Finding, Severity
from xdsaudit.model.view import ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.audit.compare.view import Judgement
    from xdsaudit.audit.stage import Rejection
    from xdsaudit.ingress.expectation import RuleIndex
    from xdsaudit.model.view import View


HEAL_FIRST: Final = "Heal {refusal} first: it holds the gateway's updates back. Then look again."


def _cut_off(world: World, _rejected: Mapping[str | None, Rejection], _index: RuleIndex) -> Iterator[str]:
    for judged in world.read(ViewName.GATEWAY):
        if judged.view.connected is False:
            yield f"{judged.view.label}: control_plane.connected_state is 0{frozen_since(judged.view)}"


NOT_DELIVERED = Cause(
    code="XA600",
    slug="not-delivered",
    severity=Severity.ERROR,
    title="Pilot serves the route and the gateway does not have it",
    meaning="The gateway is connected, or was not asked, and nothing shows a rejection.",
    remedy="Wait for the next push and look again; if it stays, restart the gateway pod that lacks it.",
    shows="404 NR in one gateway; pilot serves the route.",
    prevention="Watch gateways with xdsaudit watch.",
    fix=(RESTART_GATEWAY, RESTART_GATEWAYS),
    while_refusing=HEAL_FIRST,
)
LISTENER_WARMING = Cause(
    code="XA601",
    slug="listener-warming",
    severity=Severity.ERROR,
    title="A listener is warming and serves nothing yet",
    meaning="A new listener waits for certificates or route tables before it takes its first connection.",
    remedy="Create the certificates that are waited for. After the fetch timeout (15 s for certificates) it starts without them.",
    shows="Connections to the port are refused or hang after a restart.",
    prevention="Create certificates before the Ingresses that name them.",
    issues=("envoy#21520",),
    fix=(NEW_SECRET,),
    dirty=True,
)
TABLE_NOT_FETCHED = Cause(
    code="XA602",
    slug="table-not-fetched",
    severity=Severity.ERROR,
    title="The gateway has the scope but not its table",
    meaning="The gateway lost its subscription to the route table.",
    remedy="Restart the gateway pod, or wait for its next reconnect (30 minutes).",
    shows="404 NR for one host in one gateway, until it reconnects.",
    prevention="Use Higress 2.1.9 or later.",
    issues=("higress#3114", "envoy#36142"),
    fix=(RESTART_GATEWAY, RESTART_GATEWAYS),
    while_refusing=HEAL_FIRST,
)
SCOPE_NOT_APPLIED = Cause(
    code="XA603",
    slug="scope-not-applied",
    severity=Severity.ERROR,
    title="The gateway lacks the host's scope",
    meaning="Pilot serves the scope, and the gateway did not apply it.",
    remedy="Restart the gateway pod that lacks it.",
    shows="404 NR for one host in one gateway.",
    prevention="Watch gateways with xdsaudit watch.",
    fix=(RESTART_GATEWAY, RESTART_GATEWAYS),
    while_refusing=HEAL_FIRST,
)
GATEWAY_DISCONNECTED = Cause(
    code="XA604",
    slug="gateway-disconnected",
    severity=Severity.ERROR,
    title="The gateway is not connected to a control plane",
    meaning="Its ADS stream is closed: everything in it is as old as the loss of the stream.",
    remedy="Restore the connection from the gateway to the controller (port 15012 or 15010), or restart the gateway pod.",
    shows="Nothing that changed since shows in this gateway.",
    prevention="Alert on control_plane.connected_state 0.",
    issues=("istio#39672",),
    fix=(GATEWAY_LOG, RESTART_GATEWAY, RESTART_GATEWAYS),
    proven=True,
    while_refusing="Restore the connection from the gateway to the controller (port 15012 or 15010). Do not restart the pod before {refusal} is healed.",
    evidence=_cut_off,
)
NO_FILTER_CHAIN = Cause(
    code="XA606",
    slug="no-filter-chain",
    severity=Severity.ERROR,
    title="No listener takes requests for the host",
    meaning="The routes are there and no filter chain of a listener leads to them.",
    remedy="Touch the Ingress; on Higress 2.0.5 and 2.0.6 switch PILOT_ENABLE_LDS_CACHE off.",
    shows="HTTPS of one host fails in the handshake; its routes are there.",
    prevention="Use Higress 2.0.7 or later.",
    issues=("higress#1650",),
    fix=(TOUCH,),
)
NOTHING_LISTENS = Cause(
    code="XA609",
    slug="nothing-listens",
    severity=Severity.ERROR,
    title="Nothing listens on the port",
    meaning="The gateway runs no listener on the port that the rules are served on: connections to it are refused.",
    remedy="Read the gateway's log for the listener (a port that cannot be bound, a refused update), and correct what it names.",
    shows="Connection refused, for every host at once.",
    prevention="Probe the gateway's port, not only its readiness.",
    issues=("higress#1614", "higress#2854", "higress#3285"),
    fix=(GATEWAY_LOG,),
)
DIFFERS_IN_GATEWAY = Cause(
    code="XA610",
    slug="differs-in-gateway",
    severity=Severity.ERROR,
    title="The gateway does not run what the Ingress asks for",
    meaning="The pilot that serves this gateway was not read, so that a loss in the control plane and one on the way to the gateway cannot be told apart.",
    remedy="Read every pilot too: --ads HOST:15010 for each.",
    shows="404 NR; pilot was not read.",
    prevention="Give --ads, so that the stage is named.",
)
FIELD_UNKNOWN_TO_ENVOY = Cause(
    code="XA611",
    slug="field-unknown-to-envoy",
    severity=Severity.WARNING,
    title="The gateway's Envoy does not know a field",
    meaning="Pilot serves a field that only Higress's own Envoy has. This Envoy took the table and silently dropped the field: protobuf keeps no field it does not know.",
    remedy="Run the gateway image that belongs to this version of Higress.",
    shows="Fallbacks and other behaviour of Higress's Envoy do not happen; nothing is rejected.",
    prevention="Upgrade controller and gateway together.",
    proven=True,
)
GATEWAY_INITIALIZING = Cause(
    code="XA612",
    slug="gateway-initializing",
    severity=Severity.ERROR,
    title="The gateway's Envoy has not started yet",
    meaning="Envoy answers its admin port and waits for its first listeners and clusters: it serves nothing.",
    remedy="Wait; if it stays, look at the connection from the gateway to the controller, and at the controller's log.",
    shows="The pod is not ready, and connections are refused.",
    prevention="Let traffic wait for the pod's readiness.",
    issues=("istio#14205", "istio#38871"),
    fix=(GATEWAY_LOG, CONTROLLER_LOG),
)


def why(rejected: Mapping[str | None, Rejection], judged: Judgement, index: RuleIndex, https_port: int) -> Cause:
    """Why a gateway does not have what pilot serves, by the strongest evidence (disconnection outranks all)."""
    gateway = judged.view
    if gateway.connected is False:
        return GATEWAY_DISCONNECTED
    if initializing(gateway):
        return GATEWAY_INITIALIZING
    missing = judged.missing.get(index, [])
    reasons = {m.reason for m in missing}
    if "no-chain" in reasons:
        if listener_error(gateway):
            return rejection.LISTENER_REJECTED
        ports = {m.place[0] for m in missing if m.reason == "no-chain"}
        unheard = any(silent(gateway, secure=port == https_port) for port in ports)
        return NOTHING_LISTENS if unheard else NO_FILTER_CHAIN
    if dropped(judged, index):
        return FIELD_UNKNOWN_TO_ENVOY
    refused = rejected.get(gateway.replica)
    if refused is not None and index in refused.held:
        return rejection.ENVOY_REJECTED
    if reasons and reasons <= UNSUBSCRIBED and listener_error(gateway):
        return rejection.LISTENER_REJECTED
    if "not-fetched" in reasons:
        return TABLE_NOT_FETCHED
    if "no-scope" in reasons:
        return SCOPE_NOT_APPLIED
    return NOT_DELIVERED


def findings(world: World, rejected: Mapping[str | None, Rejection]) -> Iterator[Finding]:
    """What is wrong with gateways as a whole, one after the other."""
    for judged in world.read(ViewName.GATEWAY):
        differs = bool(judged.missing or judged.changed or judged.extra)
        if judged.view.connected is False:
            remedy = GATEWAY_DISCONNECTED.remedy_for(
                world.expectation.profile.version, rejection.refused_by(judged.view, rejected)
            )
            yield replace(_disconnected(judged.view, differs), remedy=remedy)
        elif initializing(judged.view):
            yield _initializing(judged.view)
        else:
            yield from _silent(world, judged)
        yield from _warming(judged.view)
        yield from rejection.listeners(judged.view)


def _disconnected(view: View, differs: bool) -> Finding:
    frozen = "and differs from what must be served" if differs else "and will miss every further change"
    return GATEWAY_DISCONNECTED.finding(
        f"{view.label} is not connected to a control plane {frozen}",
        Concern(view.name, view.replica),
        evidence=(f"control_plane.connected_state is 0{frozen_since(view)}",),
        severity=Severity.ERROR if differs else Severity.WARNING,
    )


def _initializing(view: View) -> Finding:
    state = view.own.state
    return GATEWAY_INITIALIZING.finding(
        f"{view.label} is {state} and serves nothing yet: it waits for its first listeners and clusters",
        Concern(view.name, view.replica),
        evidence=(f"server_info.state is {state}",),
    )


def _silent(world: World, judged: Judgement) -> Iterator[Finding]:
    """Ports that rules are served on and no listener takes connections of: said once, whatever the number of rules."""
    view = judged.view
    profile = world.expectation.profile
    for port in (profile.http_port, profile.https_port):
        rules = [r for r, missing in judged.missing.items() if any(m.place[0] == port for m in missing)]
        if rules and silent(view, secure=port == profile.https_port) and not listener_error(view):
            yield NOTHING_LISTENS.finding(
                f"{view.label}: nothing listens on port {port}, which holds back {len(rules)} rule{'s' * (len(rules) != 1)}",
                Concern(view.name, view.replica, str(port)),
            )


def _warming(view: View) -> Iterator[Finding]:
    warming = [li for li in view.listeners or () if li.state == "warming"]
    if not warming:
        return
    waited = sorted(
        {s for li in view.listeners or () for c in li.chains for s in c.secrets} & (view.warming_secrets or frozenset())
    )
    names = ", ".join(li.name for li in warming)
    waiting = f"waiting for the certificates {', '.join(waited)}" if waited else "waiting for something not shown here"
    yield LISTENER_WARMING.finding(
        f"{view.label}: {names} serve nothing yet, {waiting}"
        if len(warming) > 1
        else f"{view.label}: {names} serves nothing yet, {waiting}",
        *(Concern(view.name, view.replica, li.name) for li in warming),
        evidence=tuple(f"dynamic_warming_secrets holds {s}" for s in waited),
    )
