"""Traffic policies: what an Ingress asks for the connections to its backends, as far as it shows in routes.

higress@v2.0.1 pkg/ingress/kube/annotations/loadbalance.go and upstreamtls.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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


class TrafficPolicy(NamedTuple):
    """What a DestinationRule asks of a cluster.

    ``lb_policy`` is None where it is not modelled (PASSTHROUGH, MCP-SSE).
    """

    hash_policy: dict[str, Any] | None
    lb_policy: str | None
    http2: bool
    tls: bool


_SIMPLE = {"ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM", "PASSTHROUGH": None, "MCP-SSE": None}


def traffic_policy(annotations: Annotations, profile: Profile) -> TrafficPolicy | None:
    """The policy an Ingress asks for its backends, or None when it makes no DestinationRule."""
    protocol = (look(annotations, "backend-protocol", text) or "").strip().upper()
    protocol = protocol if protocol in ("HTTPS", "HTTP2", "GRPC", "GRPCS") else ""
    balanced = has(
        annotations, "load-balance", "affinity", "session-cookie-name", "session-cookie-path", "upstream-hash-by"
    )
    if not protocol and not balanced:
        return None
    hashed = hash_policy(annotations, profile)
    lb_policy: str | None = "LEAST_REQUEST"
    if hashed is not None:
        lb_policy = "RING_HASH"
    elif look(annotations, "upstream-hash-by", text) is not None:
        lb_policy = "ROUND_ROBIN"  # a text that Higress does not know
    elif balanced:
        lb_policy = _SIMPLE.get((look(annotations, "load-balance", text) or "").upper(), "LEAST_REQUEST")
    return TrafficPolicy(hashed, lb_policy, protocol in ("HTTP2", "GRPC", "GRPCS"), protocol in ("HTTPS", "GRPCS"))
