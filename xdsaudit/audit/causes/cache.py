"""Pilot's caches: what gateways are served is older than what the same pilot generates anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause, Command
from xdsaudit.audit.causes.commands import RESTART_CONTROLLER, TOUCH
from xdsaudit.model.verdict import Severity

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.audit.compare.view import Missing
    from xdsaudit.audit.stage import Rejection
    from xdsaudit.ingress.expectation import RuleIndex


def _served_stale(_world: World, _rejected: Mapping[str | None, Rejection], _index: RuleIndex) -> Iterator[str]:
    yield "a private cache line of the same pilot has it: what gateways are served is stale"


STALE_ROUTE_CACHE = Cause(
    code="XA401",
    slug="stale-route-cache",
    severity=Severity.ERROR,
    title="Pilot serves an old route table from its cache",
    meaning="Two pushes came close together, and the first wrote an old table into the cache after the second had cleared it (higress#1547, #1559). Every rule the last change added to that host is missing; all status pages say SYNCED.",
    remedy="Touch any Ingress of the host, or restart the controller. Restarting the gateway does not help: it is served the same cache line.",
    shows="404 NR for the newest rules of one host, while its older rules work; istioctl says SYNCED.",
    prevention="Upgrade to Higress 2.0.4 or later; gate batches with xdsaudit wait; do not dump pilot's config during a batch.",
    issues=("higress#1547", "higress#1559"),
    fix=(TOUCH, RESTART_CONTROLLER),
    mended_in=(2, 0, 4),
    proven=True,
    evidence=_served_stale,
)
STALE_LISTENER_CACHE = Cause(
    code="XA402",
    slug="stale-listener-cache",
    severity=Severity.ERROR,
    title="Pilot serves an old listener from its cache",
    meaning="The listener that gateways are served lacks the host's filter chain, and an uncached generation has it (higress#1650, #1679). HTTPS requests fail in the handshake while HTTP works.",
    remedy="Switch PILOT_ENABLE_LDS_CACHE off (Higress 2.0.5 and 2.0.6 switch it on) and restart the controller.",
    shows="TLS reset for a new host; HTTP works.",
    prevention="Use Higress 2.0.7 or later, where the cache is off.",
    issues=("higress#1650", "higress#1679"),
    fix=(
        Command(
            "Switch pilot's cache of listeners off, which restarts it",
            "kubectl -n {system} set env deployment -l app=higress-controller PILOT_ENABLE_LDS_CACHE=false",
        ),
    ),
    proven=True,
    evidence=_served_stale,
)


def why(missing: Sequence[Missing]) -> Cause:
    """Which cache is stale, where pilot's private line has what its served one lacks."""
    return STALE_LISTENER_CACHE if {m.reason for m in missing} == {"no-chain"} else STALE_ROUTE_CACHE
