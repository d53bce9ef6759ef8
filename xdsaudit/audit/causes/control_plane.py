"""The control plane: what pilot does not generate, or serves otherwise than it must."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xdsaudit.audit.causes import cache, delivery, translation
from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.causes.commands import CONTROLLER_LOG, EDIT, RESTART_CONTROLLER, TOUCH
from xdsaudit.audit.signs import single_label
from xdsaudit.model.verdict import Severity, Stage

if TYPE_CHECKING:
    from xdsaudit.audit.case import World
    from xdsaudit.audit.compare.view import Missing
    from xdsaudit.audit.stage import Rejection
    from xdsaudit.ingress.expectation import RuleIndex


def _expanded(world: World, _rejected: Mapping[str | None, Rejection], index: RuleIndex) -> Iterator[str]:
    """How pilot names a host of a single label."""
    host, profile = world.expectation.plans[index].rule.host, world.expectation.profile
    if single_label(host):
        yield f"{host} is a single label, which pilot expands to {host}.{profile.system_namespace}" + (
            f": its scope leads to a table with the virtual host blackhole:{profile.http_port}"
            if profile.scoped_rds
            else " and binds to no virtual host"
        )


BLACKHOLE_TABLE = Cause(
    code="XA403",
    slug="blackhole-table",
    severity=Severity.ERROR,
    title="Pilot binds no VirtualService to the host",
    meaning="The route table is there with a virtual host named blackhole and no route. A host of a single label is one cause: pilot expands it to <host>.<system namespace>, while the gateway keeps it as written.",
    remedy="Use a host with a dot. For other hosts, look for another Gateway that claims the host, and restart the controller.",
    shows="404 NR for the whole host; a table with the virtual host blackhole.",
    prevention="Use hosts with a dot.",
    issues=("istio#42985",),
    fix=(EDIT, RESTART_CONTROLLER),
    evidence=_expanded,
)
ROUTE_OMITTED = Cause(
    code="XA404",
    slug="route-omitted",
    severity=Severity.ERROR,
    title="Pilot generates the table without this route",
    meaning="Core has the route and an uncached generation lacks it.",
    remedy="Read pilot's log for the VirtualService; look for an EnvoyFilter that changes the host's routes.",
    shows="404 NR for one route among good ones of the same host.",
    prevention="Keep EnvoyFilters that patch routes few, and review them.",
    fix=(CONTROLLER_LOG,),
)
SCOPE_MISSING = Cause(
    code="XA405",
    slug="scope-missing",
    severity=Severity.ERROR,
    title="Pilot serves no scope for the host and port",
    meaning="Without its scope a gateway never asks for the host's table.",
    remedy="Touch an Ingress of the host; restart the controller if that does not help.",
    shows="404 NR for the whole host though its table exists.",
    prevention="Keep pilot's log at warn and watch for VirtualServices it drops.",
    fix=(TOUCH, RESTART_CONTROLLER),
)
LOST_IN_PILOT = Cause(
    code="XA410",
    slug="lost-in-pilot",
    severity=Severity.ERROR,
    title="Core has the route and pilot does not serve it",
    meaning="Whether pilot failed to generate it or serves an old table from its cache was not looked at.",
    remedy="Touch an Ingress of the host, which renews its table. Read pilot's private cache line too, which tells the cache from the rest: --probe-cache, in pytest probe_cache=True; diff does so by itself.",
    shows="404 NR; core has the route.",
    prevention="Audit with --probe-cache, so that the cause is named at once.",
    issues=("higress#1547",),
    fix=(TOUCH,),
)
LOST_IN_CONTROL_PLANE = Cause(
    code="XA420",
    slug="lost-in-control-plane",
    severity=Severity.ERROR,
    title="The control plane does not serve the rule",
    meaning="Core was not read, so that the controller's translation and pilot's tables cannot be told apart.",
    remedy="Read core too (--core HOST:15051). Touch the Ingress; restart the controller if many rules are missing.",
    shows="404 NR; only pilot was read.",
    prevention="Give --core, so that the controller and pilot are told apart.",
    fix=(TOUCH, RESTART_CONTROLLER),
)
CHANGED_IN_CONTROL_PLANE = Cause(
    code="XA430",
    slug="changed-in-control-plane",
    severity=Severity.ERROR,
    title="The control plane serves the rule differently",
    meaning="Something that decides or shapes a request differs from what the Ingress asks for. A cached table that does not depend on a DestinationRule is one cause.",
    remedy="Touch an Ingress of the host, which renews its table.",
    shows="Requests go elsewhere or lack a timeout, header or rewrite.",
    prevention="Audit after changes of DestinationRules and canaries.",
    fix=(TOUCH,),
)


def why(stage: Stage | None, missing: Sequence[Missing], host: str) -> Cause:
    """Why the control plane does not serve a rule, as far as the stage and what is missing tell."""
    if stage is Stage.TRANSLATION:
        return translation.NOT_TRANSLATED
    reasons = {m.reason for m in missing}
    if stage is Stage.CACHE:
        return cache.why(missing)
    if stage is None:
        return delivery.DIFFERS_IN_GATEWAY
    if reasons == {"no-chain"}:
        return delivery.NO_FILTER_CHAIN
    if "blackhole" in reasons or single_label(host):
        return BLACKHOLE_TABLE
    if stage is Stage.CONTROL_PLANE:
        return LOST_IN_CONTROL_PLANE
    if "no-scope" in reasons:
        return SCOPE_MISSING
    return ROUTE_OMITTED if stage is Stage.GENERATION else LOST_IN_PILOT
