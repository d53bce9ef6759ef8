"""From what a caller asks for to what is read: a snapshot, explicit sources, or a cluster whose pods stay reachable in a block.

Holds the one way in for the command line, the pytest plugin and the library; must not judge anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xdsaudit.collect.limits import MAX_BYTES
from xdsaudit.errors import InputError, ReadError
from xdsaudit.model.plain import Plain, as_text

if TYPE_CHECKING:
    from xdsaudit.collect.discovery import Ports, Where
    from xdsaudit.collect.kube import KubeApi
    from xdsaudit.collect.rounds import LiveReader
    from xdsaudit.collect.sources import Sources
    from xdsaudit.model.snapshot import Snapshot

Progress = Callable[[str], None]
LIVE_GRACE_SECONDS: Final = 15.0


@dataclass(frozen=True)
class SourceOptions:
    """What to read and how; the fields are named after the command line's options.

    Attributes:
        snapshot: a snapshot instead of live sources.
        kubeconfig: a kubeconfig; None for KUBECONFIG, ``~/.kube/config`` or the pod's own account.
        context: the kubeconfig's context; None for the current one.
        manifests: files, folders or ``-``; beside a cluster they select its Ingresses.
        ads: ``host:port`` of each pilot.
        ads_debug: URL of each pilot's debug port, in the order of ``ads``.
        core: ``host:port`` of each higress-core.
        gateways: admin URL or config dump file of each gateway.
        probe_cache: also read each pilot through a private cache line.
        node_from: the gateway whose identity is presented to pilot.
        node_id: the node id to present to pilot.
        node_labels: the node's labels, each ``KEY=VALUE``.
        istio_version: ISTIO_VERSION of the node.
        ads_tls: whether to connect to pilot over TLS.
        ca: file with the CA certificates to verify pilot's certificate with.
        cert: file with the client certificate; needs ``key``.
        key: file with its key.
        token_file: file with a bearer token.
        mint_token: ServiceAccount whose token is requested for TLS to pilot.
        tls_server_name: name in pilot's certificate, if it is not the endpoint's host.
        controller_name: the controller's Deployment, if several run in one namespace.
        controller_selector: labels of the controller's pods.
        gateway_selector: labels of the gateway's pods.
        gateway_namespace: the gateway's namespace; None for the controller's.
        no_gateway: whether to accept that there is no gateway to read.
        no_secrets: whether to do without listing Secrets: the existence of certificates is then not judged.
        pilot_port: pilot's ADS port; None for 15010, or 15012 with TLS.
        pilot_debug_port: the port of pilot's debug pages.
        core_port: core's MCP port.
        admin_port: Envoy's admin port.
        timeout: seconds for each source, retries included.
        max_bytes: the most bytes to read from each source.
        controller: what is known about the controller, under the names of ``snapshot.json``.
        grace: seconds for which a missing rule is pending; None for 15 live and 0 for a snapshot.
    """

    snapshot: str | None = None
    kubeconfig: str | None = None
    context: str | None = None
    manifests: tuple[str, ...] = ()
    ads: tuple[str, ...] = ()
    ads_debug: tuple[str, ...] = ()
    core: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    probe_cache: bool = False
    node_from: str | None = None
    node_id: str | None = None
    node_labels: tuple[str, ...] = ()
    istio_version: str | None = None
    ads_tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None
    mint_token: str | None = None
    tls_server_name: str | None = None
    controller_name: str | None = None
    controller_selector: str = "app=higress-controller"
    gateway_selector: str = "app=higress-gateway"
    gateway_namespace: str | None = None
    no_gateway: bool = False
    no_secrets: bool = False
    pilot_port: int | None = None
    pilot_debug_port: int = 15014
    core_port: int = 15051
    admin_port: int = 15000
    timeout: float = 10.0
    max_bytes: int = MAX_BYTES
    controller: Mapping[str, Plain] = field(default_factory=dict)
    grace: float | None = None

    @classmethod
    def of(cls, values: Mapping[str, object]) -> SourceOptions:
        """Options from their names and values, of whose types the caller is sure."""
        make: Callable[..., SourceOptions] = cls
        return make(**values)

    @property
    def explicit(self) -> bool:
        """Whether pilots, cores or gateways are named explicitly."""
        return bool(self.ads or self.core or self.gateways)

    @property
    def system_namespace(self) -> str | None:
        """The controller's namespace, None to look for it."""
        return as_text(self.controller.get("system_namespace")) or None


@dataclass(frozen=True)
class Opened:
    """Sources that can be read inside the block.

    Attributes:
        sources: where each view is.
        cluster: the API server and Higress's namespace, None if all sources are explicit.
        refs: the cluster's Ingresses that the manifests select, empty for all.
    """

    sources: Sources
    cluster: tuple[KubeApi, str] | None = None
    refs: frozenset[str] = frozenset()


