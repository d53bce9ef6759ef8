"""What ``wait`` and ``watch`` read each round: an open ADS stream per pilot, parts of each gateway's dump, watched objects.

Limits on load (measured, see the docs): whole dumps at most once a second, and by ``watch`` only if stats do not say what moved;
pilot through one private cache line per process, and one more per probe; never pilot's own config dump.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from xdsaudit.collect.admin import fetch_dump, is_url
from xdsaudit.collect.ads_stream import Follower
from xdsaudit.collect.follow import GatewayFollower
from xdsaudit.collect.limits import Budget
from xdsaudit.collect.parts import PartReader
from xdsaudit.collect.sources import (
    Sources,
    error_text,
    gateway_view,
    kube_info,
    node_to_show,
    now,
    private_version,
    read,
    replica_names,
    result_of,
    start,
)
from xdsaudit.errors import ReadError
from xdsaudit.model.snapshot import PilotCapture, Snapshot
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.xds.mcp import McpSession
from xdsaudit.xds.session import Node

T = TypeVar("T")
Kube = Callable[[], tuple[Mapping[str, bytes], tuple[str, ...]]]
WHOLE_SECONDS: Final = 1.0
_MANY: Final = 200
"""With more hosts than this, a gateway's whole dump is read instead of parts."""


class LiveReader:
    """Reads the same sources again and again, cheaply; a context manager."""

    def __init__(self, sources: Sources, kube: Kube | None = None) -> None:
        """Read these sources; ``kube`` gives current Kubernetes lists and complaints instead of fixed ones."""
        self._sources, self._kube = sources, kube
        self._stack = ExitStack()
        self._followers: dict[str, Follower] = {}
        self._cores: dict[str, Follower] = {}
        self._parts = [PartReader(source) for source in sources.gateways]
        self._gateways = [GatewayFollower(source) for source in sources.gateways]
        self._whole_at = -WHOLE_SECONDS
        self._whole: dict[str, tuple[dict[str, bytes], list[ViewInfo]]] = {}

    def __enter__(self) -> LiveReader:
        sources = self._sources
        if sources.node_from is not None:
            self._sources = sources = replace(sources, node=node_to_show(sources), node_from=None)
        # In parallel with the first round: a silent gateway costs its deadline only once.
        node = start(self._node)
        for name, endpoint in zip(replica_names(sources.ads, sources.names), sources.ads, strict=True):
            follower = Follower(endpoint, node.result, sources.access)
            self._followers[name] = self._stack.enter_context(follower)
        for name, endpoint in zip(replica_names(sources.core, sources.names), sources.core, strict=True):
            core = Follower(endpoint, Node(), sources.access, McpSession)
            self._cores[name] = self._stack.enter_context(core)
        return self

    def _node(self) -> Node:
        """The identity all followers present: the gateway's, with a private cache line."""
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
        self,
        kube: Mapping[str, bytes],
        infos: list[ViewInfo],
        gateways: Mapping[str, Mapping[str, bytes]],
        *,
        hosts: frozenset[str] | None = None,
        grace: float = 0.0,
    ) -> Snapshot:
        pilots = {}
        for name, follower in self._followers.items():
            # The first round waits for the first answers; later ones never do. A gateway's identity may be needed before them.
            follower.answered.wait(2 * self._sources.access.timeout + 1)
            answers, why = follower.read()
            if answers:
                pilots[name] = PilotCapture((), answers)
            state = State.READ if why is None else (State.PARTIAL if answers else State.UNREAD)
            if why is not None:
                why = error_text(ReadError(why), follower.endpoint, self._sources)
            infos.append(ViewInfo(ViewName.PILOT_FRESH, name, state, why, now(), None, follower.node_id))
        # Cores only serve to time rules. They are not waited for, and unhealthy ones are left out: no view depends on them.
        said_by_core = {name: core.read() for name, core in self._cores.items()}
        snapshot = Snapshot(
            captured_at=now(),
            core={name: answers for name, (answers, why) in said_by_core.items() if answers and why is None},
            controller={"kind": "higress", **self._sources.controller},
            kube=dict(kube),
            pilot=pilots,
            gateway=dict(gateways),
            views=tuple(infos),
            grace=grace,
            hosts=hosts,
        )
        return self._sources.wanted.put_on(snapshot) if self._sources.wanted is not None else snapshot

    def quick(self, hosts: Iterable[str]) -> Snapshot:
        """Each pilot's private line as last pushed, and only these hosts' tables from each gateway."""
        wanted = frozenset(hosts)
        _, kube, info = self._lists()
        infos = [info, *self._sources.known]
        gateways: dict[str, dict[str, bytes]] = {}
        sources = self._sources
        names = replica_names(sources.gateways, sources.names)
        within = Budget(sources.access.timeout, sources.access.max_bytes)
        for name, source, answer in zip(names, sources.gateways, self._concerning(wanted, within), strict=True):
            if isinstance(answer, bytes):
                gateways[name] = {"config_dump.json": answer}
                infos.append(ViewInfo(ViewName.GATEWAY, name, State.READ, None, now()))
            else:
                infos.append(ViewInfo(ViewName.GATEWAY, name, State.UNREAD, error_text(answer, source, sources), now()))
        return self._snapshot(kube, infos, gateways, hosts=wanted)

    def _concerning(self, hosts: frozenset[str], within: Budget) -> list[bytes | ReadError]:
        """Each gateway's dump for some hosts, or the whole dump if parts are not enough, or why it cannot be read."""
        sources, access = self._sources.gateways, self._sources.access

        def budget() -> Budget:
            return Budget(access.timeout, access.max_bytes)

        answers: list[bytes | ReadError | None] = [None] * len(sources)
        if len(hosts) <= _MANY:
            answers = _all(sources, [partial(reader.read, hosts, budget()) for reader in self._parts], within)
        left = [number for number, answer in enumerate(answers) if answer is None]
        if any(is_url(sources[number]) for number in left):
            self._await_whole()
        asked = [sources[number] for number in left]
        wholes = _all(asked, [partial(fetch_dump, source, budget()) for source in asked], budget())
        complete = dict(zip(left, wholes, strict=True))
        return [complete[number] if answer is None else answer for number, answer in enumerate(answers)]

    def _await_whole(self) -> None:
        """Wait until a second has passed since the last whole dump, and count this moment as the next."""
        time.sleep(max(self._whole_at + WHOLE_SECONDS - time.monotonic(), 0))
        self._whole_at = time.monotonic()

    def full(self, *, probe: bool) -> Snapshot:
        """Read every view completely, including pilot's served line; waits until a second has passed since the last time.

        Args:
            probe: also read a new private line, which no cache can answer; otherwise the open one is used, since every new
                line takes up space in pilot's cache.
        """
        self._await_whole()
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
        """What ``watch`` judges: private lines as pushed, what moved in gateways at most once a second, not pilot's served line."""
        _, kube, info = self._lists()
        infos = [info, *self._sources.known]
        if time.monotonic() - self._whole_at >= WHOLE_SECONDS:
            sources = self._sources
            names = replica_names(sources.gateways, sources.names)
            within = Budget(sources.access.timeout)
            jobs = [start(gateway_view, f.source, sources, f.read) for f in self._gateways]
            self._whole = {}
            for name, source, job in zip(names, sources.gateways, jobs, strict=True):
                try:
                    pages, readings = result_of(job, within, f"gateway {source}")
                except ReadError as error:
                    why = error_text(error, source, sources)
                    pages, readings = {}, [ViewInfo(ViewName.GATEWAY, None, State.UNREAD, why, now())]
                self._whole[name] = (pages, [i._replace(replica=name) for i in readings])
            self._whole_at = time.monotonic()
        for _, states in self._whole.values():
            infos.extend(states)
        return self._snapshot(kube, infos, {n: p for n, (p, _) in self._whole.items() if p}, grace=self._sources.grace)


def _all(sources: Sequence[str], jobs: Sequence[Callable[[], T]], within: Budget) -> list[T | ReadError]:
    """The results of each gateway's job, run in parallel; a ReadError in place of a failed one."""
    started = [start(job) for job in jobs]
    results: list[T | ReadError] = []
    for source, job in zip(sources, started, strict=True):
        try:
            results.append(result_of(job, within, f"gateway {source}"))
        except ReadError as error:
            results.append(error)
    return results
