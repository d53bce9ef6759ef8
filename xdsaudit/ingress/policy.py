"""Traffic policies: what an Ingress asks for the connections to its backends, as far as it shows in routes.

higress@v2.0.1 pkg/ingress/kube/annotations/loadbalance.go and upstreamtls.go.
"""

from __future__ import annotations

from typing import Any

from xdsaudit.ingress.annotations import has, integer, look, text
from xdsaudit.ingress.effects import Annotations
from xdsaudit.ingress.profile import Profile


def hash_policy(annotations: Annotations, profile: Profile) -> dict[str, Any] | None:
    """The hash policy an Ingress asks for its backends; None when it asks for none."""
    if has(annotations, "affinity", "session-cookie-name", "session-cookie-path"):
        return {
            "cookie": {
                "name": look(annotations, "session-cookie-name", text) or "INGRESSCOOKIE",
                "ttl": f"{look(annotations, 'session-cookie-max-age', integer) or look(annotations, 'session-cookie-expires', integer) or 0}s",
                "path": look(annotations, "session-cookie-path", text) or "/",
            }
        }
    by = look(annotations, "upstream-hash-by", text)
    if by is None:
        return None
    if by == "$request_uri":
        return {"header": {"header_name": ":path"}}
    if by == "$host":
        return {"header": {"header_name": ":authority"}}
    if by == "$remote_addr":
        if profile.version >= (2, 1, 8):
            return {"connection_properties": {"source_ip": True}}
        return {"header": {"header_name": "x-envoy-external-address"}}
    if by.startswith("$http_") and len(by) > 6:
        return {"header": {"header_name": by[6:]}}
    if by.startswith("$arg_") and len(by) > 5:
        return {"query_parameter": {"name": by[5:]}}
    return None


def has_traffic_policy(annotations: Annotations) -> bool:
    """Whether the Ingress makes a DestinationRule for its backends, which hides those of later Ingresses."""
    protocol = look(annotations, "backend-protocol", text)
    if protocol and protocol.strip().upper() in ("HTTPS", "HTTP2", "GRPC", "GRPCS"):
        return True
    return has(
        annotations, "load-balance", "affinity", "session-cookie-name", "session-cookie-path", "upstream-hash-by"
    )