def snapshot_of(options: SourceOptions, progress: Progress = lambda _: None) -> tuple[Snapshot, frozenset[str]]:
    """The snapshot that the options describe, and the cluster's Ingresses that manifests select (empty for all).

    Raises:
        InputError: the options name no source, or contradict each other.
        ReadError: the cluster cannot be read.
    """
    if options.snapshot:
        from xdsaudit.collect.snapshot import load

        if options.manifests or options.kubeconfig or options.context or options.explicit:
            raise InputError(
                "--snapshot contains all views: leave out -f, --ads, --core, --gateway and --context, or drop --snapshot"
            )
        snapshot = load(options.snapshot)
        controller = {**snapshot.controller, **options.controller}
        return replace(snapshot, controller=controller, grace=options.grace or 0.0), frozenset()
    from xdsaudit.collect.sources import read

    with opened(options, progress) as reach:
        return read(reach.sources, progress), reach.refs


def can_change(options: SourceOptions) -> bool:
    """Whether a second look may see something else than the first: a snapshot and files stay as they are."""
    if options.snapshot:
        return False
    from xdsaudit.collect.admin import is_url

    explicit = options.manifests and options.explicit and not (options.kubeconfig or options.context)
    return not explicit or bool(options.ads or options.core or any(map(is_url, options.gateways)))


def looked_again(options: SourceOptions, *, probe: bool, progress: Progress = lambda _: None) -> Snapshot | None:
    """A second snapshot of live sources, a moment after the first; None if nothing can have changed (a snapshot or files).

    Everything is read again: a private cache line newer than the other views would make young rules look stale.

    Args:
        options: what the first was read with.
        probe: whether to also read pilot's private cache line.
        progress: called with what happens.

    Raises:
        InputError: as in ``snapshot_of``.
        ReadError: as in ``snapshot_of``.
    """
    if not can_change(options):
        return None
    progress(
        "something is missing or different: reading everything again"
        + (", with pilot's private cache line" if probe else "")
    )
    time.sleep(BETWEEN_LOOKS)
    again, _ = snapshot_of(replace(options, probe_cache=probe or options.probe_cache), progress)
    return again


BETWEEN_LOOKS: Final = 1.0
"""Seconds: pilot debounces changes for up to a tenth of one, and a push takes as long."""


@contextmanager
def opened(options: SourceOptions, progress: Progress = lambda _: None) -> Iterator[Opened]:
    """Explicit sources, completed from a cluster.

    Raises:
        InputError: there is nothing to read.
        ReadError: the cluster cannot be read.
    """
    from xdsaudit.collect.manifests import read_manifests

    sources = _sources(options)
    if options.manifests and options.explicit and not (options.kubeconfig or options.context):
        yield Opened(sources)
        return
    # Before the cluster: a missing file must be reported even if the cluster cannot be reached.
    given = read_manifests(options.manifests) if options.manifests else None
    from xdsaudit.collect.cluster import Way, lists, reach
    from xdsaudit.collect.discovery import Found, discover
    from xdsaudit.collect.kubeconfig import kube_api
    from xdsaudit.collect.sources import Wanted

    try:
        api = kube_api(
            options.kubeconfig,
            options.context,
            timeout=options.timeout,
            max_bytes=options.max_bytes,
            secrets=not options.no_secrets,
        )
    except InputError as error:
        if options.explicit:
            raise InputError(
                f"there are no Ingresses to check: give their manifests with -f, or a cluster ({error})"
            ) from error
        raise
    at_once = api.bounded()
    try:
        higress = discover(at_once, where_of(options))
    except ReadError as error:
        if not options.explicit:
            raise
        # A standalone Higress has an API without pods; its ports were given.
        space = options.system_namespace or "higress-system"
        higress = Found(
            space, (), (), {"kind": "higress", "system_namespace": space}, (f"its pods were not looked up ({error})",)
        )
    progress(f"found Higress in {higress.namespace}")
    kube, complaints = lists(at_once, higress.namespace)
    progress("read the Kubernetes objects")
    wanted = Wanted(given.lists, given.origins, options.manifests, given.unread) if given is not None else None
    sources = replace(sources, manifests=(), kube=kube, complaints=tuple(complaints), wanted=wanted)
    way = Way(mint=options.mint_token, ports=_ports(options))
    with reach(at_once, higress, sources, way, progress=progress) as reached:
        yield Opened(reached, (api, higress.namespace), given.chosen if given is not None else frozenset())


def where_of(options: SourceOptions) -> Where:
    """Where to look for Higress in a cluster."""
    from xdsaudit.collect.discovery import Where

    return Where(
        options.system_namespace,
        options.controller_name,
        options.controller_selector,
        options.gateway_selector,
        options.gateway_namespace,
        options.no_gateway,
    )


