"""What of Higress runs in a cluster, and what should: workloads, the replicas they want, and their pods.

Finds and names; does not read pods' configuration or decide anything about rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from xdsaudit.collect.kinds import Kind
from xdsaudit.collect.kube import KubeApi, item_key
from xdsaudit.collect.sources import now
from xdsaudit.errors import InputError, ReadError
from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.plain import Plain
from xdsaudit.model.view import State, ViewInfo, ViewName

T = TypeVar("T")
CONTROLLER: Final = "app=higress-controller"
GATEWAY: Final = "app=higress-gateway"
_PODS: Final = Kind("/api/v1", "pods", "Pod")
_WORKLOADS: Final = tuple(
    Kind("/apis/apps/v1", plural, kind)
    for plural, kind in (("deployments", "Deployment"), ("daemonsets", "DaemonSet"), ("statefulsets", "StatefulSet"))
)
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
class Where:
    """Where to look for Higress in a cluster.

    Attributes:
        namespace: the controller's namespace; None to look for it.
        controller: the controller's Deployment, if several run in one namespace.
        controller_selector: labels of the controller's pods.
        gateway_selector: labels of the gateway's pods.
        gateway_namespace: the gateway's namespace; None for the controller's.
        no_gateway: whether to accept that there is no gateway to read.
    """

    namespace: str | None = None
    controller: str | None = None
    controller_selector: str = CONTROLLER
    gateway_selector: str = GATEWAY
    gateway_namespace: str | None = None
    no_gateway: bool = False


@dataclass(frozen=True)
class Ports:
    """Ports of the pods: pilot's ADS (plain and TLS) and debug, core's MCP, Envoy's admin."""

    ads: int = 15010
    ads_tls: int = 15012
    debug: int = 15014
    core: int = 15051
    admin: int = 15000


