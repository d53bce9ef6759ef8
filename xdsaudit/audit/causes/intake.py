"""Objects that the controller does not take: another class, a namespace it does not watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsaudit.audit.causes.cause import Cause, Command
from xdsaudit.model.verdict import Severity

if TYPE_CHECKING:
    from xdsaudit.ingress.profile import Profile

CLASS_NOT_OURS = Cause(
    code="XA101",
    slug="class-not-ours",
    severity=Severity.INFO,
    title="Another Ingress class",
    meaning="The controller takes one class only. The annotation kubernetes.io/ingress.class decides alone where it is there; then spec.ingressClassName. Nothing is logged.",
    remedy="Set spec.ingressClassName to the controller's class, or start the controller with another --ingressClass.",
    shows="404 NR; core has no route of the Ingress.",
    prevention="Give new Ingresses their class in the template or the chart; xdsaudit check says so before it is applied.",
    fix=(
        Command(
            "Give the Ingress the controller's class",
            'kubectl -n {namespace} patch ingress {ingress} --type merge -p \'{{"spec":{{"ingressClassName":"{class}"}}}}\'',
        ),
        Command(
            "Remove the annotation that decides before it, where it is there",
            "kubectl -n {namespace} annotate ingress {ingress} kubernetes.io/ingress.class-",
        ),
    ),
)
NAMESPACE_NOT_WATCHED = Cause(
    code="XA102",
    slug="namespace-not-watched",
    severity=Severity.INFO,
    title="The controller watches another namespace",
    meaning="With --watchNamespace the controller reads Ingresses of one namespace only.",
    remedy="Move the Ingress, or start the controller without watchNamespace.",
    shows="404 NR; core has no route of the Ingress.",
    prevention="Watch all namespaces, or keep gateway Ingresses in one.",
)


def why(profile: Profile, namespace: str) -> Cause:
    """Why the controller does not take an Ingress of a namespace, where it does not."""
    return CLASS_NOT_OURS if profile.watches(namespace) else NAMESPACE_NOT_WATCHED
