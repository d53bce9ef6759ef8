"""``default-backend`` with ``custom-http-errors``, and mirrors: annotations that need Services to be known."""

from __future__ import annotations

import copy
from typing import Final, NamedTuple

from xdsaudit.ingress.annotations import integer, integer32, items, look, namespaced, text
from xdsaudit.ingress.backends import Backends
from xdsaudit.ingress.effects import Annotations
from xdsaudit.ingress.go import parse_uint, to_upper, uint32
from xdsaudit.ingress.http_route import Destination, Fallback, Work
from xdsaudit.ingress.profile import MCP_SSE, MIRROR_FQDN, Profile
from xdsaudit.model.plain import Plain
from xdsaudit.model.route import HeaderMatch, simple_key

NEED_SERVICES: Final = ("default-backend", "mirror-target-service", "mirror-target-fqdn", "load-balance")
"""Without any of these annotations nothing here changes a route."""
_NOT_ERRORS = frozenset({200, 301, 302, 303, 304, 307, 308})


def fallback_of(annotations: Annotations, namespace: str, backends: Backends) -> Fallback | None:
    """The Service that ``default-backend`` names with the codes of ``custom-http-errors``; None when there is no such Service.

    higress@v2.0.1 pkg/ingress/kube/annotations/default_backend.go Parse.
    """
    written = look(annotations, "default-backend", text)
    if written is None:
        return None
    target = namespaced(written, namespace)
    service = backends.service(*target) if target is not None else None
    if target is None or service is None or not service.spec.ports:
        return None
    errors = look(annotations, "custom-http-errors", text) or ""
    codes = tuple(code for c in items(errors) if (code := parse_uint(c, 32)) is not None)
    return Fallback(target, backends.host(*target), service.spec.ports[0].port, codes)


def fall_back(route: Work, annotations: Annotations, backends: Backends, fallback: Fallback | None) -> None:
    """Give a route its fallback and, where codes are named, the redirect to the ``-fallback`` route."""
    if look(annotations, "default-backend", text) is not None and not backends.services_read:
        route.uncertain |= {"cluster", "weighted_clusters", "inline_cluster_specifier_plugin"}
        route.uncertain |= {"internal_active_redirect_policy"}
    route.fallback = fallback
    if fallback is None:
        return
    if route.destinations:
        route.destinations[0].fallbacks = ((fallback.host, fallback.port, ""),)
    if fallback.codes:
        codes = [c for c in fallback.codes if c not in _NOT_ERRORS] or [503]
        policy = _policy(codes, _marks(route.name, fallback))
        route.fields = {**route.fields, "internal_active_redirect_policy": policy}


def fallback_route(route: Work) -> Work | None:
    """The ``-fallback`` route beside a route: a copy of it that answers with the fallback of its own Ingress.

    A header canary inherits the redirect of its base, and has such a route when its own Ingress names a ``default-backend``
    (higress@v2.0.1 pkg/ingress/config/ingress_config.go applyInternalActiveRedirect).
    """
    if route.fallback is None or "internal_active_redirect_policy" not in route.fields:
        return None
    made = copy.deepcopy(route)
    made.fields = {k: v for k, v in made.fields.items() if k != "internal_active_redirect_policy"}
    made.name = f"{route.name}-fallback"
    made.path_type, made.origin, made.uris = "", "", (simple_key("path", "/"),)
    made.ignore_case, made.method, made.query = False, "", []
    made.headers = [HeaderMatch(k, "exact", v) for k, v in _marks(route.name, route.fallback).items()]
    made.destinations = [Destination(route.fallback.host, route.fallback.port)]
    return made


def _marks(name: str, fallback: Fallback) -> dict[str, str]:
    return {"x-envoy-fallback-service": "/".join(fallback.service), "x-envoy-route-name": f"{name}-fallback"}


def _policy(codes: list[int], marks: dict[str, str]) -> dict[str, Plain]:
    return {
        "max_internal_redirects": 1,
        "redirect_response_codes": codes,
        "allow_cross_scheme_redirect": True,
        "request_headers_to_add": [{"header": {"key": k, "value": v}} for k, v in sorted(marks.items())],
        "redirect_url": "http://example.com/",
        "forced_use_original_host": True,
        "forced_add_header_before_route_matcher": True,
    }


class Portless(NamedTuple):
    """A mirror to a Service without ports: the controller cannot survive it."""

    service: str


def mirror_target(
    annotations: Annotations, namespace: str, backends: Backends, profile: Profile
) -> tuple[str, int] | Portless | None:
    """Host and port of the mirror (higress@v2.0.1 pkg/ingress/kube/annotations/mirror.go Parse)."""
    if profile.has(MIRROR_FQDN):
        fqdn = look(annotations, "mirror-target-fqdn", text)
        if fqdn is not None:
            port = look(annotations, "mirror-target-fqdn-port", integer32)
            return backends.qualified(fqdn), 80 if port is None else uint32(port)
    written = look(annotations, "mirror-target-service", text)
    if written is None:
        return None
    parts = written.split(":")
    key = namespaced(parts[0], namespace)
    service = backends.service(*key) if key is not None else None
    if key is None or service is None:
        return None
    number = (parse_uint(parts[1], 32) or 0) if len(parts) == 2 else 0
    number = number if number <= 65535 else 0
    if number == 0 and not service.spec.ports:
        return Portless("/".join(key))
    return backends.host(*key), number or (service.spec.ports or [])[0].port


def mirror(route: Work, annotations: Annotations, namespace: str, backends: Backends, profile: Profile) -> None:
    """Put a mirror on a route that is not a redirect."""
    percent = look(annotations, "mirror-percentage", integer)
    percent = 100 if percent is None else percent
    target = mirror_target(annotations, namespace, backends, profile)
    if look(annotations, "mirror-target-service", text) is not None and not backends.services_read:
        route.uncertain |= {"request_mirror_policies"}
    if target is None or isinstance(target, Portless):
        return
    if percent <= 0:
        return
    share: dict[str, Plain] = {"numerator": 100}
    if percent < 100:
        share = {"numerator": percent * 10000, "denominator": "MILLION"}
    policy: Plain = {
        "cluster": f"outbound|{target[1]}||{target[0]}",
        "runtime_fraction": {"default_value": share},
        "trace_sampled": False,
    }
    route.fields = {**route.fields, "request_mirror_policies": [policy]}


def stateful_session(route: Work, annotations: Annotations, profile: Profile) -> None:
    """``load-balance: MCP-SSE``: a filter on every route of that name, not modelled further."""
    kind = look(annotations, "load-balance", text)
    if kind is None or to_upper(kind) != "MCP-SSE" or not profile.has(MCP_SSE):
        return
    route.uncertain |= {"typed_per_filter_config"}  # what it holds was never recorded
