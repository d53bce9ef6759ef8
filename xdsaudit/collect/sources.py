"""Explicit sources to one snapshot: manifests, ADS endpoints, core endpoints and gateways, read in parallel.

A source that fails becomes a view of state ``unread`` with the reason; the others are still used.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from typing import Final, NamedTuple, ParamSpec, Protocol, TypeVar
from urllib.parse import urlsplit

from xdsaudit.collect.access import Access
from xdsaudit.collect.admin import fetch_debug, fetch_gateway, fetch_node, node_shown
from xdsaudit.collect.ads import fetch_core, fetch_pilot
from xdsaudit.collect.limits import Budget
from xdsaudit.collect.manifests import read_manifests
from xdsaudit.errors import ReadError, XdsauditError, outline
from xdsaudit.model.plain import Plain
from xdsaudit.model.snapshot import PilotCapture, Snapshot
from xdsaudit.model.verdict import Origins
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.xds.core import MCP_TYPES
from xdsaudit.xds.session import Node

P = ParamSpec("P")
T = TypeVar("T")
Progress = Callable[[str], None]
_SLACK_SECONDS: Final = 0.5
"""A reader that obeys its budget has ended by then; one stuck in a name lookup may not have, and is abandoned."""


class Tunnel(Protocol):
    """What connects a local endpoint with a pod (``collect.forward.Forward``).

    Attributes:
        place: the pod and port it leads to, for messages.
        error: why the last connection failed, "" if it did not.
    """

    place: str
    error: str


class Wanted(NamedTuple):
    """What manifests ask of the API: lists by plural, where each object was written, the places read, and what could not be."""

    lists: Mapping[str, bytes]
    origins: Origins
    places: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def put_on(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the view ``manifest`` added."""
        state, why = State.PARTIAL if self.unread else State.READ, "; ".join(self.unread) or None
        info = ViewInfo(ViewName.MANIFEST, None, state, why, now(), ", ".join(self.places) or None)
        views = (info, *(v for v in snapshot.views if v.name is not ViewName.MANIFEST))
        return replace(snapshot, manifest=self.lists, origins={**snapshot.origins, **self.origins}, views=views)


@dataclass(frozen=True)
class Sources:
    """Where to read each view.

    Attributes:
        manifests: files, directories or ``-`` with the Ingresses and what they use.
        kube: Kubernetes lists already in memory, instead of manifests.
        ads: ``host:port`` of each pilot.
        ads_debug: URL of each pilot's debug port (15014), in the order of ``ads``.
        core: ``host:port`` of each higress-core.
        gateways: admin URL or config_dump file of each gateway.
        node: the identity to present to pilot; by default the first gateway's is used.
        node_from: the gateway whose identity to use instead (its admin URL or file).
        probe_cache: also read each pilot through a private cache line.
        access: how to reach pilots.
        namespace: the namespace of objects without one.
        controller: what is known about the controller (``controller`` in JSON).
        grace: seconds for which a missing rule is pending.
        names: replica names by endpoint, if the endpoint does not show it (a forwarded port).
        tunnels: port-forwards by endpoint, which know why a pod cannot be reached.
        complaints: which Kubernetes lists could not be read, and why.
        wanted: what manifests ask of the API, if they accompany a cluster.
        known: views already known to be unreadable.
    """

    manifests: tuple[str, ...] = ()
    kube: Mapping[str, bytes] | None = None
    ads: tuple[str, ...] = ()
    ads_debug: tuple[str, ...] = ()
    core: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    node: Node = field(default_factory=Node)
    node_from: str | None = None
    probe_cache: bool = False
    access: Access = field(default_factory=Access)
    namespace: str = "default"
    controller: Mapping[str, Plain] = field(default_factory=dict)
    grace: float = 0.0
    names: Mapping[str, str] = field(default_factory=dict)
    tunnels: Mapping[str, Tunnel] = field(default_factory=dict)
    known: tuple[ViewInfo, ...] = ()
    complaints: tuple[str, ...] = ()
    wanted: Wanted | None = None


