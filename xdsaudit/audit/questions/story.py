"""The story that a recorder's file tells: who was lost when, at which stage, for how long. Pure: events in, episodes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from xdsaudit.model.snapshot import moment_of
from xdsaudit.model.verdict import FAILING

_BAD: Final = frozenset(v.value for v in FAILING)


class Event(NamedTuple):
    """A verdict that changed.

    Attributes:
        at: when a round saw it (RFC 3339).
        subject: the rule, or the WasmPlugin.
        before: the verdict before, None for what is new.
        after: the verdict after, None for what is gone.
        said: the verdict in words.
        evidence: its proof.
        remedy: what heals it.
        views: name of the snapshot of that moment, "" where none was kept.
        good: name of the snapshot of the last good round.
    """

    at: str
    subject: str
    before: str | None
    after: str | None
    said: str
    evidence: tuple[str, ...] = ()
    remedy: str | None = None
    views: str = ""
    good: str = ""

    @property
    def bad(self) -> bool:
        """Whether requests fail from then on."""
        return self.after in _BAD


class Episode(NamedTuple):
    """A time in which a subject was not as it must be.

    Attributes:
        subject: the rule, or the WasmPlugin.
        events: from the first that is bad to the one that ends it.
        ended: how it ended, None where it lasts.
        seconds: how long, as far as rounds can tell; None where it lasts.
    """

    subject: str
    events: tuple[Event, ...]
    ended: Event | None
    seconds: float | None

    @property
    def first(self) -> Event:
        """How it began."""
        return self.events[0]


class Story(NamedTuple):
    """Everything a recorder saw."""

    events: tuple[Event, ...]
    episodes: tuple[Episode, ...]

    @property
    def open(self) -> int:
        """Number of episodes that last."""
        return sum(e.ended is None for e in self.episodes)


def story(events: Iterable[Event]) -> Story:
    """The episodes in the order they began; what is told out of order is put in order by its time."""
    told = sorted(events, key=lambda e: e.at)
    running: dict[str, list[Event]] = {}
    episodes: list[Episode] = []
    for event in told:
        held = running.get(event.subject)
        if event.bad:
            running.setdefault(event.subject, []).append(event)
        elif held is not None:
            del running[event.subject]
            episodes.append(Episode(event.subject, tuple(held), event, _between(held[0], event)))
    episodes += [Episode(subject, tuple(held), None, None) for subject, held in running.items()]
    return Story(tuple(told), tuple(sorted(episodes, key=lambda e: (e.first.at, e.subject))))


def _between(first: Event, last: Event) -> float | None:
    began, ended = moment_of(first.at), moment_of(last.at)
    return (ended - began).total_seconds() if began is not None and ended is not None else None


def event_of(loaded: object) -> Event | None:
    """An event from a line of a recorder's file; None for any other line, such as one that was cut off."""
    if (
        not isinstance(loaded, dict)
        or not isinstance(loaded.get("at"), str)
        or not isinstance(loaded.get("subject"), str)
    ):
        return None
    texts = {name: str(loaded.get(name) or "") for name in ("said", "views", "good")}
    evidence = loaded.get("evidence")
    return Event(
        loaded["at"],
        loaded["subject"],
        _word(loaded.get("before")),
        _word(loaded.get("after")),
        texts["said"],
        tuple(str(line) for line in evidence) if isinstance(evidence, list) else (),
        _word(loaded.get("remedy")),
        texts["views"],
        texts["good"],
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None
