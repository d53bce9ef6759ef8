"""The story of a recorder's folder as text, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from xdsaudit.audit.questions.story import Episode, Event, Story
from xdsaudit.model.snapshot import moment_of
from xdsaudit.model.verdict import Audit
from xdsaudit.report.ages import span
from xdsaudit.report.terminal import Page, many, paragraph, printable

_SHOWN: Final = 12


class Moment(NamedTuple):
    """A snapshot of a moment and of the last good round before it, both audited; None where it was not kept or is gone."""

    during: Audit | None
    before: Audit | None


Moments = Mapping[str, Moment]
"""Moments by the name of their snapshot."""


def moved(moment: Moment) -> tuple[str, ...]:
    """What the views held before and during, a line each view in which it differs: ``pilot x: 44 routes, then 42``."""
    if moment.during is None or moment.before is None:
        return ()
    names = []
    for key, now in moment.during.counts.items():
        was = moment.before.counts.get(key)
        if was is not None and was["routes"] != now["routes"]:
            label = f"{key[0].replace('pilot_fresh', 'private cache line of pilot')} {key[1] or ''}".strip()
            names.append(f"{label}: {many(was['routes'], 'route')} in the last good round, then {now['routes']:,}")
    return tuple(names)


def timeline_text(told: Story, moments: Moments, folder: str, *, width: int = 80, color: bool = False) -> str:
    """The story for people: each episode with its stage, its proof, how long it lasted, and where its views are."""
    page = Page(width, color=color)
    paragraph(page, summary(told), "bold")
    for episode in told.episodes:
        page.print()
        paragraph(page, episode.subject, "bold red" if episode.ended is None else "bold", hang=2)
        for event in (*episode.events, *((episode.ended,) if episode.ended else ())):
            paragraph(page, f"{event.at}  {change(event)}", "red" if event.bad else "green", indent=2, hang=2)
        paragraph(page, lasted(episode), "yellow", indent=2)
        for line in episode.first.evidence[:_SHOWN]:
            paragraph(page, f"- {line}", indent=4, hang=2)
        for line in moved(moments.get(episode.first.views, Moment(None, None))):
            paragraph(page, f"- {line}", indent=4, hang=2)
        if episode.first.remedy:
            paragraph(page, f"remedy: {episode.first.remedy}", indent=4, hang=8)
        for name, what in ((episode.first.good, "the last good round"), (episode.first.views, "that moment")):
            if name:
                paragraph(page, f"{what}: {folder}/{name}", "dim", indent=4, hang=2)
    others = [e for e in told.events if not any(e in x.events or e is x.ended for x in told.episodes)]
    if others:
        page.print()
        paragraph(page, f"other changes: {len(others):,}", "bold")
        for event in others[-_SHOWN:]:
            paragraph(page, f"{event.at}  {event.subject}: {change(event)}", "dim", indent=2, hang=2)
    return page.text()


def summary(told: Story) -> str:
    """The story in a line."""
    if not told.events:
        return "nothing changed while it was watched"
    subjects = {e.subject for e in told.episodes}
    first, last = told.events[0].at, told.events[-1].at
    text = f"{many(len(told.events), 'change')} from {first} to {last}"
    if not subjects:
        return f"{text}, nothing was lost"
    text += f": {many(len(subjects), 'rule')} not as asked for, {many(len(told.episodes), 'time')}"
    return text + (f", {told.open:,} to this day" if told.open else ", all healed")


def change(event: Event) -> str:
    """``in sync -> lost at stage cache (XA401 stale-route-cache)``."""
    before = (event.before or "new").replace("_", " ")
    return f"{before} -> {event.said or (event.after or 'gone').replace('_', ' ')}"


def lasted(episode: Episode) -> str:
    """How long requests failed, as far as rounds can tell."""
    if episode.ended is None:
        return "it lasts, as far as the recorder saw"
    if episode.seconds is None:
        return "it ended"
    return f"for {span(episode.seconds)}"


def timeline_object(told: Story, moments: Moments) -> dict[str, Any]:
    """The story as plain data."""
    return {
        "schema": "xdsaudit.timeline/1",
        "summary": {"events": len(told.events), "episodes": len(told.episodes), "open": told.open},
        "episodes": [
            {
                "subject": e.subject,
                "began": e.first.at,
                "ended": e.ended.at if e.ended else None,
                "seconds": e.seconds,
                "events": [x._asdict() for x in (*e.events, *((e.ended,) if e.ended else ()))],
                "moved": list(moved(moments.get(e.first.views, Moment(None, None)))),
            }
            for e in told.episodes
        ],
        "events": [e._asdict() for e in told.events],
    }


def timeline_html(told: Story, moments: Moments) -> str:
    """The story as one page that loads nothing: a strip a rule over the whole time, and each episode with its pictures."""
    from xdsaudit.report.pages import page
    from xdsaudit.report.picture import pictures

    drawn = {
        name: [
            (word, pictures(audit))
            for word, audit in (("the last good round", pages.before), ("that moment", pages.during))
            if audit is not None
        ]
        for name, pages in moments.items()
    }
    return page(
        "timeline.html.j2",
        told=told,
        summary=summary(told),
        strips=_strips(told),
        drawn=drawn,
        moved=lambda e: moved(moments.get(e.first.views, Moment(None, None))),
        change=change,
        lasted=lasted,
        show=lambda value: printable(str(value)),
    )


def _strips(told: Story) -> list[dict[str, Any]]:
    """A row a subject with its bad times as shares of the whole, in percent."""
    times = [m for e in told.events if (m := moment_of(e.at)) is not None]
    if not times:
        return []
    begin, whole = min(times), max((max(times) - min(times)).total_seconds(), 1.0)
    rows: dict[str, list[dict[str, Any]]] = {}
    for episode in told.episodes:
        start = moment_of(episode.first.at)
        if start is None:
            continue
        left = 100 * (start - begin).total_seconds() / whole
        wide = 100 - left if episode.seconds is None else 100 * episode.seconds / whole
        bar = {
            "left": round(left, 2),
            "width": round(max(wide, 0.6), 2),
            "title": f"{episode.first.said}, {lasted(episode)}",
        }
        rows.setdefault(episode.subject, []).append(bar)
    return [{"subject": subject, "bars": bars} for subject, bars in rows.items()]


def moments_named(told: Story) -> Sequence[tuple[str, str]]:
    """The snapshots that the story needs: of the moment, and of the last good round."""
    return tuple(dict.fromkeys((e.first.views, e.first.good) for e in told.episodes if e.first.views))
