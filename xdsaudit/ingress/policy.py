"""Traffic policies: what an Ingress asks for the connections to its backends, as far as it shows in routes.

higress@v2.0.1 pkg/ingress/kube/annotations/loadbalance.go and upstreamtls.go.
"""

from __future__ import annotations

from typing import NamedTuple

from xdsaudit.ingress.annotations import has, integer, look, namespaced, text
from xdsaudit.ingress.effects import Annotations
from xdsaudit.ingress.go import to_upper, trim_space
from xdsaudit.ingress.profile import MCP_SSE, SOURCE_IP, Profile
from xdsaudit.model.plain import Plain


def hash_policy(annotations: Annotations, profile: Profile) -> dict[str, Plain] | None:
    """The hash policy an Ingress asks for its backends; None when it asks for none."""
    if has(annotations, "affinity", "session-cookie-name", "session-cookie-path"):
        age = look(annotations, "session-cookie-max-age", integer)
        expires = look(annotations, "session-cookie-expires", integer)
        return {
            "cookie": {
                "name": look(annotations, "session-cookie-name", text) or "INGRESSCOOKIE",
                "ttl": f"{(expires or 0) if age is None else age}s",
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
        if profile.has(SOURCE_IP):
            return {"connection_properties": {"source_ip": True}}
        return {"header": {"header_name": "x-envoy-external-address"}}
    if by.startswith("$http_") and len(by) > 6:
        return {"header": {"header_name": by[6:]}}
    if by.startswith("$arg_") or by == "$http_":  # a header without a name becomes a parameter without one
        name = by.removeprefix("$arg_") if by != "$http_" else ""
        return {"query_parameter": {"name": name} if name else {}}
    return None


class TrafficPolicy(NamedTuple):
    """What a DestinationRule asks of a cluster.

    ``lb_policy`` is None where it is not modelled (PASSTHROUGH, MCP-SSE).
    """

    hash_policy: dict[str, Plain] | None
    lb_policy: str | None
    http2: bool
    tls: bool


_SIMPLE = {"ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM", "PASSTHROUGH": None}


def _simple(written: str | None, profile: Profile) -> str | None:
    if written is None:
        return "ROUND_ROBIN"  # the key is there but blank
    if to_upper(written) == "MCP-SSE" and profile.has(MCP_SSE):
        return None
    return _SIMPLE.get(to_upper(written), "LEAST_REQUEST")


def traffic_policy(annotations: Annotations, profile: Profile) -> TrafficPolicy | None:
    """The policy an Ingress asks for its backends, or None when it makes no DestinationRule."""
    protocol = trim_space(to_upper(look(annotations, "backend-protocol", text) or ""))
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
    elif has(annotations, "upstream-hash-by"):
        lb_policy = "ROUND_ROBIN"  # blank, or a text that Higress does not know
    elif balanced:
        lb_policy = _simple(look(annotations, "load-balance", text), profile)
    secret = namespaced(look(annotations, "proxy-ssl-secret", text) or "", "")
    mutual = bool(protocol) and secret is not None
    return TrafficPolicy(
        hashed, lb_policy, protocol in ("HTTP2", "GRPC", "GRPCS"), mutual or protocol in ("HTTPS", "GRPCS")
    )
