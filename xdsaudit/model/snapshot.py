"""A snapshot: every view as it was read, raw, so that a later version can read more out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from xdsaudit.model.plain import Plain
from xdsaudit.model.verdict import Origins
from xdsaudit.model.view import ViewInfo


def moment_of(text: str | None) -> datetime | None:
    """A time from its RFC 3339 text (UTC where it names no zone), or None for anything else."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


FORMAT: Final = "xdsaudit.snapshot/1"


@dataclass(frozen=True)
class PilotCapture:
    """Answers of one pilot: raw DiscoveryResponses in order, and its debug pages by file name."""

    served: tuple[bytes, ...] = ()
    fresh: tuple[bytes, ...] | None = None
    pages: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """All views of one moment.

    Attributes:
        captured_at: RFC 3339 time of the capture, None if unknown.
        controller: version and options of the controller, as far as they are known (``controller`` in JSON).
        kube: raw lists by plural (``ingresses``); absent plurals were not read.
        core: raw MCP responses of higress-core by pod, in order.
        pilot: by pod.
        gateway: raw admin answers by pod and file name (``config_dump.json``).
        views: how each view was read; empty means what is here was read and the rest was not asked for.
        story: a sentence for people.
        grace: seconds a rule may be younger than before it is judged; 0 for a saved snapshot.
        manifest: what the caller wants the API to hold, raw lists by plural like ``kube``; empty when nobody said; not saved.
        origins: files and lines of Ingresses that were read from manifests; not saved.
        hosts: the hosts that were looked at, where a reader fetched the tables of some hosts alone; None for all.
        verified: whether it was loaded from files that it lists with their digests; False for older snapshots, None in memory.
        extra: further keys of snapshot.json, kept as they are.
    """

    captured_at: str | None = None
    controller: Mapping[str, Plain] = field(default_factory=dict)
    kube: Mapping[str, bytes] = field(default_factory=dict)
    core: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    pilot: Mapping[str, PilotCapture] = field(default_factory=dict)
    gateway: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    views: tuple[ViewInfo, ...] = ()
    story: str | None = None
    grace: float = 0.0
    extra: Mapping[str, Plain] = field(default_factory=dict)
    verified: bool | None = field(default=None, compare=False)
    manifest: Mapping[str, bytes] = field(default_factory=dict)
    origins: Origins = field(default_factory=dict)
    hosts: frozenset[str] | None = None

    @property
    def moment(self) -> datetime | None:
        """When it was captured; None if unknown, or if it is not a time."""
        return moment_of(self.captured_at)

    def without(self, *, core: bool = False, fresh: bool = False) -> Snapshot:
        """The same snapshot as if ``core`` or ``pilot_fresh`` had not been asked for."""
        dropped = {n for n, on in (("core", core), ("pilot_fresh", fresh)) if on}
        return replace(
            self,
            core={} if core else self.core,
            pilot={p: replace(c, fresh=None) if fresh else c for p, c in self.pilot.items()},
            views=tuple(v for v in self.views if v.name not in dropped),
        )