@dataclass(frozen=True)
class Pod:
    """A Higress pod; ``why`` says why it cannot be read, empty if it can."""

    name: str
    ip: str
    why: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What was found in a cluster.

    Attributes:
        namespace: where the controller runs.
        controllers: its pods, which run core and pilot.
        gateways: pods of the gateway.
        controller: version and options, under the names of ``snapshot.json``.
        remarks: notes for people.
        gateway_namespace: where the gateway runs.
        missing: replicas that should exist but do not, each as an unread view.
    """

    namespace: str
    controllers: tuple[Pod, ...]
    gateways: tuple[Pod, ...]
    controller: Mapping[str, Plain] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    gateway_namespace: str = ""
    missing: tuple[ViewInfo, ...] = ()


@dataclass(frozen=True)
class Workload:
    """A Deployment, DaemonSet or StatefulSet: its name, the replicas it wants, the labels of its pods, and its containers."""

    kind: str
    name: str
    replicas: int
    labels: Mapping[str, str]
    containers: tuple[_Container, ...]

    def owns(self, pod: Pod) -> bool:
        """Whether a pod has the labels of its selector."""
        return bool(self.labels) and all(pod.labels.get(k) == v for k, v in self.labels.items())


def discover(api: KubeApi, where: Where | None = None) -> Found:
    """Higress's namespaces, pods and options, and which replicas are missing.

    Raises:
        InputError: several instances of Higress run in the cluster, and none was chosen.
        ReadError: pods may not be listed, or neither a controller nor a gateway was found.
    """
    where = where or Where()
    api = api.bounded()
    remarks: list[str] = []
    pods = _pods(api, where.namespace, where.controller_selector)
    namespace = where.namespace
    if namespace is None:
        spaces = sorted({space for space, _ in pods})
        if len(spaces) > 1:
            raise InputError(f"Higress runs in {', '.join(spaces)}: choose one with --system-namespace")
        namespace = spaces[0] if spaces else "higress-system"
    controllers = [pod for _, pod in sorted(pods.items())]
    workloads = _workloads(api, namespace, where.controller_selector, remarks)
    if workloads is not None:
        controllers, workloads = _chosen(controllers, workloads, where.controller, namespace)
    gateway_namespace = where.gateway_namespace or namespace
    gateways = [pod for _, pod in sorted(_pods(api, gateway_namespace, where.gateway_selector).items())]
    if not controllers and not gateways:
        raise ReadError(
            f"Kubernetes {api.host}: no pod with {where.controller_selector} or {where.gateway_selector} in {namespace}; name its "
            "namespace with --system-namespace, its labels with --controller-selector and --gateway-selector, or check --context"
        )
    missing = _missing(ViewName.PILOT, controllers, workloads, where.controller_selector, namespace)
    if not where.no_gateway:
        wanted = _workloads(api, gateway_namespace, where.gateway_selector, remarks)
        gaps = _missing(ViewName.GATEWAY, gateways, wanted, where.gateway_selector, gateway_namespace)
        if not gateways and gaps:
            gaps = tuple(i._replace(why=f"{i.why}{_elsewhere(api, where, gateway_namespace)}") for i in gaps)
        missing += gaps
    options: dict[str, Plain] = {"kind": "higress", "system_namespace": namespace}
    for workload in workloads or ():
        options |= _options(workload.containers)
    return Found(
        namespace, tuple(controllers), tuple(gateways), options, tuple(remarks), gateway_namespace, tuple(missing)
    )


def _chosen(
    pods: list[Pod], workloads: list[Workload], name: str | None, namespace: str
) -> tuple[list[Pod], list[Workload]]:
    """The chosen one of several controllers in one namespace."""
    if name is not None:
        mine = [w for w in workloads if w.name == name]
        if not mine:
            there = ", ".join(w.name for w in workloads) or "none"
            raise InputError(f"--controller {name}: no such controller in {namespace}; there is {there}")
        return [p for p in pods if mine[0].owns(p)], mine
    if len(workloads) > 1:
        raise InputError(
            f"several controllers run in {namespace}: {', '.join(w.name for w in workloads)}; choose one with --controller"
        )
    return pods, workloads


def _missing(
    name: ViewName, pods: list[Pod], workloads: list[Workload] | None, selector: str, namespace: str
) -> tuple[ViewInfo, ...]:
    """A gap for each wanted replica without a pod; one gap if there is nothing at all."""
    flag = "gateway" if name is ViewName.GATEWAY else "controller"
    gaps = []
    for workload in workloads or ():
        mine = [p for p in pods if workload.owns(p) and p.why != _TERMINATING]
        label = f"{workload.kind} {namespace}/{workload.name}"
        if workload.replicas == 0 and not mine:
            gaps.append(ViewInfo(name, workload.name, State.UNREAD, f"{label} wants 0 replicas", now()))
        for number in range(len(mine), workload.replicas):
            why = f"{label} wants {workload.replicas} replicas but has {len(mine)} pods: see kubectl describe"
            gaps.append(ViewInfo(name, f"{workload.name}-missing-{number + 1}", State.UNREAD, why, now()))
    if not pods and not gaps:
        why = f"no pod with {selector} in {namespace}; name its labels with --{flag}-selector" + (
            ", its namespace with --gateway-namespace, or pass --no-gateway" if name is ViewName.GATEWAY else ""
        )
        gaps.append(ViewInfo(name, None, State.UNREAD, why, now()))
    return tuple(gaps)


def _elsewhere(api: KubeApi, where: Where, namespace: str) -> str:
    """Where else pods with these labels run, as the end of a sentence; empty if nowhere or unknown."""
    try:
        spaces = sorted({space for space, _ in _pods(api, None, where.gateway_selector)} - {namespace})
    except ReadError:
        return ""
    return f"; there are some in {', '.join(spaces[:3])}: --gateway-namespace {spaces[0]}" if spaces else ""


_TERMINATING: Final = "the pod is terminating"


def _pods(api: KubeApi, namespace: str | None, selector: str) -> dict[tuple[str, str], Pod]:
    items, _ = api.list(_PODS, namespace, selector=selector)
    pods = {}
    for key, raw in items.items():
        pod = _decoded(api, _PODS, namespace, raw, _Pod)
        status = pod.status or _PodStatus()
        phase = status.phase or ""
        if phase in ("Succeeded", "Failed"):
            continue
        why = f"the pod is {phase or 'in an unknown phase'}" if phase != "Running" else ""
        if pod.metadata.deletionTimestamp:
            why = _TERMINATING
        pods[key] = Pod(key[1], status.podIP or "", why, pod.metadata.labels or {})
    return pods


def _workloads(api: KubeApi, namespace: str, selector: str, remarks: list[str]) -> list[Workload] | None:
    """Workloads whose pods have these labels; None, with a remark, if they may not be listed."""
    wanted = dict(term.split("=", 1) for term in selector.replace("==", "=").split(",") if "=" in term)
    workloads = []
    for kind in _WORKLOADS:
        try:
            items, _ = api.list(kind, namespace)
        except ReadError as error:
            if kind.kind == "Deployment":
                remarks.append(f"the number of replicas and their options are unknown ({error})")
                return None
            if error.status not in (403, 404):
                raise
            remarks.append(f"{kind.plural} could not be listed: their wanted replicas are unknown ({error})")
            continue
        for raw in items.values():
            item = _decoded(api, kind, namespace, raw, _Workload)
            labels = item.spec.template.metadata.labels or item.metadata.labels or {}
            if all(labels.get(k.strip()) == v.strip() for k, v in wanted.items()):
                workloads.append(_workload(kind.kind, item))
    return workloads


def _workload(kind: str, item: _Workload) -> Workload:
    replicas = item.spec.replicas
    if kind == "DaemonSet":
        replicas = item.status.desiredNumberScheduled if item.status else 0
    labels = item.spec.selector.matchLabels or item.spec.template.metadata.labels or item.metadata.labels or {}
    containers = tuple(item.spec.template.spec.containers or ())
    return Workload(kind, item.metadata.name, 1 if replicas is None else replicas, labels, containers)


class _PodMeta(Struct):
    name: str = ""
    deletionTimestamp: str | None = None  # noqa: N815 - the API's name
    labels: dict[str, str] | None = None


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
    metadata: _PodMeta = msgspec.field(default_factory=_PodMeta)
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _Selector(Struct):
    matchLabels: dict[str, str] | None = None  # noqa: N815 - the API's name


class _WorkloadSpec(Struct):
    replicas: int | None = None
    selector: _Selector = msgspec.field(default_factory=_Selector)
    template: _Template = msgspec.field(default_factory=_Template)


class _WorkloadStatus(Struct):
    desiredNumberScheduled: int = 0  # noqa: N815 - the API's name


class _Workload(Struct):
    metadata: _PodMeta
    spec: _WorkloadSpec = msgspec.field(default_factory=_WorkloadSpec)
    status: _WorkloadStatus | None = None


def _decoded(api: KubeApi, kind: Kind, namespace: str | None, raw: bytes, of: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=of)
    except BROKEN as error:
        name = "/".join(filter(None, item_key(raw)))
        raise ReadError(
            f"Kubernetes {api.host}{kind.path(namespace)}: {name} is not a {kind.kind} ({error}); is this an API server?"
        ) from error


def _options(containers: tuple[_Container, ...]) -> dict[str, Plain]:
    """Options from the controller's containers: core's flags, pilot's environment, the image's version."""
    options: dict[str, Plain] = {}
    for container in containers:
        for flag, value in _flags([*(container.command or ()), *(container.args or ())]):
            if flag in _FLAGS:
                name = _FLAGS[flag]
                if not name.endswith("_port"):
                    options[name] = value
                elif value.isascii() and value.isdigit():
                    options[name] = int(value[:9])
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
