"""Which Ingresses the controller takes, which it cannot survive, and which nobody can foretell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from xdsaudit.ingress.annotations import crash_keys, look, text, unforeseeable, unmodelled
from xdsaudit.ingress.backends import parse_destinations
from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.ingress.profile import Profile

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


def crashes_of(ingress: Ingress) -> Iterator[str]:
    """What of an Ingress makes the controller panic, which stops the translation of all others too."""
    for key in crash_keys(ingress.annotations):
        yield f"the annotation key {key[:120]!r}"
    default = ingress.spec.defaultBackend
    destinations = parse_destinations(ingress.annotations)
    if default is not None and default.service is None:
        bridge = default.resource is not None and (default.resource.kind, default.resource.name) == (
            "McpBridge",
            "default",
        )
        if not bridge or destinations is None:
            yield "a defaultBackend that is neither a Service nor the McpBridge 'default' with higress.io/destination"
    if (look(ingress.annotations, "destination", text) or "x").isspace():
        yield "an annotation higress.io/destination of blank lines"


def templated(ingress: Ingress) -> bool:
    """Whether it holds text that Higress 2.1 and later read as a template."""
    texts = [*ingress.annotations.values()]
    texts += [p.path or "" for r in ingress.spec.rules or () if r.http for p in r.http.paths or ()]
    return any("${" in each for each in texts)


def unforeseen(ingress: Ingress) -> str | None:
    """Why nobody can tell what this Ingress becomes."""
    named = unmodelled(ingress.annotations)
    if named:
        return f"annotation {', '.join(named)} is not modelled"
    named = unforeseeable(ingress.annotations)
    return (
        f"what annotation {', '.join(named)} does hangs on the random order in which Higress reads it"
        if named
        else None
    )
