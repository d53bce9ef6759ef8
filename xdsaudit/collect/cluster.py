"""A cluster: finds Higress by its labels, reads its options and the objects that decide routes, and reaches its pods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from xdsaudit.collect.forward import Forward
from xdsaudit.collect.kube import KINDS, Kind, KubeApi, as_list, item_key
from xdsaudit.collect.sources import Sources, Tunnel, now
from xdsaudit.errors import InputError, ReadError
from xdsaudit.model.view import State, ViewInfo, ViewName

T = TypeVar("T")
CONTROLLER: Final = "app=higress-controller"
GATEWAY: Final = "app=higress-gateway"
_CONFIG_MAPS: Final = ("higress-config", "higress-https")
_ROOTS: Final = ("higress-ca-root-cert", "istio-ca-root-cert")
_FLAGS: Final = {
    "ingressClass": "ingress_class",
    "watchNamespace": "watch_namespace",
    "gatewayHttpPort": "http_port",
    "gatewayHttpsPort": "https_port",
}
_ENV: Final = {  # ENBALE is Higress's spelling
    "ENBALE_SCOPED_RDS": "scoped_rds",
    "ON_DEMAND_RDS": "on_demand_rds",
    "HOST_RDS_MERGE_SUBSET": "host_rds_merge_subset",
    "DOMAIN_SUFFIX": "domain_suffix",
}


@dataclass(frozen=True)
class Pod:
    """A pod of Higress; ``why`` says why it cannot be read, empty when it can."""

    name: str
    ip: str
    why: str = ""


@dataclass(frozen=True)
class Found:
    """What was found in a cluster.

    Attributes:
        namespace: where Higress runs.
        controllers: pods of the controller, which hold core and pilot.
        gateways: pods of the gateway.
        controller: version and options (contract 1).
        said: remarks for people.
    """

    namespace: str
    controllers: tuple[Pod, ...]
    gateways: tuple[Pod, ...]
    controller: Mapping[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()


def discover(api: KubeApi, namespace: str | None = None) -> Found:
    """Higress's namespace, pods and options.

    Raises:
        ReadError: pods may not be listed, or no controller and no gateway was found.
    """
    said = []
    api = api.bounded()
    controllers = _pods(api, namespace, CONTROLLER)
    if namespace is None:
        spaces = sorted({space for space, _ in controllers})
        if len(spaces) > 1:
            raise InputError(f"Higress runs in {', '.join(spaces)}: choose one with --system-namespace")
        namespace = spaces[0] if spaces else "higress-system"
    gateways = _pods(api, namespace, GATEWAY)
    if not controllers and not gateways:
        raise ReadError(
            f"Kubernetes {api.host}: no pod with {CONTROLLER} or {GATEWAY} in {namespace}; name its namespace with "
            "--system-namespace, or check --context"
        )
    options: dict[str, Any] = {"kind": "higress", "system_namespace": namespace}
    try:
        options |= _options(api, namespace)
    except ReadError as error:
        said.append(f"the controller's options could not be read ({error})")
    return Found(
        namespace,
        tuple(p for _, p in sorted(controllers.items())),
        tuple(p for _, p in sorted(gateways.items())),
        options,
        tuple(said),
    )


def _pods(api: KubeApi, namespace: str | None, selector: str) -> dict[tuple[str, str], Pod]:
    kind = Kind("/api/v1", "pods", "Pod")
    found, _ = api.list(kind, namespace, selector=selector)
    pods = {}
    for key, raw in found.items():
        pod = _decoded(api, kind, namespace, raw, _Pod)
        status = pod.status or _PodStatus()
        phase = status.phase or ""
        if phase in ("Succeeded", "Failed"):
            continue
        why = f"the pod is {phase or 'of no known phase'}" if phase != "Running" else ""
        if pod.metadata.deletionTimestamp:
            why = "the pod is terminating"
        pods[key] = Pod(key[1], status.podIP or "", why)
    return pods


class _PodMeta(Struct):
    deletionTimestamp: str | None = None  # noqa: N815 - the API's name


class _PodStatus(Struct):
    phase: str | None = None
    podIP: str | None = None  # noqa: N815 - the API's name


class _Pod(Struct):
    metadata: _PodMeta
    status: _PodStatus | None = None


class _Variable(Struct):
    name: str = ""
    value: str | None = None


class _Container(Struct):
    name: str = ""
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[_Variable] | None = None


class _PodSpec(Struct):
    containers: list[_Container] | None = None


class _Template(Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _DeploymentSpec(Struct):
    template: _Template = msgspec.field(default_factory=_Template)


class _Deployment(Struct):
    spec: _DeploymentSpec = msgspec.field(default_factory=_DeploymentSpec)


class _ConfigMap(Struct):
    data: dict[str, str] | None = None


def _decoded(api: KubeApi, kind: Kind, namespace: str | None, raw: bytes, of: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=of)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        name = "/".join(filter(None, item_key(raw)))
        raise ReadError(
            f"Kubernetes {api.host}{kind.path(namespace)}: {name} is not a {kind.kind} ({error}); is this an API server?"
        ) from error


def _options(api: KubeApi, namespace: str) -> dict[str, Any]:
    """Options from the controller's Deployment: flags of its core, environment of its pilot, version of its image."""
    kind = Kind("/apis/apps/v1", "deployments", "Deployment")
    found, _ = api.list(kind, namespace, selector=CONTROLLER)
    options: dict[str, Any] = {}
    for raw in found.values():
        for container in _decoded(api, kind, namespace, raw, _Deployment).spec.template.spec.containers or ():
            for flag, value in _flags([*(container.command or ()), *(container.args or ())]):
                if flag in _FLAGS:
                    name = _FLAGS[flag]
                    port = name.endswith("_port") and value.isascii() and value.isdigit()
                    options[name] = int(value[:9]) if port else value
            for entry in container.env or ():
                if entry.name in _ENV and entry.value is not None:
                    text = entry.value
                    options[_ENV[entry.name]] = text.lower() == "true" if text.lower() in ("true", "false") else text
            image = container.image or ""
            if container.name == "higress-core" or ("version" not in options and "higress" in image):
                tag = image.rpartition("/")[2].partition(":")[2].partition("@")[0]
                if tag[:1].isdigit() or tag[:1] == "v":
                    options["version"] = tag.removeprefix("v")
    return options


