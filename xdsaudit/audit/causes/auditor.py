"""What the auditor itself could not read or does not judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause
from xdsaudit.model.verdict import Concern, Finding, Severity
from xdsaudit.model.view import ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.case import World


UNREADABLE = Cause(
    code="XA901",
    slug="unreadable",
    severity=Severity.WARNING,
    title="A view could not be read",
    meaning="What only that view could tell stays unknown.",
    remedy="See the reason beside it and look again.",
    shows="The audit ends with exit code 3.",
    prevention="Give the audit the access it names.",
)
NOT_MODELLED = Cause(
    code="XA904",
    slug="not-modelled",
    severity=Severity.INFO,
    title="The Ingress uses something this version does not model",
    meaning="Its routes are not judged.",
    remedy="Check this rule by hand.",
    shows="The rule is unknown.",
    prevention="None is needed.",
)
OTHER_ORIGIN = Cause(
    code="XA906",
    slug="other-origin",
    severity=Severity.INFO,
    title="Routes were generated from objects other than Ingresses",
    meaning="Gateway API, Istio objects and MCP servers share the gateway with the Ingresses. Their routes are not judged.",
    remedy="Nothing to do.",
    shows="Routes of other objects stand beside those of Ingresses.",
    prevention="None is needed.",
)
NODE_SERVED_NOTHING = Cause(
    code="XA907",
    slug="node-served-nothing",
    severity=Severity.WARNING,
    title="The control plane serves this node nothing",
    meaning="The node's labels or namespace match no Gateway, so an empty answer says nothing about the rules.",
    remedy="Give the identity of a real gateway: --node-from GATEWAY, or --node-id and its labels.",
    shows="Pilot serves our node nothing at all.",
    prevention="Give --gateway or --node-from, so that a real identity is shown.",
)


def foreign(world: World) -> Iterator[Finding]:
    """Routes of Gateway API, Istio or other objects: said once an object, and never extra."""
    seen: dict[str, int] = {}
    for name in (ViewName.PILOT, ViewName.GATEWAY):
        for judged in world.read(name):
            for origin, count in judged.foreign.items():
                seen[origin] = max(count, seen.get(origin, 0))
    for origin, count in sorted(seen.items()):
        yield OTHER_ORIGIN.finding(
            f"{count} route{'s' * (count != 1)} come from {origin}, which was not made of an Ingress, and are not judged",
            Concern(resource=origin),
        )


def unserved(world: World) -> Iterator[Finding]:
    """Pilots that serve the node that was shown to them nothing at all."""
    for view in world.unserved:
        yield NODE_SERVED_NOTHING.finding(
            f"{view.label} serves the node that was played nothing: neither listener, scope nor route",
            Concern(view.name, view.replica),
        )
