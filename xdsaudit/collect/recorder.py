"""The black box of a watch: a folder with a line per change, and the views of the moments that matter.

Losses caused by a stale cache heal with the next push and leave no trace: what is kept here is all there will be. Snapshots are
redacted and capped in number and size, oldest deleted first; a folder that cannot be written never stops the watch.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from xdsaudit.audit.questions.story import Event, event_of
from xdsaudit.errors import InputError, outline
from xdsaudit.model.snapshot import Snapshot

TIMELINE: Final = "timeline.jsonl"
_SUFFIX: Final = ".tar.gz"
_LINES: Final = 20_000
"""Maximum number of lines in the timeline; beyond it the older half is deleted."""
_APART: Final = 5.0
"""Minimum seconds between two pairs of snapshots: changes in between belong to the same push."""


class Recorder:
    """Writes into one folder.

    Attributes:
        failed: why the last write failed, "" if it did not.
    """

    def __init__(
        self, folder: Path, *, keep: int = 20, max_bytes: int = 512 << 20, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Record into this folder, which is created if it does not exist.

        Args:
            folder: the folder.
            keep: number of moments, each with its last good round.
            max_bytes: the most bytes of all snapshots together.
            clock: seconds.

        Raises:
            InputError: the folder cannot be created or written.
        """
        self._folder, self._keep, self._max_bytes, self._clock = folder, keep, max_bytes, clock
        self._at, self._names = -_APART, ("", "")
        self._lines = 0
        self.failed: str = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._timeline.open("ab"):
                pass
            self._lines = self._timeline.read_bytes().count(b"\n")
        except OSError as error:
            raise InputError(
                f"--record {folder}: {error.strerror or error}; name a folder that can be written"
            ) from error

    @property
    def _timeline(self) -> Path:
        return self._folder / TIMELINE

    def note(self, events: Iterable[Event], seen: Snapshot | None, good: Snapshot | None) -> None:
        """Write these changes, and the views of this moment if one of them is bad.

        Args:
            events: the changes of a round.
            seen: the views of the round.
            good: the views of the last round without a new problem.
        """
        changes = list(events)
        if not changes:
            return
        try:
            names = (
                self._snapshots(changes[0].at, seen, good)
                if seen is not None and any(e.bad for e in changes)
                else ("", "")
            )
            self._append(e._replace(views=names[0], good=names[1]) if e.bad else e for e in changes)
            self.failed = ""
        except Exception as error:
            # Whatever it is (a full disk, an answer that redaction rejects), the watch continues.
            self.failed = getattr(error, "strerror", None) or outline(error)

    def _snapshots(self, at: str, seen: Snapshot, good: Snapshot | None) -> tuple[str, str]:
        from xdsaudit.collect.snapshot import save

        now = self._clock()
        if now - self._at < _APART:
            return self._names
        stem = self._free("".join(c for c in at.partition(".")[0].rstrip("Z") if c.isalnum()) or "moment")
        names = []
        for kind, snapshot in (("during", seen), ("before", good)):
            if snapshot is None:
                names.append("")
                continue
            names.append(f"{stem}.{kind}{_SUFFIX}")
            save(snapshot, self._folder / names[-1])
        self._at, self._names = now, (names[0], names[1])
        self._prune(stem)
        return self._names

    def _free(self, stem: str) -> str:
        """A name that is still free."""
        name, number = stem, 1
        while (self._folder / f"{name}.during{_SUFFIX}").exists():
            number += 1
            name = f"{stem}-{number}"
        return name

    def _prune(self, newest: str) -> None:
        """Delete the oldest moments beyond the caps; the newest stays, however large."""
        moments: dict[str, list[Path]] = {}
        for place in self._folder.glob(f"*{_SUFFIX}"):
            stem, _, kind = place.name.removesuffix(_SUFFIX).rpartition(".")
            if kind in ("during", "before"):
                moments.setdefault(stem, []).append(place)
        order = sorted(moments, key=lambda stem: (max(p.stat().st_mtime for p in moments[stem]), stem))
        total = sum(p.stat().st_size for places in moments.values() for p in places)
        while order and order[0] != newest and (len(order) > self._keep or total > self._max_bytes):
            for place in moments[order.pop(0)]:
                total -= place.stat().st_size
                place.unlink(missing_ok=True)

    def _append(self, events: Iterable[Event]) -> None:
        text = "".join(json.dumps(e._asdict(), ensure_ascii=True) + "\n" for e in events)
        with self._timeline.open("ab") as file:
            file.write(text.encode())
        self._lines += text.count("\n")
        if self._lines > _LINES:
            kept = self._timeline.read_bytes().splitlines(keepends=True)[-_LINES // 2 :]
            part = self._timeline.with_suffix(".part")
            part.write_bytes(b"".join(kept))
            part.replace(self._timeline)
            self._lines = len(kept)


def read_timeline(folder: Path) -> list[Event]:
    """The changes that a recorder wrote; truncated and foreign lines are skipped.

    Raises:
        InputError: the folder has no timeline.
    """
    try:
        lines = (folder / TIMELINE).read_bytes().splitlines()
    except OSError as error:
        raise InputError(
            f"{folder}: no {TIMELINE} could be read ({error.strerror or error}); name the folder of xdsaudit watch --record"
        ) from error
    events = []
    for line in lines:
        with contextlib.suppress(ValueError):
            event = event_of(json.loads(line))
            if event is not None:
                events.append(event)
    return events
