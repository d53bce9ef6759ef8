"""A cluster that Higress was found in: the objects that decide routes, and the way to its pods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Final

import msgspec
from msgspec import Struct

from xdsaudit.collect.discovery import Found, Pod, Ports
from xdsaudit.collect.forward import Forward
from xdsaudit.collect.kube import KubeApi, as_list, left_alone
from xdsaudit.collect.sources import Sources, Tunnel, now
from xdsaudit.errors import ReadError
from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.view import State, ViewInfo, ViewName

_UNREADABLE: Final[tuple[type[Exception], ...]] = (ReadError, *BROKEN)

_CONFIG_MAPS: Final = ("higress-config", "higress-https")
_ROOTS: Final = ("higress-ca-root-cert", "istio-ca-root-cert")


class _ConfigMap(Struct):
    data: dict[str, str] | None = None


def lists(api: KubeApi, namespace: str) -> tuple[dict[str, bytes], list[str]]:
    """The Kubernetes lists of a snapshot, and a complaint for each kind that could not be read.

    Secrets are read by metadata alone, ConfigMaps only the two that Higress reads.
    """
    found: dict[str, bytes] = {}
    complaints = []
    api = api.bounded()
    for kind in api.kinds:
        try:
            items, _ = api.list(kind, namespace if kind.plural == "mcpbridges" else None)
        except ReadError as error:
            if not left_alone(kind, error):
                complaints.append(str(error))
            continue
        found[kind.plural] = as_list(kind.kind, items.values())
    maps, more = config_maps(api, namespace)
    return {**found, **maps}, [*complaints, *more]


def config_maps(api: KubeApi, namespace: str) -> tuple[dict[str, bytes], list[str]]:
    """The list of the ConfigMaps that Higress reads, and why it could not be read."""
    maps = []
    api = api.bounded()
    for name in _CONFIG_MAPS:
        try:
            maps.append(api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}"))
        except ReadError as error:
            if error.status != 404:
                return {}, [str(error)]
    return {"configmaps": as_list("ConfigMap", maps)}, []


def root_certificates(api: KubeApi, namespace: str) -> bytes | None:
    """The roots that pilot's certificate is verified against, of Higress's ConfigMap; None where there is none."""
    for name in _ROOTS:
        try:
            raw = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
            data = msgspec.json.decode(raw, type=_ConfigMap).data or {}
        except _UNREADABLE:
            continue
        if data.get("root-cert.pem"):
            return data["root-cert.pem"].encode()
    return None


@contextmanager
def reach(
    api: KubeApi,
    found: Found,
    sources: Sources,
    *,
    direct: bool | None = None,
    mint: str | None = None,
    ports: Ports | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Sources]:
    """Sources whose endpoints lead to the pods of a cluster; forwards are open inside the block.

    Args:
        api: the cluster.
        found: what was found in it.
        sources: how to read; endpoints given there are kept, and only what is missing is added.
        direct: dial pods by address; None does so inside the cluster. Admin ports listen on a pod's loopback, so that
            gateways are always reached through the API server.
        mint: ServiceAccount whose token is minted for TLS to pilot.
        ports: where the pods listen, if not where Higress's chart has them.
        progress: told what happens.

    Raises:
        ForbiddenError: a permission is missing; told before anything is dialled.
    """
    dialled = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) if direct is None else direct
    ports = ports or Ports()
    ads_port = ports.ads_tls if sources.access.tls else ports.ads
    names: dict[str, str] = {}
    tunnels: dict[str, Tunnel] = {}
    gateway_namespace = found.gateway_namespace or found.namespace
    given = {ViewName.PILOT: bool(sources.ads), ViewName.GATEWAY: bool(sources.gateways)}
    infos = [i for i in found.missing if not given[i.name]]
    with ExitStack() as stack:

        def place(pod: Pod, port: int, namespace: str = found.namespace, *, loopback: bool) -> str:
            if dialled and not loopback and pod.ip:
                return f"{f'[{pod.ip}]' if ':' in pod.ip else pod.ip}:{port}"
            forward = stack.enter_context(Forward(api, namespace, pod.name, port))
            endpoint = f"127.0.0.1:{forward.port}"
            tunnels[endpoint] = tunnels[f"http://{endpoint}"] = forward
            return endpoint

        def readable(name: ViewName, pods: tuple[Pod, ...]) -> list[Pod]:
            infos.extend(ViewInfo(name, p.name, State.UNREAD, p.why, now()) for p in pods if p.why)
            return [p for p in pods if not p.why]

        needed = bool((found.controllers and not sources.ads) or (found.gateways and not sources.gateways))
        if needed and api.allowed("create", "pods", found.namespace, subresource="portforward") is False:
            raise ReadError(
                f"Kubernetes {api.host}: pods cannot be reached: port-forward is forbidden; missing RBAC rule: "
                '{apiGroups: [""], resources: ["pods/portforward"], verbs: ["create"]}; or give --ads and --gateway yourself'
            )
        ads, debug, core, gateways = (
            list(sources.ads),
            list(sources.ads_debug),
            list(sources.core),
            list(sources.gateways),
        )
        for pod in readable(ViewName.PILOT, found.controllers) if not ads else ():
            endpoint = place(pod, ads_port, loopback=False)
            names[endpoint] = pod.name
            ads.append(endpoint)
            debug.append(f"http://{place(pod, ports.debug, loopback=True)}")
            if not sources.core:
                mcp = place(pod, ports.core, loopback=False)
                names[mcp] = pod.name
                core.append(mcp)
        for pod in readable(ViewName.GATEWAY, found.gateways) if not gateways else ():
            url = f"http://{place(pod, ports.admin, gateway_namespace, loopback=True)}"
            names[url] = pod.name
            gateways.append(url)
        access = sources.access
        if access.tls and access.ca is None:
            access = replace(access, roots=root_certificates(api, found.namespace))
        if access.tls and access.server_name is None and not sources.ads:
            access = replace(access, server_name=f"higress-controller.{found.namespace}.svc")
        if mint is not None:
            access = replace(access, token=api.mint(found.namespace, mint))
        for remark in found.said:
            progress(remark)
        progress(f"found {len(ads)} pilots and {len(gateways)} gateways in {found.namespace}")
        yield replace(
            sources,
            ads=tuple(ads),
            ads_debug=tuple(debug),
            core=tuple(core),
            gateways=tuple(gateways),
            names={**sources.names, **names},
            tunnels={**sources.tunnels, **tunnels},
            known=(*sources.known, *infos),
            access=access,
            node=replace(sources.node, namespace=found.namespace),
            controller={**found.controller, **sources.controller},
        )
