"""Which Ingresses the controller takes, and which cannot be foretold."""

from __future__ import annotations

import re
from typing import Final

from xdsaudit.ingress.annotations import acts, unforeseeable
from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.ingress.profile import STRICT_TEMPLATES, TEMPLATES, Profile

_CLASS: Final = "kubernetes.io/ingress.class"


def selected(ingress: Ingress, objects: KubeObjects, profile: Profile) -> bool:
    """Whether this controller takes the Ingress (higress@v2.0.1 ingressv1/controller.go shouldProcessIngressWithClass).

    The annotation decides alone when it is there, even empty; then an IngressClass object; then the bare name.
    """
    if not profile.watches(ingress.namespace):
        return False
    wanted = profile.ingress_class
    annotated = ingress.annotations.get(_CLASS)
    named = ingress.spec.ingressClassName
    if wanted == "":
        return True
    if annotated is not None:
        return annotated == wanted or (wanted == "nginx" and annotated == "")
    if named is not None and named in objects.classes:
        return named == wanted
    return named == wanted or (wanted == "nginx" and not named)


_TEMPLATE: Final = re.compile(r"\$\{([^.}]+)\.(?:([^/]+)/)?([^.}]+)\.([^}]+)\}")
_STRICT_TEMPLATE: Final = re.compile(r"\$\{([^./}]+)\.(?:([^/.}]+)/)?([^./}]+)\.([^/}]+)\}")


def templated(ingress: Ingress, profile: Profile) -> bool:
    """Whether what it becomes holds text that Higress reads as a template: in paths, hosts and annotations that it reads.

    higress@v2.1.9 pkg/ingress/config/template_processor.go.
    """
    if not profile.has(TEMPLATES):
        return False
    pattern = _STRICT_TEMPLATE if profile.has(STRICT_TEMPLATES) else _TEMPLATE
    texts = [value for key, value in ingress.annotations.items() if acts(key, profile.version)]
    texts += [r.host for r in ingress.spec.rules or ()]
    texts += [p.path or "" for r in ingress.spec.rules or () if r.http for p in r.http.paths or ()]
    return any("${" in each and pattern.search(each) for each in texts)


def unforeseen(ingress: Ingress, profile: Profile) -> str | None:
    """Why it is unknown what this Ingress becomes, or None."""
    if ingress.annotations:
        named = unforeseeable(ingress.annotations)
        if named:
            return f"what annotation {', '.join(named)} does depends on the random order in which Higress reads it"
    if templated(ingress, profile):
        return "it holds a template ${...}, which Higress 2.1 and later replace by values of Secrets"
    return None