def _ports(options: SourceOptions) -> Ports:
    from xdsaudit.collect.discovery import Ports

    ports = Ports(debug=options.pilot_debug_port, core=options.core_port, admin=options.admin_port)
    port = options.pilot_port
    return ports if port is None else replace(ports, ads=port, ads_tls=port)


@contextmanager
def live_reader(reach: Opened) -> Iterator[LiveReader]:
    """A reader for repeated rounds; in a cluster, Kubernetes objects are followed with watches."""
    from xdsaudit.collect.manifests import read_manifests
    from xdsaudit.collect.rounds import LiveReader

    with ExitStack() as stack:
        sources, kube = reach.sources, None
        if reach.cluster is not None:
            from xdsaudit.collect.watches import KubeStore

            kube = stack.enter_context(KubeStore(*reach.cluster)).read
        elif sources.manifests:
            given = read_manifests(sources.manifests)
            sources = replace(sources, kube=given.lists, manifests=(), complaints=given.unread)
        yield stack.enter_context(LiveReader(sources, kube))


def _sources(options: SourceOptions) -> Sources:
    from xdsaudit.collect.access import Access
    from xdsaudit.collect.sources import Sources
    from xdsaudit.xds.session import Node

    if len(options.ads_debug) > len(options.ads):
        raise InputError("each --ads-debug belongs to an --ads: give as many --ads, in the same order")
    labels = dict(_pair(text) for text in options.node_labels)
    node = Node(namespace=options.system_namespace or "higress-system")
    node = replace(
        node,
        node_id=options.node_id,
        istio_version=options.istio_version or node.istio_version,
        labels=labels or node.labels,
    )
    unused = [flag for flag, value in (("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)) if value]
    if unused and not options.ads_tls:
        raise InputError(f"{unused[0]} is used over TLS only: add --ads-tls, or leave it out")
    access = Access(
        options.ads_tls,
        options.ca,
        options.cert,
        options.key,
        options.token_file,
        options.tls_server_name,
        options.timeout,
        max_bytes=options.max_bytes,
    )
    return Sources(
        manifests=options.manifests,
        ads=_endpoints("--ads", options.ads),
        ads_debug=tuple(_url("--ads-debug", u) for u in options.ads_debug),
        core=_endpoints("--core", options.core),
        gateways=tuple(_gateway("--gateway", g) for g in options.gateways),
        node=node,
        node_from=None if options.node_from is None else _gateway("--node-from", options.node_from),
        probe_cache=options.probe_cache,
        access=access,
        controller=dict(options.controller),
        grace=LIVE_GRACE_SECONDS if options.grace is None else options.grace,
    )


def _pair(text: str) -> tuple[str, str]:
    """Key and value of a node label."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise InputError(f"--node-label {text!r}: write KEY=VALUE")
    return key, value


def _endpoints(option: str, endpoints: tuple[str, ...]) -> tuple[str, ...]:
    """The endpoints of an option, each checked to be HOST:PORT."""
    for endpoint in endpoints:
        if not _is_endpoint(endpoint):
            hint = ", without http:// or a path" if "://" in endpoint else ""
            raise InputError(
                f"{option} {_shown(endpoint)!r}: write HOST:PORT{hint}, for example 127.0.0.1:15010 or [::1]:15010"
            )
    return endpoints


def _is_endpoint(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    if (
        not colon
        or not host
        or not host.isprintable()
        or any(c in host for c in "/@ ?#")
        or not (port.isascii() and port.isdigit())
    ):
        return False
    bracketed = host.startswith("[") and host.endswith("]") and len(host) > 2
    return (bracketed or ":" not in host) and len(port) < 6 and 0 < int(port) < 65536


def _gateway(option: str, text: str) -> str:
    """A gateway's admin URL or the path of its dump; HOST:PORT counts as a URL, as for --ads."""
    if "://" in text:
        return _url(option, text)
    return f"http://{text}" if _is_endpoint(text) and not os.path.exists(text) else text  # noqa: PTH110 - or no path


def _url(option: str, text: str) -> str:
    from xdsaudit.collect.admin import plain_url

    scheme = text.partition("://")[0].lower()
    if scheme not in ("http", "https") or "://" not in text:
        raise InputError(f"{option} {_shown(text)!r}: is not an http:// URL; write http://HOST:PORT")
    try:
        return plain_url(text)
    except ReadError as error:
        raise InputError(f"{option}: {str(error).partition(' ')[2]}") from error


def _shown(text: str) -> str:
    """The text as given, without a user and password."""
    scheme, sign, rest = text.rpartition("://")
    return f"{scheme}{sign}{rest.rpartition('@')[2]}"
