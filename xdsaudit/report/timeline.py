"""The story in a recorder's folder as text, JSON and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from xdsaudit.audit.questions.story import Episode, Event, Story
from xdsaudit.model.plain import Plain
from xdsaudit.model.snapshot import moment_of
from xdsaudit.model.verdict import Audit
from xdsaudit.report.ages import span
from xdsaudit.report.terminal import Page, many, paragraph, printable

_SHOWN: Final = 12


class Moment(NamedTuple):
    """The audits of a moment and of the last good round before it; None if the snapshot was not kept or is gone."""

    during: Audit | None
    before: Audit | None


Moments = Mapping[str, Moment]
"""Moments by the name of their snapshot."""


def moved(moment: Moment) -> tuple[str, ...]:
    """What changed in each view: ``pilot x: 44 routes, then 42``."""
    if moment.during is None or moment.before is None:
        return ()
    names = []
    for key, now in moment.during.counts.items():
        was = moment.before.counts.get(key)
        if was is not None and was["routes"] != now["routes"]:
            label = f"{key[0].replace('pilot_fresh', 'private cache line of pilot')} {key[1] or ''}".strip()
            names.append(f"{label}: {many(was['routes'], 'route')} in the last good round, then {now['routes']:,}")
    return tuple(names)


def timeline_text(story: Story, moments: Moments, folder: str, *, width: int = 80, color: bool = False) -> str:
    """The story for people: each episode with its stage, proof, duration, and where its views are stored."""
    page = Page(width, color=color)
    paragraph(page, summary(story), "bold")
    for episode in story.episodes:
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
    others = [e for e in story.events if not any(e in x.events or e is x.ended for x in story.episodes)]
    if others:
        page.print()
        paragraph(page, f"other changes: {len(others):,}", "bold")
        for event in others[-_SHOWN:]:
            paragraph(page, f"{event.at}  {event.subject}: {change(event)}", "dim", indent=2, hang=2)
    return page.text()


def summary(story: Story) -> str:
    """The story in one line."""
    if not story.events:
        return "nothing changed during the watch"
    subjects = {e.subject for e in story.episodes}
    first, last = story.events[0].at, story.events[-1].at
    text = f"{many(len(story.events), 'change')} from {first} to {last}"
    if not subjects:
        return f"{text}, nothing was lost"
    text += f": {many(len(subjects), 'rule')} not in effect, {many(len(story.episodes), 'time')}"
    return text + (f", {story.open:,} still going on" if story.open else ", all recovered")


def change(event: Event) -> str:
    """``in sync -> lost at stage cache (XA401 stale-route-cache)``."""
    before = (event.before or "new").replace("_", " ")
    return f"{before} -> {event.said or (event.after or 'gone').replace('_', ' ')}"


def lasted(episode: Episode) -> str:
    """How long requests failed, as precisely as rounds allow."""
    if episode.ended is None:
        return "not over when the recording ended"
    if episode.seconds is None:
        return "over, after an unknown time"
    return f"for {span(episode.seconds)}"


def timeline_object(story: Story, moments: Moments) -> dict[str, Plain]:
    """The story as plain data."""
    return {
        "schema": "xdsaudit.timeline/1",
        "summary": {"events": len(story.events), "episodes": len(story.episodes), "open": story.open},
        "episodes": [
            {
                "subject": e.subject,
                "began": e.first.at,
                "ended": e.ended.at if e.ended else None,
                "seconds": e.seconds,
                "events": [x._asdict() for x in (*e.events, *((e.ended,) if e.ended else ()))],
                "moved": list(moved(moments.get(e.first.views, Moment(None, None)))),
            }
            for e in story.episodes
        ],
        "events": [e._asdict() for e in story.events],
    }


def timeline_html(story: Story, moments: Moments) -> str:
    """The story as one self-contained page: a strip per rule over the whole time, and each episode with its pictures."""
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
        story=story,
        summary=summary(story),
        strips=_strips(story),
        drawn=drawn,
        moved=lambda e: moved(moments.get(e.first.views, Moment(None, None))),
        change=change,
        lasted=lasted,
        show=lambda value: printable(str(value)),
    )


def _strips(story: Story) -> list[dict[str, object]]:
    """A row per subject with its bad times in percent of the whole."""
    times = [m for e in story.events if (m := moment_of(e.at)) is not None]
    if not times:
        return []
    begin, whole = min(times), max((max(times) - min(times)).total_seconds(), 1.0)
    rows: dict[str, list[dict[str, object]]] = {}
    for episode in story.episodes:
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


def moments_named(story: Story) -> Sequence[tuple[str, str]]:
    """The names of the snapshots that the story needs: of the moment, and of the last good round."""
    return tuple(dict.fromkeys((e.first.views, e.first.good) for e in story.episodes if e.first.views))
