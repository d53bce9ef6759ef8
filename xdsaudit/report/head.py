"""The first lines of reports for people: what was audited, what each view holds, what was not read, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from xdsaudit.audit.sayings import listed
from xdsaudit.model.verdict import Audit
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.terminal import Page, many, paragraph

_WORDS: Final = {ViewName.PILOT_FRESH: "pilot's private cache line"}
_ASKABLE: Final = (ViewName.CORE, ViewName.PILOT_FRESH, ViewName.PILOT, ViewName.GATEWAY)
_PLURAL: Final = {ViewName.PILOT_FRESH: "private cache lines of pilots"}


_ASSUMED: Final = "assumed: "


class Seen(NamedTuple):
    """Replicas of a view with the same content, or the same failure."""

    label: str
    good: bool
    text: str


def view_word(name: ViewName) -> str:
    """A view for people: ``core``, ``pilot's private cache line``."""
    return _WORDS.get(name, name.value)


def seen(audit: Audit) -> Iterator[Seen]:
    """A row for all replicas of a view that hold the same or failed with the same message, in pipeline order."""
    rows: dict[tuple[ViewName, State, str], list[ViewInfo]] = {}
    for info in audit.views:
        if info.state is not State.NOT_ASKED:
            text = _content(audit, info) if info.state is State.READ else f"{info.state.value}: {info.why}"
            rows.setdefault((info.name, info.state, text), []).append(info)
    for (name, state, text), infos in rows.items():
        yield Seen(
            _label(name, infos), state is State.READ, text + (" each" if len(infos) > 1 and text[0].isdigit() else "")
        )


def unasked(audit: Audit) -> tuple[str, ...]:
    """Views that were not asked for, in words for people."""
    if not audit.views:
        return ()  # a check of manifests alone involves no view
    asked = {v.name for v in audit.views if v.state is not State.NOT_ASKED}
    return tuple(view_word(name) for name in _ASKABLE if name not in asked)


def unseen(audit: Audit) -> tuple[str, ...]:
    """What was not read, one line each: what was not asked for, and what could not be read with the reason."""
    first = (f"not asked: {', '.join(unasked(audit))}",) if unasked(audit) else ()
    return (*first, *(f"{row.label}: {row.text}" for row in seen(audit) if not row.good))


def left_out(audit: Audit) -> Iterator[tuple[str, int, str]]:
    """What options hid: option, number and codes, such as ``("--skip", 2, "XA410, XA703")``."""
    by_option: dict[str, Counter[str]] = {}
    for hidden in audit.left_out:
        by_option.setdefault(hidden.option, Counter())[hidden.code or "extra"] += len(hidden.what)
    for option, codes in by_option.items():
        yield option, codes.total(), ", ".join(codes)


def head(page: Page, audit: Audit) -> None:
    """Write the first lines."""
    controller = audit.controller
    name = str(controller.get("kind") or "higress").capitalize()
    when = f", captured {audit.captured_at}" if audit.captured_at else ""
    title = f"{name} {controller.get('version') or '(unknown version)'}{when}"
    paragraph(page, title, "bold")
    for row in seen(audit):
        paragraph(page, f"  {row.label}: {row.text}", "dim" if row.good else "yellow", hang=4)
    if unasked(audit):
        paragraph(page, f"  not asked: {', '.join(unasked(audit))}", "dim", hang=4)
    for option, count, codes in left_out(audit):
        paragraph(page, f"  left out by {option}: {count:,} ({codes})", "yellow", hang=4)
    assumed = [note.removeprefix(_ASSUMED) for note in audit.notes if note.startswith(_ASSUMED)]
    for note in [n for n in audit.notes if not n.startswith(_ASSUMED)]:
        paragraph(page, f"  {note}", "dim", hang=4)
    if assumed:
        paragraph(page, f"  {_ASSUMED}{'; '.join(assumed)}", "dim", hang=4)


def _label(name: ViewName, infos: Iterable[ViewInfo]) -> str:
    replicas = [i.replica for i in infos if i.replica]
    if len(replicas) < 2:
        return f"{view_word(name)} {replicas[0]}" if replicas else view_word(name)
    return f"{len(replicas)} {_PLURAL.get(name, f'{name.value}s')} ({listed(replicas, 2)})"


def _content(audit: Audit, info: ViewInfo) -> str:
    counted = audit.counts.get((info.name, info.replica))
    if counted:
        return f"{many(counted['routes'], 'route')} on {many(counted['hosts'], 'host')}"
    return many(len(audit.rules), "rule")