def _flags(words: list[str]) -> Iterator[tuple[str, str]]:
    for index, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, sign, value = word[2:].partition("=")
        if not sign and index + 1 < len(words) and not words[index + 1].startswith("--"):
            value = words[index + 1]
        yield name, value


def lists(api: KubeApi, namespace: str) -> tuple[dict[str, bytes], list[str]]:
    """The Kubernetes lists of a snapshot, and a complaint for each kind that could not be read.

    Secrets are read by metadata alone, ConfigMaps only the two that Higress reads.
    """
    found: dict[str, bytes] = {}
    complaints = []
    api = api.bounded()
    for kind in KINDS:
        try:
            items, _ = api.list(kind, namespace if kind.plural == "mcpbridges" else None)
        except ReadError as error:
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
        except (ReadError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
        progress: told what happens.

    Raises:
        ForbiddenError: a permission is missing; told before anything is dialled.
    """
    dialled = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) if direct is None else direct
    ads_port = 15012 if sources.access.tls else 15010
    names: dict[str, str] = {}
    tunnels: dict[str, Tunnel] = {}
    infos: list[ViewInfo] = []
    with ExitStack() as stack:

        def place(pod: Pod, port: int, *, loopback: bool) -> str:
            if dialled and not loopback and pod.ip:
                return f"{f'[{pod.ip}]' if ':' in pod.ip else pod.ip}:{port}"
            forward = stack.enter_context(Forward(api, found.namespace, pod.name, port))
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
            debug.append(f"http://{place(pod, 15014, loopback=True)}")
            if not sources.core:
                mcp = place(pod, 15051, loopback=False)
                names[mcp] = pod.name
                core.append(mcp)
        for pod in readable(ViewName.GATEWAY, found.gateways) if not gateways else ():
            url = f"http://{place(pod, 15000, loopback=True)}"
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
