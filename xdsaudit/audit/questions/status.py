"""One line per gateway and pilot: connected, attached, what was refused, what is waited for."""

from __future__ import annotations

from typing import NamedTuple

from xdsaudit.audit.case import World
from xdsaudit.audit.compare.view import Judgement
from xdsaudit.model.verdict import Audit
from xdsaudit.model.view import State, ViewName


class ReplicaStatus(NamedTuple):
    """One replica of core, pilot or gateway.

    Attributes:
        view: core, pilot or gateway.
        replica: its name.
        state: how far it could be read.
        why: why not, or None.
        connected: whether a gateway is connected to a control plane; None if unknown, and for what is not a gateway.
        attached: the pilots a gateway is connected to; for a pilot, the gateways connected to it. Empty if unknown.
        since: time of the newest route table of a gateway, "" if unknown.
        rejecting: whether a rejection is proven beside a standing difference.
        rejected: sum of update_rejected since Envoy's start; it keeps old rejections and proves none now.
        warming: names of warming listeners, clusters and certificates.
        differs: rules that it lacks or changes.
        routes: number of its routes.
        version: of its software, where it tells.
    """

    view: ViewName
    replica: str | None
    state: State
    why: str | None
    connected: bool | None = None
    attached: tuple[str, ...] = ()
    since: str = ""
    rejecting: bool = False
    rejected: int = 0
    warming: tuple[str, ...] = ()
    differs: int = 0
    routes: int = 0
    version: str = ""


def replica_statuses(world: World, audit: Audit) -> tuple[ReplicaStatus, ...]:
    """Status of every replica that was asked for, in the order of the pipeline."""
    judged = {(j.view.name, j.view.replica): j for listed in world.judgements.values() for j in listed}
    rows = []
    for info in audit.views:
        if info.name in (ViewName.INGRESS, ViewName.PILOT_FRESH) or info.state is State.NOT_ASKED:
            continue
        judgement = judged.get((info.name, info.replica))
        row = ReplicaStatus(info.name, info.replica, info.state, info.why)
        if judgement is not None:
            proof = world.rejected.get(info.replica) if info.name is ViewName.GATEWAY else None
            row = _told(world, row, judgement)._replace(rejecting=proof is not None and proof.proven)
        rows.append(row)
    return tuple(rows)


def _told(world: World, row: ReplicaStatus, judged: Judgement) -> ReplicaStatus:
    view = judged.view
    if view.name is ViewName.GATEWAY:
        attached = tuple(str(p) for p in world.attached.get(view.replica, ()))
    else:
        attached = tuple(sorted(str(g) for g, pilots in world.attached.items() if view.replica in pilots))
        if view.name is ViewName.PILOT and not world.read(ViewName.GATEWAY):
            attached = tuple(sorted(view.proxies))
    warming = [li.name for li in view.listeners or () if li.state == "warming"]
    warming += [c.name for c in (view.clusters or {}).values() if c.warming]
    used = {s for li in view.listeners or () for c in li.chains for s in c.secrets}
    warming += sorted((view.warming_secrets or frozenset()) & used)
    return row._replace(
        connected=view.connected,
        attached=attached,
        since=view.own.updated,
        rejected=sum(view.rejected.values()),
        warming=tuple(warming),
        differs=len({*judged.missing, *judged.changed}),
        routes=sum(len(t.routes) for t in view.tables.values()),
        version=view.own.version,
    )
