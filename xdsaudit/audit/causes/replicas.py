"""Replicas of one view that disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause
from xdsaudit.model.verdict import Concern, Finding, RuleVerdict, Severity, Verdict
from xdsaudit.model.view import ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.case import World


PILOTS_DISAGREE = Cause(
    code="XA801",
    slug="pilots-disagree",
    severity=Severity.WARNING,
    title="Pilots disagree",
    meaning="Each pilot has caches and informers of its own. Which answer a client gets depends on the pilot that its gateway is connected to, and gateways move every 30 minutes.",
    remedy="Restart the pilot that lacks the rules, or touch an Ingress of the host: both renew its tables.",
    shows="Sporadic 404, in the gateways of one pilot.",
    prevention="Run xdsaudit watch against every pilot.",
    issues=("istio#28861", "istio#29273"),
    dirty=True,
    divergence=True,
)
REPLICAS_DISAGREE = Cause(
    code="XA802",
    slug="replicas-disagree",
    severity=Severity.WARNING,
    title="Replicas of one view disagree",
    meaning="Some replicas hold the rule and others do not: what a client sees depends on where its request lands.",
    remedy="See the rules concerned; restart the replicas that lag behind only after reading why.",
    shows="Sporadic 404 or sporadic old behaviour.",
    prevention="Run xdsaudit watch against every gateway.",
    issues=("kong/kubernetes-ingress-controller#7966", "istio#50670"),
    dirty=True,
    divergence=True,
)


def findings(world: World, rules: Sequence[RuleVerdict]) -> Iterator[Finding]:
    """Replicas of one view that hold a rule and others that do not: 'sporadic' becomes k of n."""
    split: dict[tuple[ViewName, tuple[str, ...], int], int] = {}
    lost, changed = Verdict.LOST, Verdict.CHANGED
    for verdict in [v for v in rules if v.verdict is lost or v.verdict is changed]:
        for name in {r.view for r in verdict.replicas}:
            # A replica that could not be read neither has the rule nor lacks it.
            mine = [r for r in verdict.replicas if r.view == name and r.verdict is not Verdict.UNKNOWN]
            bad = tuple(r.replica or "" for r in mine if r.verdict in (Verdict.LOST, Verdict.CHANGED))
            if bad and len(bad) < len(mine):
                split[name, bad, len(mine)] = split.get((name, bad, len(mine)), 0) + 1
    for (name, bad, total), count in sorted(split.items()):
        message = (
            f"{len(bad)} of {total} {name} replicas lack or change {count} rule{'s' * (count != 1)}: {', '.join(bad)}"
        )
        connected = [str(g) for g, listed in world.attached.items() if set(listed) & set(bad)]
        cause = PILOTS_DISAGREE if name in (ViewName.PILOT, ViewName.PILOT_FRESH) else REPLICAS_DISAGREE
        yield cause.finding(
            message,
            *(Concern(name, replica) for replica in bad),
            evidence=(f"gateways connected to {', '.join(bad)}: {', '.join(sorted(connected))}",)
            if connected and name == ViewName.PILOT
            else (),
        )
