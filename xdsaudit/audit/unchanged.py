"""An audit holds until an input changes, or time turns something: a certificate begins or ends, a young rule grows old."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from xdsaudit.audit.case import World
from xdsaudit.model.snapshot import Snapshot, moment_of
from xdsaudit.model.verdict import Audit
from xdsaudit.model.view import ViewInfo

_OF_THE_MOMENT = frozenset({"captured_at", "views"})


@dataclass(frozen=True)
class Held:
    """What was said last, of which world, and the times at which that may end."""

    world: World
    audit: Audit
    turns: tuple[datetime, ...]

    def now(self, snapshot: Snapshot) -> Held | None:
        """The same of a snapshot that differs in its time alone, where no time between matters; else None."""
        before = self.world.snapshot
        if not _alike(before, snapshot) or not self._lasts(before.moment, snapshot.moment):
            return None
        read_at = {(i.name, i.replica): i.read_at for i in snapshot.views}
        infos = [i._replace(read_at=read_at.get((i.name, i.replica), i.read_at)) for i in self.world.infos]
        audit = replace(self.audit, captured_at=snapshot.captured_at, views=tuple(infos))
        return replace(self, world=replace(self.world, snapshot=snapshot, infos=infos), audit=audit)

    def _lasts(self, before: datetime | None, now: datetime | None) -> bool:
        if before is None or now is None:
            return before is now
        return before == now or (before < now and not any(before <= turn <= now for turn in self.turns))


def turns(world: World, changed: Iterable[str | None]) -> tuple[datetime, ...]:
    """Times at which an audit of the same views may say something else.

    Args:
        world: the views.
        changed: when each rule or plugin was changed last.
    """
    return tuple(sorted({*_grown(world.snapshot.grace, changed), *_certified(world)}))


def _grown(grace: float, changed: Iterable[str | None]) -> Iterator[datetime]:
    for text in set(changed) if grace > 0 else ():
        moment = moment_of(text)
        if moment is not None:
            yield moment + timedelta(seconds=grace)


def _certified(world: World) -> Iterator[datetime]:
    for judged in (j for listed in world.judgements.values() for j in listed):
        for certificate in (judged.view.certificates or {}).values():
            for text in (certificate.begins, certificate.ends):
                moment = moment_of(text)
                if moment is not None:
                    yield moment


def _alike(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots hold the same, whenever it was read; parts that were not read again are the same objects."""
    same = all(getattr(one, f.name) == getattr(other, f.name) for f in fields(Snapshot) if f.name not in _OF_THE_MOMENT)
    return same and [*map(_timeless, one.views)] == [*map(_timeless, other.views)]


def _timeless(info: ViewInfo) -> ViewInfo:
    return info._replace(read_at=None)
