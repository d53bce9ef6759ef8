"""The live page of a watch: the picture, the causes, the latest changes, and the latency of each stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from xdsaudit.audit.groups import causes
from xdsaudit.audit.questions.story import Event
from xdsaudit.model.verdict import Audit
from xdsaudit.report.head import unseen
from xdsaudit.report.html import TONES, headline
from xdsaudit.report.pages import page
from xdsaudit.report.picture import pictures
from xdsaudit.report.table import extent
from xdsaudit.report.terminal import printable
from xdsaudit.report.timeline import change
from xdsaudit.report.tool import TOOL

_SHOWN: Final = 12


class Times(Protocol):
    """How long rules took to reach a stage (``xdsaudit.live.watch.Latency``)."""

    count: int

    @property
    def buckets(self) -> Mapping[float, int]:
        """Number of rules by upper bound in seconds, cumulative."""

    def quantile(self, share: float) -> float | None:
        """The seconds that this share of the last rules did not exceed."""


def live_body(audit: Audit | None, changes: Sequence[Event], latency: Mapping[str, Times], *, rounds: int) -> str:
    """The part of the page that changes with each round."""
    if audit is None:
        return page("live_body.html.j2", audit=None)
    text, tone = headline(audit)
    return page(
        "live_body.html.j2",
        audit=audit,
        headline=text,
        tone=tone,
        tones=TONES,
        pictures=pictures(audit),
        groups=causes(audit).groups,
        told=causes(audit).told,
        extent=extent,
        unseen=unseen(audit),
        changes=list(reversed(changes)),
        change=change,
        histograms=list(_histograms(latency)),
        stages=list(latency),
        rounds=rounds,
        shown=_SHOWN,
        show=lambda value: printable(str(value)),
    )


def live_page(body: str) -> str:
    """The whole page around a body; without scripts it shows the state when it was requested."""
    return page("live.html.j2", body=body, tool=TOOL)


def _histograms(latency: Mapping[str, Times]) -> Iterator[dict[str, object]]:
    """Each stage's bars, with heights in percent of the highest."""
    for stage, times in latency.items():
        bounds = sorted(times.buckets)
        if not times.count:
            continue
        before, counts = 0, []
        for bound in bounds:
            counts.append((f"up to {bound:g} s", times.buckets[bound] - before))
            before = times.buckets[bound]
        counts.append((f"more than {bounds[-1]:g} s" if bounds else "all", times.count - before))
        top = max(n for _, n in counts)
        yield {
            "stage": stage,
            "count": times.count,
            "p50": times.quantile(0.5),
            "p95": times.quantile(0.95),
            "bars": [{"title": f"{word}: {n:,}", "height": round(100 * n / top)} for word, n in counts],
        }
