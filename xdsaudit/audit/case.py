"""Everything one audit looks at, read and judged once: the views, the expectation, and what each view says of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from xdsaudit.audit.compare.view import Before, Judgement, judge, judge_core
from xdsaudit.audit.connections import attachments
from xdsaudit.audit.memory import Aging, Asked, Memory, One
from xdsaudit.envoy.admin import server_info, with_admin_pages
from xdsaudit.envoy.config_dump import read_config_dump
from xdsaudit.errors import ReadError, outline
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import KubeObjects, read_objects
from xdsaudit.ingress.parts import sharing
from xdsaudit.ingress.profile import Profile, profile_of, untested
from xdsaudit.ingress.translate import translate
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.view import State, View, ViewInfo, ViewName

if TYPE_CHECKING:
    from xdsaudit.audit.stage import Rejection

T = TypeVar("T")
Pages = Callable[[View, Mapping[str, bytes]], tuple[View, list[str]]]
"""Adds to a view what other pages of its replica tell, and names those that could not be read."""


@dataclass
class World:
    """One snapshot, decoded and judged.

    Attributes:
        snapshot: what it was made of.
        objects: Kubernetes objects.
        expectation: what must be served.
        infos: how each view was read, decoding errors included.
        judgements: by view, one per replica that could be read.
        unserved: pilots that serve this node nothing at all.
        notes: remarks for people.
        attached: pilots by gateway replica, where pilots' debug pages were read.
        rejected: what gateways refuse, by replica; worked out once, by the audit.
    """

    snapshot: Snapshot
    objects: KubeObjects
    expectation: Expectation
    infos: list[ViewInfo] = field(default_factory=list)
    judgements: dict[ViewName, list[Judgement]] = field(default_factory=dict)
    unserved: list[View] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attached: Mapping[str | None, tuple[str | None, ...]] = field(default_factory=dict)
    rejected: Mapping[str | None, Rejection] = field(default_factory=dict)

    def read(self, name: ViewName) -> list[Judgement]:
        """Judgements of a view; empty when it was not read."""
        return self.judgements.get(name, [])

    @property
    def serving(self) -> list[Judgement]:
        """The views that requests are judged by: the gateways, or the pilots where no gateway was read."""
        return self.read(ViewName.GATEWAY) or self.read(ViewName.PILOT)

    def hosts(self, port: int, view: View) -> Callable[[str], bool]:
        """Tells of a host whether it has routes of its own on a port, in a view or in the expectation."""
        return lambda host: (port, host) in self.expectation.tables or (port, host) in view.tables

    def partial(self, view: View) -> bool:
        """Whether something may be missing from the view only because it was not read to the end."""
        return any(
            i.state is State.PARTIAL
            and i.name is view.name
            and i.replica == view.replica
            and view.name is not ViewName.GATEWAY
            for i in self.infos
        )


class Reading(NamedTuple):
    """One view of one replica as it came out.

    Attributes:
        info: how far it could be read.
        view: what it holds, None when it could not be read at all.
        notes: remarks on it for people.
    """

    info: ViewInfo
    view: View | None = None
    notes: tuple[str, ...] = ()


class _Infos(dict[tuple[ViewName, str | None], ViewInfo]):
    """How each view was read, as the snapshot has it; a view that it does not mention was read."""

    def __missing__(self, key: tuple[ViewName, str | None]) -> ViewInfo:
        return ViewInfo(*key, State.READ)


def build(snapshot: Snapshot, memory: Memory, asked: Collection[str] | None = None) -> World:
    """Decode a snapshot and judge each of its views. A view that does not decode becomes a gap; others are still used.

    Args:
        snapshot: the views.
        memory: shared by successive audits.
        asked: the hosts that are asked about, None for all: of others nothing is translated, and no routes are decoded.
    """
    memory.turn()
    infos = _Infos({(i.name, i.replica): i for i in snapshot.views})
    objects, ingress = _ingress(infos[ViewName.INGRESS, None], snapshot, memory)
    hosts = None if asked is None else sharing(objects.ingresses, asked)
    readings = (*_read_cores(snapshot, infos, memory, hosts), *_read_pilots(snapshot, infos, memory, hosts))
    readings += tuple(_read_gateways(snapshot, infos, memory, hosts))
    views = [r.view for r in readings if r.view is not None]
    scoped = next((v.scopes is not None for v in views if v.name is not ViewName.CORE and v.tables), None)
    profile = profile_of(snapshot.controller, scoped=scoped)
    notes = [note for reading in readings for note in reading.notes]
    notes += [f"assumed: {a}" for a in profile.assumed]
    notes += untested(profile)
    if snapshot.verified is False:
        notes.append("the snapshot does not list its files, so its completeness was not verified")
    world = World(snapshot, objects, _translated(snapshot, objects, profile, memory, hosts), notes=notes)
    serving = ViewName.GATEWAY if any(v.name is ViewName.GATEWAY for v in views) else ViewName.PILOT
    tolerated = unmodelled_names(world.expectation)
    judged = [ingress, *(_judged(world, r, memory, tolerated, reach=r.info.name is serving) for r in readings)]
    infos |= {(i.name, i.replica): i for i in judged}
    world.attached = attachments(world.read(ViewName.GATEWAY), world.read(ViewName.PILOT))
    order = list(ViewName)
    world.infos = sorted(infos.values(), key=lambda i: (order.index(i.name), i.replica or ""))
    return world


def _attempt(info: ViewInfo, read: Callable[[], T]) -> tuple[T | None, ViewInfo]:
    """What is read, or None; and how the view was read then."""
    try:
        return read(), info
    except ReadError as error:
        why = str(error)
    except Exception as error:
        # What nobody thought of in one view is a gap of that view, and never hides what the others show.
        why = f"could not be decoded: {outline(error)}; please report this line"
    return None, info.unread(info.why if info.state is State.UNREAD and info.why else why)


def _judged(world: World, reading: Reading, memory: Memory, tolerated: frozenset[str], *, reach: bool) -> ViewInfo:
    """Judge one view; how it was read is then known for good."""
    info, view = reading.info, reading.view
    if view is None:
        return info
    core = view.name is ViewName.CORE
    if not core and _serves_nothing(view) and world.expectation.tables:
        world.unserved.append(view)
        return info.unread("the control plane serves this node nothing: no listener, scope or route")
    name = ("judgement", view.name, view.replica)
    parts = (One(view), One(world.expectation), tolerated, reach)
    last = memory.made.last(name)
    # Names that are tolerated are looked at in all places together.
    same = last is not None and not tolerated and last[0][2:] == parts[2:]
    before = last[1] if last is not None and same and isinstance(last[1], Before) else None
    look = judge_core if core else partial(judge, reach=reach)

    def make() -> Before:
        expectation = world.expectation
        return Before(look(view, expectation, memory.comparer, tolerated=tolerated, before=before), expectation)

    said, info = _attempt(info, partial(memory.made.of, name, parts, make))
    if said is not None:
        world.judgements.setdefault(view.name, []).append(said.judgement)
    return info


def _ingress(info: ViewInfo, snapshot: Snapshot, memory: Memory) -> tuple[KubeObjects, ViewInfo]:
    read, info = _attempt(info, lambda: _objects(snapshot, memory))
    if read is None:
        return KubeObjects(), info
    objects, complaints = read
    return objects, info.partial("; ".join(complaints)) if complaints else info


def _objects(snapshot: Snapshot, memory: Memory) -> tuple[KubeObjects, list[str]]:
    if "ingresses" not in snapshot.kube:
        raise ReadError("there are no Ingresses: kube/ingresses.json is missing; capture them, or give them with -f")
    if not memory.lasting:
        return read_objects(snapshot.kube)
    kube = snapshot.kube
    beside = {plural: data for plural, data in kube.items() if plural != "ingresses"}
    objects, complaints = memory.made.of("objects", (beside,), lambda: read_objects(beside))
    return memory.made.of(
        "with ingresses",
        (One(objects), kube["ingresses"]),
        lambda: (replace(objects, ingresses=memory.ingresses.read(kube["ingresses"])), complaints),
    )


def _translated(
    snapshot: Snapshot, objects: KubeObjects, profile: Profile, memory: Memory, asked: Collection[str] | None
) -> Expectation:
    expectation = memory.made.of(
        "expectation", (One(objects), profile), lambda: translate(objects, profile, memory.translated, asked)
    )
    if snapshot.hosts is None:
        return expectation
    hosts = snapshot.hosts
    return memory.made.of(
        "narrowed",
        (One(expectation), hosts),
        lambda: replace(expectation, tables={p: r for p, r in expectation.tables.items() if p[1] in hosts}),
    )


def _read_cores(snapshot: Snapshot, infos: _Infos, memory: Memory, hosts: Collection[str] | None) -> Iterator[Reading]:
    from xdsaudit.xds.core import read_core

    tables = memory.core if memory.lasting or len(snapshot.core) > 1 else None
    for pod, responses in snapshot.core.items():
        key = (ViewName.CORE, pod)
        look = partial(_decoded, memory, key, responses, partial(read_core, replica=pod, hosts=hosts), tables)
        view, info = _attempt(infos[key], look)
        yield Reading(info, view)


def _read_pilots(snapshot: Snapshot, infos: _Infos, memory: Memory, hosts: Collection[str] | None) -> Iterator[Reading]:
    from xdsaudit.xds.debug_pages import with_debug_pages
    from xdsaudit.xds.reader import read_pilot

    lines = sum(1 + bool(c.fresh) for c in snapshot.pilot.values())
    tables = memory.pilot if memory.lasting or lines > 1 else None
    for name in (ViewName.PILOT_FRESH, ViewName.PILOT):
        for pod, capture in snapshot.pilot.items():
            answers = capture.served if name is ViewName.PILOT else capture.fresh
            if not answers:
                continue
            read = partial(read_pilot, name=name, replica=pod, hosts=hosts)
            view, info = _attempt(infos[name, pod], partial(_decoded, memory, (name, pod), answers, read, tables))
            complaints: list[str] = []
            if view is not None and name is ViewName.PILOT:
                view, complaints = _with_evidence(memory, with_debug_pages, view, capture.pages)
            yield Reading(info, view, tuple(complaints))  # a hint that cannot be read is no gap


def _read_gateways(
    snapshot: Snapshot, infos: _Infos, memory: Memory, hosts: Collection[str] | None
) -> Iterator[Reading]:
    tables = memory.gateway if memory.lasting or len(snapshot.gateway) > 1 else None
    for pod, pages in snapshot.gateway.items():
        key = (ViewName.GATEWAY, pod)
        dump = pages.get("config_dump.json")
        if dump is None:
            missing = infos[key].unread("config_dump.json is missing; capture the gateway again")
            yield Reading(infos.get(key, missing))
            continue
        look = partial(_decoded, memory, key, dump, partial(read_config_dump, replica=pod, hosts=hosts), tables)
        view, info = _attempt(infos[key], look)
        if view is not None:
            beside = {name: page for name, page in pages.items() if name != "config_dump.json"}
            view, complaints = _with_evidence(memory, with_admin_pages, view, beside)
            if complaints:
                info = info.partial("; ".join(complaints))
        yield Reading(info, view)


def _decoded(memory: Memory, name: object, answers: object, read: Callable[..., View], tables: Aging[T] | None) -> View:
    """A view, as it was decoded before if it was answered the same; the tables it rests on are kept with it."""

    def make() -> tuple[View, Asked[T]]:
        asked = Asked(tables)
        return read(answers, decoded=asked if tables is not None else None), asked

    view, asked = memory.made.of(name, (answers,), make)
    asked.again()
    return view


def _with_evidence(memory: Memory, read: Pages, view: View, pages: Mapping[str, bytes]) -> tuple[View, list[str]]:
    """A view with what its other pages tell, and what could not be read of them."""

    def make() -> tuple[View, list[str]]:
        try:
            return read(view, pages)
        except Exception as error:
            said = f"a page beside it could not be decoded: {outline(error)}; please report this line"
            return view, [f"{view.label}: {said}"]

    return memory.made.of(("evidence", view.name, view.replica), (One(view), pages), make)


def _serves_nothing(view: View) -> bool:
    return view.name in (ViewName.PILOT, ViewName.PILOT_FRESH) and not any(
        view.served.get(kind) for kind in ("LDS", "SRDS", "RDS")
    )


def unmodelled_names(expectation: Expectation) -> frozenset[str]:
    """Route names of Ingresses that are not modelled: nothing of them is extra."""
    names = set()
    for rule in expectation.unmodelled:
        name = rule.ingress if rule.namespace == expectation.profile.system_namespace else rule.ref
        names |= {name, f"{name}-fallback", f"{name}-default"}
    return frozenset(names)


def counts(world: World) -> Mapping[tuple[ViewName, str | None], Mapping[str, int]]:
    """Hosts and routes of each view that was read, for people to see that something was looked at."""
    return {
        (j.view.name, j.view.replica): {
            "hosts": len({host for _, host in j.view.tables}),
            "tables": len(j.view.tables),
            "routes": sum(len(t.routes) for t in j.view.tables.values()),
        }
        for judged in world.judgements.values()
        for j in judged
    }


def told(world: World) -> Mapping[tuple[ViewName, str | None], Mapping[str, str]]:
    """What each replica says of itself, as far as it does: its version, and the time of its newest route table."""
    return {
        (j.view.name, j.view.replica): {
            name: text for name, text in (("version", j.view.own.version), ("newest_table", j.view.own.updated)) if text
        }
        for judged in world.judgements.values()
        for j in judged
    }


def abilities(snapshot: Snapshot) -> frozenset[str] | None:
    """Type URLs that every gateway of a snapshot can decode; None when none of them tells."""
    told = []
    for pages in snapshot.gateway.values():
        try:
            told.append(server_info(pages.get("server_info.json", b"{}")).extensions)
        except Exception:  # noqa: S112 - its own view says why; here one that does not tell is left out
            continue
    known = [t for t in told if t is not None]
    return frozenset.intersection(*known) if known else None
