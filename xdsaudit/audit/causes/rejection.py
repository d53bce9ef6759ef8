"""What Envoy refuses of that which it is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause, Command
from xdsaudit.audit.causes.commands import REFUSALS
from xdsaudit.audit.signs import listener_error, short
from xdsaudit.model.verdict import Concern, Finding, Severity
from xdsaudit.model.view import ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.audit.stage import Rejection
    from xdsaudit.ingress.expectation import RuleIndex
    from xdsaudit.model.view import View


def _refused(world: World, rejected: Mapping[str | None, Rejection], index: RuleIndex) -> Iterator[str]:
    """Who makes a gateway refuse the table that holds the rule, and what shows that it does."""
    for judged in world.read(ViewName.GATEWAY):
        rejection = rejected.get(judged.view.replica)
        if rejection is not None and index in rejection.held:
            yield from _shown(world, rejection)


def _shown(world: World, rejection: Rejection) -> Iterator[str]:
    for culprit in rejection.culprits[:3]:
        rule = world.expectation.plans[culprit.index].rule if culprit.index is not None else culprit.route.name
        word = "culprit" if culprit.flaw.sure else "probable culprit"
        yield f"{word}: {rule}: {culprit.flaw.reason}"
    signs = {
        "pilot's metrics count a refused RDS response": rejection.reported,
        "its syncz an unacknowledged one"
        if rejection.reported
        else "pilot's syncz has an unacknowledged RDS response": rejection.unacknowledged,
        "the table's update_rejected is above zero": rejection.counted,
    }
    if any(signs.values()):
        yield "; ".join(sign for sign, seen in signs.items() if seen)
    if not rejection.culprits:
        yield "the culprit is not known: no route that pilot serves breaks a rule known here; see the gateway's log"


ENVOY_REJECTED = Cause(
    code="XA501",
    slug="envoy-rejected",
    severity=Severity.ERROR,
    title="Envoy rejected the table",
    meaning="Envoy refuses a whole response for one bad resource and keeps its old tables, also those of innocent hosts. A gateway that restarts loses them.",
    remedy="Correct or remove the Ingress that is named; the next push is then accepted. Do not restart the gateway before.",
    shows="404 NR for new rules of several hosts at once; old ones go on working.",
    prevention="xdsaudit check finds redirect codes and regexes that Envoy refuses.",
    issues=("istio#56807", "envoy#7939", "envoy#14918"),
    fix=(
        Command("Correct the culprit", "kubectl -n {by_namespace} edit ingress {by_ingress}"),
        Command(
            "Or take it out, with a copy of it",
            "kubectl -n {by_namespace} get ingress {by_ingress} -o yaml > {by_ingress}.yaml && kubectl -n {by_namespace} delete ingress {by_ingress}",
        ),
        REFUSALS,
    ),
    proven=True,
    dirty=True,
    evidence=_refused,
)
LISTENER_REJECTED = Cause(
    code="XA502",
    slug="listener-rejected",
    severity=Severity.ERROR,
    title="Envoy rejected the listener",
    meaning="One bad filter chain, filter or plugin makes Envoy refuse the listener for all its hosts.",
    remedy="Correct what Envoy's words name: a certificate, a plugin or a port; the next push is then accepted. Do not restart the gateway before.",
    shows="New hosts fail; old ones work until a restart.",
    prevention="Check certificates and plugins before applying.",
    issues=("higress#4203", "istio#28861"),
    fix=(REFUSALS,),
    proven=True,
    dirty=True,
)


def refused_by(gateway: View, rejected: Mapping[str | None, Rejection]) -> Cause | None:
    """What this gateway refuses, None when it refuses nothing."""
    if gateway.replica in rejected:
        return ENVOY_REJECTED
    return LISTENER_REJECTED if listener_error(gateway) else None


def findings(world: World, rejected: Mapping[str | None, Rejection]) -> Iterator[Finding]:
    """Gateways that refuse what pilot serves."""
    for rejection in rejected.values():
        yield _finding(world, rejection)


def listeners(view: View) -> Iterator[Finding]:
    """Listeners whose update a gateway refused."""
    for listener in view.listeners or ():
        if listener.error:
            yield LISTENER_REJECTED.finding(
                f"{view.label} rejected an update of listener {listener.name or '(unnamed)'}: {short(listener.error)}",
                Concern(view.name, view.replica, listener.name or None),
                evidence=(f"error_state: {short(listener.error)}",),
            )


def _finding(world: World, rejection: Rejection) -> Finding:
    plans = world.expectation.plans
    hosts = {plans[i].rule.host for i in rejection.held}
    guilty = [c for c in rejection.culprits if c.index is not None]
    names = list(dict.fromkeys(plans[c.index].rule.ref for c in guilty if c.index is not None))
    count = (
        f"{len(rejection.held)} rule{'s' * (len(rejection.held) != 1)} on {len(hosts)} host{'s' * (len(hosts) != 1)}"
    )
    sure = all(c.flaw.sure for c in rejection.culprits)
    held = f"{count} {'is' if len(rejection.held) == 1 else 'are'} held back"
    if names:
        because = f"{'' if sure else 'probably '}because of {', '.join(names)}"
        message = f"{rejection.gateway.label} rejects what pilot serves {because}: {held}"
    else:
        message = f"{rejection.gateway.label} rejects what pilot serves: {held}; the culprit is not known"
        suspects = {plans[i].rule.ref for i in rejection.held}
        if len(suspects) == 1:
            message += f", and {next(iter(suspects))} is the first suspect: no other Ingress differs"
    concerns = [Concern(ViewName.GATEWAY, rejection.gateway.replica)]
    concerns += [
        Concern(ViewName.PILOT, None, c.route.name, plans[c.index].rule.namespace, plans[c.index].rule.ingress)
        for c in guilty
        if c.index is not None
    ]
    return ENVOY_REJECTED.finding(
        message,
        *dict.fromkeys(concerns),
        by=plans[guilty[0].index].rule if guilty and guilty[0].index is not None else None,
        evidence=tuple(dict.fromkeys(f"{c.route.name}: {c.flaw.reason}" for c in rejection.culprits)),
    )