def now() -> str:
    """The current time, as snapshots write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def private_version(version: str) -> str:
    """An ISTIO_VERSION never used before: pilot keys its route cache by it, so nothing cached can answer."""
    return f"{version}-xdsaudit-{int(time.time())}-{secrets.token_hex(4)}"


def read(sources: Sources, progress: Progress = lambda _: None) -> Snapshot:
    """Read every source once, in parallel, each within its deadline.

    Raises:
        InputError: the manifests, or key or token files, cannot be used.
    """
    kube = dict(sources.kube) if sources.kube is not None else {}
    infos: list[ViewInfo] = list(sources.known)
    origins: Origins = {}
    if sources.manifests:
        given = read_manifests(sources.manifests, sources.namespace)
        kube |= given.lists
        sources = replace(sources, complaints=(*sources.complaints, *given.unread))
        origins = given.origins
        progress("read the manifests")
    if kube or sources.complaints:
        infos.append(kube_info(kube, sources))
    # A gateway's node and dump are requested in parallel: a silent one costs its deadline only once.
    clock = Budget(sources.access.timeout)
    gateways = [start(gateway_view, source, sources) for source in sources.gateways]
    node = node_to_show(sources)
    later = Budget(sources.access.timeout)
    pilots = [
        start(_pilot, endpoint, debug, node, sources)
        for endpoint, debug in zip_longest(sources.ads, sources.ads_debug[: len(sources.ads)], fillvalue="")
    ]
    cores = [start(_core, endpoint, sources) for endpoint in sources.core]

    def gather(
        what: ViewName, places: tuple[str, ...], jobs: list[Future[tuple[T, list[ViewInfo]]]], within: Budget
    ) -> dict[str, T]:
        answers = {}
        for name, place, job in zip(replica_names(places, sources.names), places, jobs, strict=True):
            try:
                answers[name], readings = result_of(job, within, f"{what.value} {place}")
            except ReadError as error:
                readings = [ViewInfo(what, None, State.UNREAD, error_text(error, place, sources), now())]
            infos.extend(i._replace(replica=name, endpoint=place) for i in readings)
            progress(f"asked {what.value} {place}")
        return answers

    served = gather(ViewName.PILOT, sources.ads, pilots, later)
    mcp = gather(ViewName.CORE, sources.core, cores, later)
    dumps = gather(ViewName.GATEWAY, sources.gateways, gateways, clock)
    snapshot = Snapshot(
        captured_at=now(),
        controller={"kind": "higress", **sources.controller},
        kube=kube,
        core={n: r for n, r in mcp.items() if r},
        pilot={n: c for n, c in served.items() if c.served or c.fresh},
        gateway={n: p for n, p in dumps.items() if p},
        views=tuple(infos),
        grace=sources.grace,
        origins=origins,
    )
    return sources.wanted.put_on(snapshot) if sources.wanted is not None else snapshot


def kube_info(kube: Mapping[str, bytes], sources: Sources) -> ViewInfo:
    """How the Kubernetes lists were read."""
    state = State.PARTIAL if sources.complaints else State.READ
    if "ingresses" not in kube:
        state = State.UNREAD
    why = "; ".join(sources.complaints) or None
    return ViewInfo(ViewName.INGRESS, None, state, why, now(), ", ".join(sources.manifests) or None)


def start(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
    """Run in a daemon thread: an executor would delay Ctrl-C until the slowest source reaches its deadline."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="xdsaudit-read", daemon=True).start()
    return future


def result_of(job: Future[T], within: Budget, subject: str) -> T:
    """The result of a started reader.

    Raises:
        ReadError: it did not finish in time, or failed unexpectedly.
        InputError: its own.
    """
    try:
        return job.result(timeout=within.left + _SLACK_SECONDS)
    except XdsauditError:
        raise
    except Exception as error:
        if not job.done():
            raise ReadError(
                f"{subject}: no answer within {within.seconds:g} s; check that its name can be looked up, or raise --timeout"
            ) from error
        raise ReadError(
            f"{subject}: could not be read ({outline(error)}); this is a bug in xdsaudit, please report it"
        ) from error


def error_text(error: ReadError, endpoint: str, sources: Sources) -> str:
    """An error's text; for a port-forward it names the pod and the forward's reason instead of a local address."""
    text = str(error)
    tunnel = sources.tunnels.get(endpoint)
    if tunnel is None:
        return text
    what = text.partition(" ")[0]
    if tunnel.error:
        return f"{what} {tunnel.place}: {tunnel.error}; look at the pod, and whether it listens on that port"
    return text.replace(endpoint, tunnel.place)


