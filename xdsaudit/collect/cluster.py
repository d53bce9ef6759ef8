"""A cluster with Higress in it: the objects that decide routes, and the way to its pods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from xdsaudit.collect.access import Access
from xdsaudit.collect.discovery import Found, Pod, Ports
from xdsaudit.collect.forward import Forward
from xdsaudit.collect.kinds import left_alone
from xdsaudit.collect.kube import KubeApi
from xdsaudit.collect.sources import Sources, Tunnel, now
from xdsaudit.errors import ReadError
from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.kube_list import KubeList
from xdsaudit.model.view import State, ViewInfo, ViewName

_UNREADABLE: Final[tuple[type[Exception], ...]] = (ReadError, *BROKEN)

_CONFIG_MAPS: Final = ("higress-config", "higress-https")
_ROOTS: Final = ("higress-ca-root-cert", "istio-ca-root-cert")


class _ConfigMap(Struct):
    data: dict[str, str] | None = None


def lists(api: KubeApi, namespace: str) -> tuple[dict[str, bytes], list[str]]:
    """The Kubernetes lists of a snapshot, and a complaint for each kind that could not be read.

    Only the metadata of Secrets is read, and only the two ConfigMaps that Higress reads.
    """
    lists: dict[str, bytes] = {}
    complaints = []
    api = api.bounded()
    for kind in api.kinds:
        try:
            items, _ = api.list(kind, namespace if kind.plural == "mcpbridges" else None)
        except ReadError as error:
            if not left_alone(kind, error):
                complaints.append(str(error))
            continue
        lists[kind.plural] = KubeList.of(kind.kind, items.values())
    maps, more = config_maps(api, namespace)
    return {**lists, **maps}, [*complaints, *more]


def config_maps(api: KubeApi, namespace: str) -> tuple[dict[str, bytes], list[str]]:
    """The list of the ConfigMaps that Higress reads, and complaints if it could not be read."""
    maps = []
    api = api.bounded()
    for name in _CONFIG_MAPS:
        try:
            maps.append(api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}"))
        except ReadError as error:
            if error.status != 404:
                return {}, [str(error)]
    return {"configmaps": KubeList.of("ConfigMap", maps)}, []


def root_certificates(api: KubeApi, namespace: str) -> bytes | None:
    """The CA of pilot's certificate, from Higress's ConfigMap; None if there is none."""
    for name in _ROOTS:
        try:
            raw = api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
            data = msgspec.json.decode(raw, type=_ConfigMap).data or {}
        except _UNREADABLE:
            continue
        if data.get("root-cert.pem"):
            return data["root-cert.pem"].encode()
    return None


@dataclass(frozen=True)
class Way:
    """How to reach pods.

    Attributes:
        direct: connect to pods by address; None does so inside the cluster. Admin ports listen on the pod's loopback, so
            gateways are always reached through the API server.
        mint: ServiceAccount whose token is requested for TLS to pilot.
        ports: where the pods listen, if not on the ports of Higress's chart.
    """

    direct: bool | None = None
    mint: str | None = None
    ports: Ports = field(default_factory=Ports)

    @property
    def dialled(self) -> bool:
        """Whether to connect to pods by address."""
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) if self.direct is None else self.direct


@contextmanager
def reach(
    api: KubeApi,
    higress: Found,
    sources: Sources,
    way: Way | None = None,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Sources]:
    """Sources whose endpoints lead to a cluster's pods; port-forwards are open inside the block.

    Args:
        api: the cluster.
        higress: what discovery returned.
        sources: how to read; endpoints given there are kept, and missing ones are added.
        way: how to reach pods.
        progress: called with what happens.

    Raises:
        ForbiddenError: a permission is missing; raised before anything is contacted.
    """
    way = way or Way()
    _may_forward(api, higress, sources)
    with ExitStack() as stack:
        doors = _Doors(api, way, stack)
        pilots = _to_pilots(doors, higress, sources)
        gateways = _to_gateways(doors, higress, sources)
        given = {ViewName.PILOT: bool(sources.ads), ViewName.GATEWAY: bool(sources.gateways)}
        missing = [i for i in higress.missing if not given[i.name]]
        access = _access(api, higress, sources, way.mint)
        for remark in higress.remarks:
            progress(remark)
        progress(f"found {len(pilots.ads)} pilots and {len(gateways)} gateways in {higress.namespace}")
        yield replace(
            sources,
            ads=pilots.ads,
            ads_debug=pilots.debug,
            core=pilots.core,
            gateways=gateways,
            names={**sources.names, **doors.names},
            tunnels={**sources.tunnels, **doors.tunnels},
            known=(*sources.known, *missing, *doors.unreadable),
            access=access,
            node=replace(sources.node, namespace=higress.namespace),
            controller={**higress.controller, **sources.controller},
        )


class _Doors:
    """Opens the way to one pod after another, and remembers what each endpoint leads to."""

    def __init__(self, api: KubeApi, way: Way, stack: ExitStack) -> None:
        self.names: dict[str, str] = {}
        self.tunnels: dict[str, Tunnel] = {}
        self.unreadable: list[ViewInfo] = []
        self.ports = way.ports
        self._api, self._way, self._stack = api, way, stack

    def to(self, pod: Pod, port: int, namespace: str, *, loopback: bool) -> str:
        """An endpoint that leads to a pod's port; ``loopback`` if it listens only on the pod's loopback."""
        if self._way.dialled and not loopback and pod.ip:
            return f"{f'[{pod.ip}]' if ':' in pod.ip else pod.ip}:{port}"
        forward = self._stack.enter_context(Forward(self._api, namespace, pod.name, port))
        endpoint = f"127.0.0.1:{forward.port}"
        self.tunnels[endpoint] = self.tunnels[f"http://{endpoint}"] = forward
        return endpoint

    def readable(self, name: ViewName, pods: tuple[Pod, ...]) -> list[Pod]:
        """The pods that can be read; every other pod becomes an unread view."""
        self.unreadable += (ViewInfo(name, p.name, State.UNREAD, p.why, now()) for p in pods if p.why)
        return [p for p in pods if not p.why]


class _Pilots(NamedTuple):
    ads: tuple[str, ...]
    debug: tuple[str, ...]
    core: tuple[str, ...]


def _to_pilots(doors: _Doors, higress: Found, sources: Sources) -> _Pilots:
    """Endpoints of the pilots, their debug pages and core; given ones are kept."""
    if sources.ads:
        return _Pilots(sources.ads, sources.ads_debug, sources.core)
    ports = doors.ports
    ads, debug, core = [], list(sources.ads_debug), list(sources.core)
    for pod in doors.readable(ViewName.PILOT, higress.controllers):
        endpoint = doors.to(pod, ports.ads_tls if sources.access.tls else ports.ads, higress.namespace, loopback=False)
        doors.names[endpoint] = pod.name
        ads.append(endpoint)
        debug.append(f"http://{doors.to(pod, ports.debug, higress.namespace, loopback=True)}")
        if not sources.core:
            mcp = doors.to(pod, ports.core, higress.namespace, loopback=False)
            doors.names[mcp] = pod.name
            core.append(mcp)
    return _Pilots(tuple(ads), tuple(debug), tuple(core))


def _to_gateways(doors: _Doors, higress: Found, sources: Sources) -> tuple[str, ...]:
    """Admin URLs of the gateways; given ones are kept."""
    if sources.gateways:
        return sources.gateways
    urls = []
    for pod in doors.readable(ViewName.GATEWAY, higress.gateways):
        namespace = higress.gateway_namespace or higress.namespace
        url = f"http://{doors.to(pod, doors.ports.admin, namespace, loopback=True)}"
        doors.names[url] = pod.name
        urls.append(url)
    return tuple(urls)


def _may_forward(api: KubeApi, higress: Found, sources: Sources) -> None:
    needed = bool((higress.controllers and not sources.ads) or (higress.gateways and not sources.gateways))
    if needed and api.allowed("create", "pods", higress.namespace, subresource="portforward") is False:
        raise ReadError(
            f"Kubernetes {api.host}: pods cannot be reached: port-forward is forbidden; missing RBAC rule: "
            '{apiGroups: [""], resources: ["pods/portforward"], verbs: ["create"]}; or give --ads and --gateway yourself'
        )


def _access(api: KubeApi, higress: Found, sources: Sources, mint: str | None) -> Access:
    """How to connect to pilot: over TLS with Higress's own CA and server name, unless others were given."""
    access = sources.access
    if access.tls and access.ca is None:
        access = replace(access, roots=root_certificates(api, higress.namespace))
    if access.tls and access.server_name is None and not sources.ads:
        access = replace(access, server_name=f"higress-controller.{higress.namespace}.svc")
    if mint is not None:
        access = replace(access, token=api.mint(higress.namespace, mint))
    return access
