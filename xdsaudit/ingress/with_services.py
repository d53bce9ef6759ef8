"""``default-backend`` with ``custom-http-errors``, and mirrors: annotations that need Services to be known."""

from __future__ import annotations

import copy
from typing import Any

from xdsaudit.ingress.annotations import integer, integer32, items, look, namespaced, text
from xdsaudit.ingress.backends import Backends
from xdsaudit.ingress.effects import Annotations
from xdsaudit.ingress.go import parse_uint, to_upper, uint32
from xdsaudit.ingress.http_route import Destination, Work
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.route import HeaderMatch

_NOT_ERRORS = frozenset({200, 301, 302, 303, 304, 307, 308})


def default_backend(route: Work, annotations: Annotations, namespace: str, backends: Backends) -> Work | None:
    """Give a route its fallback; returns the extra ``-fallback`` route when error codes are named too."""
    written = look(annotations, "default-backend", text)
    if written is None:
        return None
    if not backends.services_read:
        route.uncertain |= {"cluster", "inline_cluster_specifier_plugin", "internal_active_redirect_policy"}
        return None
    target = namespaced(written, namespace)
    service = backends.service(*target) if target is not None else None
    if target is None or service is None or not service.spec.ports:
        return None
    host, port = backends.host(*target), service.spec.ports[0].port
    if route.destinations:
        route.destinations[0].fallbacks = [(host, port)]
    errors = look(annotations, "custom-http-errors", text)
    if errors is None:
        return None
    listed = [code for c in items(errors) if (code := parse_uint(c, 32)) is not None]
    if not listed:
        return None
    codes = [code for code in listed if code not in _NOT_ERRORS] or [503]
    marks = {"x-envoy-fallback-service": "/".join(target), "x-envoy-route-name": f"{route.name}-fallback"}
    extra = copy.deepcopy(route)
    route.fields["internal_active_redirect_policy"] = _policy(codes, marks)
    extra.name = f"{route.name}-fallback"
    extra.path_type, extra.origin = "", ""
    extra.uris = [("path", "/")]
    extra.ignore_case, extra.method, extra.query = False, "", []
    extra.headers = [HeaderMatch(k, "exact", v) for k, v in marks.items()]
    extra.destinations = [Destination(host, port)]
    return extra


def _policy(codes: list[int], marks: dict[str, str]) -> dict[str, Any]:
    return {
        "max_internal_redirects": 1,
        "redirect_response_codes": codes,
        "allow_cross_scheme_redirect": True,
        "request_headers_to_add": [{"header": {"key": k, "value": v}} for k, v in sorted(marks.items())],
        "redirect_url": "http://example.com/",
        "forced_use_original_host": True,
        "forced_add_header_before_route_matcher": True,
    }


def mirror(route: Work, annotations: Annotations, namespace: str, backends: Backends, profile: Profile) -> None:
    """Put a mirror on a route that is no redirect."""
    percent = look(annotations, "mirror-percentage", integer)
    percent = 100 if percent is None else percent
    target: tuple[str, int] | None = None
    if profile.version >= (2, 1, 6):
        fqdn = look(annotations, "mirror-target-fqdn", text)
        if fqdn is not None:
            written_port = look(annotations, "mirror-target-fqdn-port", integer32)
            host = fqdn if "." in fqdn else f"{fqdn}.{profile.system_namespace}"
            target = (host, 80 if written_port is None else uint32(written_port))
    if target is None:
        written = look(annotations, "mirror-target-service", text)
        if written is None:
            return
        if not backends.services_read:
            route.uncertain |= {"request_mirror_policies"}
            return
        parts = written.split(":")
        key = namespaced(parts[0], namespace)
        service = backends.service(*key) if key is not None else None
        if key is None or service is None or not service.spec.ports:
            return
        number = (parse_uint(parts[1], 32) or 0) if len(parts) == 2 else 0
        target = (backends.host(*key), number if 0 < number < 65536 else service.spec.ports[0].port)
    if percent <= 0:
        return
    share: dict[str, Any] = {"numerator": 100}
    if percent < 100:
        share = {"numerator": percent * 10000, "denominator": "MILLION"}
    route.fields["request_mirror_policies"] = [
        {
            "cluster": f"outbound|{target[1]}||{target[0]}",
            "runtime_fraction": {"default_value": share},
            "trace_sampled": False,
        }
    ]


def stateful_session(route: Work, annotations: Annotations, profile: Profile) -> None:
    """``load-balance: MCP-SSE``: a filter on every route of that name, not modelled further."""
    kind = look(annotations, "load-balance", text)
    if kind is None or to_upper(kind) != "MCP-SSE" or profile.version < (2, 1, 7):
        return
    route.uncertain |= {"typed_per_filter_config"}  # what it holds was never recorded