def replica_names(sources: tuple[str, ...], known: Mapping[str, str]) -> list[str]:
    """A replica name per source, usable as a folder: the pod's name if known, otherwise host_port; duplicates are numbered."""
    names: list[str] = []
    for source in sources:
        if source in known:
            text = known[source]
        elif "://" in source:
            text = urlsplit(source).netloc.rpartition("@")[2]
        else:
            parts = source.replace("\\", "/").rstrip("/").split("/")
            text = parts[-2] if parts[-1] == "config_dump.json" and len(parts) > 1 else parts[-1]
        name = "".join(c if c.isalnum() or c in ".-" else "_" for c in text).strip(".") or "replica"
        names.append(name if name not in names else f"{name}-{len(names) + 1}")
    return names


def node_to_show(sources: Sources) -> Node:
    """The node to present: the given one, or a gateway's, so that pilot answers from the cache line this gateway reads."""
    given = sources.node != Node(namespace=sources.node.namespace)
    gateway = sources.node_from or (sources.gateways[0] if sources.gateways and sources.ads and not given else None)
    if gateway is None:
        return sources.node
    try:
        node = fetch_node(gateway, sources.access.timeout)
    except ReadError:
        if sources.node_from is None:
            return sources.node  # that gateway's view will report why; Higress's default identity is the best guess
        raise
    # The id stays ours, to be recognisable in pilot's list of clients; pilot only uses the metadata.
    shown = node.metadata
    labels = shown.get("LABELS")
    return replace(
        sources.node,
        istio_version=str(shown.get("ISTIO_VERSION") or sources.node.istio_version),
        namespace=str(shown.get("NAMESPACE") or sources.node.namespace),
        labels={k: str(v) for k, v in labels.items()} if isinstance(labels, dict) and labels else sources.node.labels,
        cluster_id=str(shown.get("CLUSTER_ID") or sources.node.cluster_id),
    )


def _pilot(endpoint: str, debug: str, node: Node, sources: Sources) -> tuple[PilotCapture, list[ViewInfo]]:
    lines = [(ViewName.PILOT, node)]
    if sources.probe_cache:
        lines.append((ViewName.PILOT_FRESH, replace(node, istio_version=private_version(node.istio_version))))
    answers: dict[ViewName, tuple[bytes, ...]] = {}
    infos = []
    budget = Budget(sources.access.timeout, sources.access.max_bytes)
    for name, identity in lines:
        try:
            responses, why = fetch_pilot(endpoint, identity, sources.access, budget)
        except ReadError as error:
            why = error_text(error, endpoint, sources)
            infos.append(ViewInfo(name, None, State.UNREAD, why, now(), None, identity.id))
            continue
        answers[name] = responses
        infos.append(ViewInfo(name, None, State.PARTIAL if why else State.READ, why, now(), None, identity.id))
    pages = fetch_debug(debug, budget) if debug else {}
    return PilotCapture(answers.get(ViewName.PILOT, ()), answers.get(ViewName.PILOT_FRESH), pages), infos


def _core(endpoint: str, sources: Sources) -> tuple[tuple[bytes, ...], list[ViewInfo]]:
    access = Access(timeout=sources.access.timeout, max_bytes=sources.access.max_bytes)
    try:
        return fetch_core(endpoint, MCP_TYPES, access), [ViewInfo(ViewName.CORE, None, State.READ, None, now())]
    except ReadError as error:
        return (), [ViewInfo(ViewName.CORE, None, State.UNREAD, error_text(error, endpoint, sources), now())]


Gateway = Callable[[float, int], tuple[dict[str, bytes], list[str]]]
"""Reads one gateway's pages within a limit of seconds and bytes."""


def gateway_view(
    source: str, sources: Sources, reading: Gateway | None = None
) -> tuple[dict[str, bytes], list[ViewInfo]]:
    """A gateway's pages and how they were read; the caller names the replica."""
    access = sources.access
    try:
        pages, complaints = (reading or partial(fetch_gateway, source))(access.timeout, access.max_bytes)
    except ReadError as error:
        return {}, [ViewInfo(ViewName.GATEWAY, None, State.UNREAD, error_text(error, source, sources), now())]
    node = next(
        (n for p in ("server_info.json", "config_dump.json") if p in pages and (n := node_shown(pages[p]))), None
    )
    state = State.PARTIAL if complaints else State.READ
    why = "; ".join(complaints) or None
    return pages, [ViewInfo(ViewName.GATEWAY, None, state, why, now(), None, node.id if node else None)]
