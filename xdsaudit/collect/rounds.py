"""What ``wait`` and ``watch`` read round after round: an open ADS stream per pilot, parts of each gateway's dump, watched objects.

Rules of the load (measured, see the docs): whole dumps at most once a second; pilot through one private cache line per process, and
one further line per probe; pilot's own config dump never.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from xdsaudit.collect.admin import get_page, plain_url, pool, read_gateway
from xdsaudit.collect.ads_stream import Follower
from xdsaudit.collect.limits import Budget
from xdsaudit.collect.sources import (
    Sources,
    gateway_view,
    kube_info,
    node_to_show,
    now,
    private_version,
    read,
    replica_names,
    result_of,
    said,
    start,
)
from xdsaudit.errors import ReadError
from xdsaudit.model.snapshot import PilotCapture, Snapshot
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.xds.session import Node

Kube = Callable[[], tuple[Mapping[str, bytes], tuple[str, ...]]]
WHOLE_SECONDS: Final = 1.0
_MANY: Final = 200
_PARTS: Final = (
    ("ListenersConfigDump", "dynamic_listeners", False),
    ("ScopedRoutesConfigDump", "dynamic_scoped_route_configs", False),
    ("RoutesConfigDump", "dynamic_route_configs", True),
    ("ClustersConfigDump", "dynamic_active_clusters", False),
    ("SecretsConfigDump", "dynamic_warming_secrets", False),
    ("EcdsConfigDump", "ecds_filters", False),
)


class LiveReader:
    """Reads the same sources again and again, cheaply; a context manager."""

    def __init__(self, sources: Sources, kube: Kube | None = None) -> None:
        """Read these sources; ``kube`` gives current Kubernetes lists and complaints, instead of fixed ones."""
        self._sources, self._kube = sources, kube
        self._stack = ExitStack()
        self._followers: dict[str, Follower] = {}
        self._whole_at = -WHOLE_SECONDS
        self._whole: dict[str, tuple[dict[str, bytes], list[ViewInfo]]] = {}

    def __enter__(self) -> LiveReader:
        sources = self._sources
        if sources.node_from is not None:
            self._sources = sources = replace(sources, node=node_to_show(sources), node_from=None)
        # Beside the first round: a silent gateway costs its deadline once.
        node = start(self._node)
        for name, endpoint in zip(replica_names(sources.ads, sources.names), sources.ads, strict=True):
            follower = Follower(endpoint, node.result, sources.access)
            self._followers[name] = self._stack.enter_context(follower)
        return self

    def _node(self) -> Node:
        """The identity all followers show: the gateway's, with a private cache line."""
        node = node_to_show(self._sources)
        self._sources = replace(self._sources, node=node)
        return replace(node, istio_version=private_version(node.istio_version))

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _lists(self) -> tuple[Sources, Mapping[str, bytes], ViewInfo]:
        sources = self._sources
        if self._kube is not None:
            kube, complaints = self._kube()
            sources = replace(sources, kube=kube, complaints=complaints)
        kube = sources.kube or {}
        return sources, kube, kube_info(kube, sources)

    def _snapshot(
        self, kube: Mapping[str, bytes], infos: list[ViewInfo], gateways: Mapping[str, Mapping[str, bytes]], **more: Any
    ) -> Snapshot:
        pilots = {}
        for name, follower in self._followers.items():
            # The first round waits for the first answers; later ones never do. A gateway's identity may come before them.
            follower.answered.wait(2 * self._sources.access.timeout + 1)
            answers, why = follower.read()
            if answers:
                pilots[name] = PilotCapture((), answers)
            state = State.READ if why is None else (State.PARTIAL if answers else State.UNREAD)
            if why is not None:
                why = said(ReadError(why), follower.endpoint, self._sources)
            infos.append(ViewInfo(ViewName.PILOT_FRESH, name, state, why, now(), None, follower.node_id))
        snapshot = Snapshot(
            captured_at=now(),
            controller={"kind": "higress", **self._sources.controller},
            kube=dict(kube),
            pilot=pilots,
            gateway=dict(gateways),
            views=tuple(infos),
            **more,
        )
        return self._sources.wanted.put_on(snapshot) if self._sources.wanted is not None else snapshot

    def quick(self, hosts: Iterable[str]) -> Snapshot:
        """The private line of each pilot as it was last pushed, and of each gateway the tables of these hosts alone."""
        wanted = frozenset(hosts)
        _, kube, info = self._lists()
        infos = [info, *self._sources.known]
        gateways: dict[str, dict[str, bytes]] = {}
        sources = self._sources
        names = replica_names(sources.gateways, sources.names)
        within = Budget(sources.access.timeout, sources.access.max_bytes)
        jobs = [start(self._parts, source, wanted) for source in sources.gateways]
        for name, source, job in zip(names, sources.gateways, jobs, strict=True):
            try:
                gateways[name] = {"config_dump.json": result_of(job, within, f"gateway {source}")}
                infos.append(ViewInfo(ViewName.GATEWAY, name, State.READ, None, now()))
            except ReadError as error:
                infos.append(ViewInfo(ViewName.GATEWAY, name, State.UNREAD, said(error, source, sources), now()))
        return self._snapshot(kube, infos, gateways, hosts=wanted)

    def _parts(self, source: str, hosts: frozenset[str]) -> bytes:
        """A config dump put together of the parts that concern some hosts."""
        access = self._sources.access
        if not source.startswith(("http://", "https://")) or len(hosts) > _MANY:
            return read_gateway(source, access.timeout, access.max_bytes)[0]["config_dump.json"]
        names = "|".join(re.escape(h) for h in sorted(hosts))
        tables = f"^(higress-rds-[0-9]+\\.({names})|https?\\..*)$"
        sections = []
        budget, base = Budget(access.timeout, access.max_bytes), plain_url(source)
        with pool() as connections:
            for section, resource, by_name in _PARTS:
                query = f"resource={resource}" + (f"&name_regex={quote(tables, safe='')}" if by_name else "")
                try:
                    entries = _configs(get_page(connections, f"{base}/config_dump?{query}", budget), source, resource)
                except ReadError as error:
                    if error.status != 404:
                        raise
                    entries = []  # Envoy's words for: there is none
                sections.append({"@type": f"type.googleapis.com/envoy.admin.v3.{section}", resource: entries})
        return json.dumps({"configs": sections}).encode()

    def full(self, *, probe: bool) -> Snapshot:
        """Every view whole, pilot's served line among them; waits so that a second has passed since the last.

        Args:
            probe: read one new private line too, which nothing cached can answer; else the open one stands in, since every new
                line takes room in pilot's cache.
        """
        time.sleep(max(self._whole_at + WHOLE_SECONDS - time.monotonic(), 0))
        sources, kube, _ = self._lists()
        snapshot = read(replace(sources, kube=kube, manifests=(), probe_cache=probe, grace=0.0))
        self._whole_at = time.monotonic()
        if probe:
            return snapshot
        pilots, infos = dict(snapshot.pilot), list(snapshot.views)
        for name, follower in self._followers.items():
            answers, why = follower.read()
            if answers and why is None:
                pilots[name] = replace(pilots.get(name, PilotCapture()), fresh=answers)
                infos.append(ViewInfo(ViewName.PILOT_FRESH, name, State.READ, None, now(), None, follower.node_id))
        return replace(snapshot, pilot=pilots, views=tuple(infos))

    def round(self) -> Snapshot:
        """What ``watch`` judges: the private lines as pushed, whole dumps at most once a second, pilot's served line not at all."""
        _, kube, info = self._lists()
        infos = [info, *self._sources.known]
        if time.monotonic() - self._whole_at >= WHOLE_SECONDS:
            sources = self._sources
            names = replica_names(sources.gateways, sources.names)
            within = Budget(sources.access.timeout)
            jobs = [start(gateway_view, source, sources) for source in sources.gateways]
            self._whole = {}
            for name, source, job in zip(names, sources.gateways, jobs, strict=True):
                try:
                    pages, found = result_of(job, within, f"gateway {source}")
                except ReadError as error:
                    why = said(error, source, sources)
                    pages, found = {}, [ViewInfo(ViewName.GATEWAY, None, State.UNREAD, why, now())]
                self._whole[name] = (pages, [i._replace(replica=name) for i in found])
            self._whole_at = time.monotonic()
        for _, states in self._whole.values():
            infos.extend(states)
        return self._snapshot(kube, infos, {n: p for n, (p, _) in self._whole.items() if p}, grace=self._sources.grace)


def _configs(page: bytes, source: str, resource: str) -> Any:
    """The entries of a page of one kind."""
    try:
        return json.loads(page).get("configs", [])
    except (ValueError, AttributeError, RecursionError) as error:
        raise ReadError(f"gateway {source}: {resource} is not JSON ({error}); is this Envoy's admin port?") from error
