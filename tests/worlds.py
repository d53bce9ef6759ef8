"""Builds pilots and gateways that serve exactly what an expectation asks for, to break them one way at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf import json_format

from xdsaudit.envoy.plain import plain_route
from xdsaudit.ingress.expectation import Expectation, ExpectedRoute
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.model.route import Place
from xdsaudit.model.snapshot import PilotCapture, Snapshot
from xdsaudit.testing import ingress_list, service
from xdsaudit.xds.pool import TYPES, message, pool

Tables = Mapping[Place, Iterable[ExpectedRoute]]


def kube(items: Iterable[dict[str, Any]]) -> dict[str, bytes]:
    return {"ingresses": ingress_list(items), "services": ingress_list([service("web")], "Service")}


def expectation(items: Iterable[dict[str, Any]], profile: Profile | None = None) -> Expectation:
    objects, _ = read_objects(kube(items))
    return translate(objects, profile or Profile())


def plain_table(place: Place, routes: Iterable[ExpectedRoute]) -> dict[str, Any]:
    port, host = place
    return {
        "name": f"higress-rds-{port}.{host}",
        "virtual_hosts": [{"name": f"{host}:{port}", "domains": [host], "routes": [plain_route(r) for r in routes]}],
        "validate_clusters": False,
    }


def plain_listener(port: int, hosts: Iterable[str] = ()) -> dict[str, Any]:
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "scoped_routes": {"name": "scoped-route"},
    }
    plain = {"filters": [{"name": "hcm", "typed_config": manager}]}
    tls = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"}
    chains = [
        {
            **plain,
            "filter_chain_match": {"server_names": [] if h == "*" else [h]},
            "transport_socket": {"name": "tls", "typed_config": tls},
        }
        for h in hosts
    ] or [plain]
    address = {"socket_address": {"address": "0.0.0.0", "port_value": port}}
    return {"name": f"0.0.0.0_{port}", "address": address, "filter_chains": chains}


def _parts(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    secure = sorted(h for p, h in tables if p == 443)
    listeners = [plain_listener(80)] + ([plain_listener(443, secure)] if secure else [])
    clusters = sorted({r.cluster for routes in tables.values() for r in routes if r.cluster})
    hashed = {r.cluster for routes in tables.values() for r in routes if r.fields.get("hash_policy")}
    scopes = [
        {
            "name": f"{p}.{h}",
            "route_configuration_name": f"higress-rds-{p}.{h}",
            "key": {"fragments": [{"string_key": str(p)}, {"string_key": h}]},
        }
        for p, h in tables
    ]
    return {
        "CDS": [
            {"name": c, "type": "STATIC", "lb_policy": "RING_HASH" if c in hashed else "LEAST_REQUEST"}
            for c in clusters
        ],
        "LDS": listeners,
        "SRDS": scopes,
        "RDS": [plain_table(place, routes) for place, routes in tables.items()],
    }


def responses(tables: Tables) -> tuple[bytes, ...]:
    """What a pilot that serves these tables answers."""
    found = []
    for short, items in _parts(tables).items():
        response = message("envoy.service.discovery.v3.DiscoveryResponse")(
            version_info="1", nonce="n", type_url=TYPES[short]
        )
        for item in items:
            cls = message(TYPES[short].rpartition("/")[2])
            resource = json_format.ParseDict(item, cls(), descriptor_pool=pool())
            response.resources.add(type_url=TYPES[short], value=resource.SerializeToString())
        found.append(response.SerializeToString())
    return tuple(found)


def config_dump(tables: Tables) -> bytes:
    """What an Envoy that runs these tables dumps."""
    parts = _parts(tables)
    kind = "type.googleapis.com/envoy.admin.v3."
    return json.dumps(
        {
            "configs": [
                {
                    "@type": kind + "ClustersConfigDump",
                    "dynamic_active_clusters": [{"cluster": c} for c in parts["CDS"]],
                },
                {
                    "@type": kind + "ListenersConfigDump",
                    "dynamic_listeners": [
                        {"name": li["name"], "active_state": {"listener": li}} for li in parts["LDS"]
                    ],
                },
                {
                    "@type": kind + "ScopedRoutesConfigDump",
                    "dynamic_scoped_route_configs": [{"scoped_route_configs": parts["SRDS"]}],
                },
                {
                    "@type": kind + "RoutesConfigDump",
                    "dynamic_route_configs": [{"route_config": r} for r in parts["RDS"]],
                },
                {"@type": kind + "SecretsConfigDump"},
            ]
        }
    ).encode()


def stats(*, connected: int = 1, **rejected: int) -> bytes:
    found = [{"name": "control_plane.connected_state", "value": connected}]
    found += [{"name": f"http.x.rds.{n}.update_rejected", "value": v} for n, v in rejected.items()]
    return json.dumps({"stats": found}).encode()


def world(
    items: Iterable[dict[str, Any]],
    *,
    fresh: Tables | None = None,
    pilot: Tables | None = None,
    gateway: Tables | None = None,
    pages: Mapping[str, bytes] | None = None,
    gateway_pages: Mapping[str, bytes] | None = None,
    **more: Any,
) -> Snapshot:
    """A snapshot in which every view that is not given serves what it must."""
    listed = list(items)
    good = expectation(listed).tables
    capture = PilotCapture(responses(good if pilot is None else pilot), None if fresh is None else responses(fresh))
    read = {
        "config_dump.json": config_dump(good if gateway is None else gateway),
        "stats.json": stats(),
        "server_info.json": b"{}",
        **(pages or {}),
    }
    if gateway_pages is not None:
        read = dict(gateway_pages)
    snapshot = Snapshot(
        captured_at="2026-11-24T00:00:00Z",
        controller={
            "kind": "higress",
            "version": "2.0.1",
            "system_namespace": "higress-system",
            "ingress_class": "higress",
        },
        kube=kube(listed),
        pilot={"pilot-0": capture},
        gateway={"gateway-0": read} if read else {},
    )
    return replace(snapshot, **more)
