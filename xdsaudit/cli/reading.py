"""From options to what is read: a snapshot, explicit sources, or a cluster whose pods are reached while a command runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xdsaudit.cli.options import controller_of, endpoints, pair
from xdsaudit.errors import InputError, ReadError

if TYPE_CHECKING:
    from xdsaudit.collect.kube import KubeApi
    from xdsaudit.collect.sources import Sources
    from xdsaudit.model.snapshot import Snapshot

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Opened:
    """Sources that can be read as long as the block lasts.

    Attributes:
        sources: where each view is.
        cluster: the API server and Higress's namespace, None with explicit sources alone.
        refs: Ingresses that -f chooses of the cluster, empty for all.
    """

    sources: Sources
    cluster: tuple[KubeApi, str] | None = None
    refs: frozenset[str] = frozenset()


def snapshot_of(options: dict[str, Any], progress: Progress) -> tuple[Snapshot, frozenset[str]]:
    """The snapshot that the source options describe, and the Ingresses that -f chooses of a cluster (empty: all).

    Raises:
        InputError: they name no source, or contradict each other.
    """
    from xdsaudit.collect.snapshot import load
    from xdsaudit.collect.sources import read

    if options["snapshot"]:
        if options["manifests"] or options["kubeconfig"] or options["context"] or _explicit(options):
            raise InputError(
                "--snapshot holds all views: leave -f, --ads, --core, --gateway and --context out, or drop --snapshot"
            )
        told = controller_of(options)
        snapshot = load(options["snapshot"])
        controller = {**snapshot.controller, **told}
        return replace(snapshot, controller=controller, grace=options.get("grace") or 0.0), frozenset()
    with opened(options, progress) as found:
        return read(found.sources, progress), found.refs


def _explicit(options: dict[str, Any]) -> bool:
    return any(options[name] for name in ("ads", "core", "gateways"))


@contextmanager
def opened(options: dict[str, Any], progress: Progress) -> Iterator[Opened]:
    """Sources of -f, --ads, --core and --gateway, completed by a cluster where they leave something out.

    Raises:
        InputError: there is nothing to read.
        ReadError: the cluster cannot be read.
    """
    sources = _sources(options)
    if options["manifests"] and _explicit(options) and not (options["kubeconfig"] or options["context"]):
        yield Opened(sources)
        return
    from xdsaudit.collect.cluster import Found, discover, lists, reach
    from xdsaudit.collect.kube import connect
    from xdsaudit.collect.manifests import read_manifests

    try:
        api = connect(options["kubeconfig"], options["context"], timeout=options["timeout"])
    except InputError as error:
        if _explicit(options):
            raise InputError(
                f"there are no Ingresses to look for: give their manifests with -f, or a cluster ({error})"
            ) from error
        raise
    try:
        found = discover(api, options["system_namespace"])
    except ReadError as error:
        if not _explicit(options):
            raise
        # A standalone Higress has an API without pods: its ports are given.
        space = options["system_namespace"] or "higress-system"
        found = Found(
            space, (), (), {"kind": "higress", "system_namespace": space}, (f"its pods were not looked for ({error})",)
        )
    progress(f"found Higress in {found.namespace}")
    refs = read_manifests(options["manifests"]).refs if options["manifests"] else frozenset()
    kube, complaints = lists(api, found.namespace)
    progress("read the Kubernetes objects")
    sources = replace(sources, manifests=(), kube=kube, complaints=tuple(complaints))
    with reach(api, found, sources, mint=options["mint_token"], progress=progress) as reached:
        yield Opened(reached, (api, found.namespace), refs)


def _sources(options: dict[str, Any]) -> Sources:
    from xdsaudit.collect.ads import Access
    from xdsaudit.collect.sources import Sources
    from xdsaudit.xds.session import Node

    controller = controller_of(options)
    if len(options["ads_debug"]) > len(options["ads"]):
        raise InputError("--ads-debug belongs to an --ads: give as many of --ads, in the same order")
    labels = dict(pair(text) for text in options["node_labels"])
    node = Node(namespace=controller.get("system_namespace", "higress-system"))
    node = replace(
        node,
        node_id=options["node_id"],
        istio_version=options["istio_version"] or node.istio_version,
        labels=labels or node.labels,
    )
    access = Access(
        options["ads_tls"],
        options["ca"],
        options["cert"],
        options["key"],
        options["token_file"],
        options["tls_server_name"],
        options["timeout"],
    )
    grace = options.get("grace")
    return Sources(
        manifests=options["manifests"],
        ads=endpoints("--ads", options["ads"]),
        ads_debug=options["ads_debug"],
        core=endpoints("--core", options["core"]),
        gateways=options["gateways"],
        node=node,
        node_from=options["node_from"],
        probe_cache=options["probe_cache"],
        access=access,
        controller=controller,
        grace=15.0 if grace is None else grace,
    )
