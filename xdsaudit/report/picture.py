"""The pipeline as a picture: a box per view with its rules and replicas, an arrow per stage with what it holds back, red after the break.

Horizontal on a wide screen, vertical on a narrow one; plain SVG, coloured by the page's style.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import Final, NamedTuple

from xdsaudit.model.verdict import IN_EFFECT, Audit, Stage, Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.terminal import many, printable

_LACKS: Final = frozenset({Verdict.LOST, Verdict.CHANGED})
_SHOWN: Final = 5
_TITLES: Final = {ViewName.PILOT_FRESH: "pilot, private", ViewName.PILOT: "pilot, served"}
_EDGES: Final[tuple[tuple[ViewName, tuple[Stage, ...]], ...]] = (
    (ViewName.INGRESS, (Stage.TRANSLATION,)),
    (ViewName.CORE, (Stage.GENERATION,)),
    (ViewName.PILOT_FRESH, (Stage.CACHE, Stage.PILOT, Stage.CONTROL_PLANE)),
    (ViewName.PILOT, (Stage.DELIVERY,)),
    (ViewName.GATEWAY, (Stage.UPSTREAM,)),
)
"""Each view with the stages after it; a coarser stage is drawn at its last possible edge."""
_WIDE, _HIGH, _GAP, _LINE = 158, 34, 92, 17


class Replica(NamedTuple):
    """A replica in a box: its name, and how many rules it lacks or changes (None if it was not read)."""

    name: str
    lacks: int | None


class Box(NamedTuple):
    """A view; ``tone`` is ``good``, ``bad`` (behind the break), ``warn`` (not read) or ``off`` (not asked for)."""

    title: str
    text: str
    tone: str
    replicas: tuple[Replica, ...]
    more: int


class Arrow(NamedTuple):
    """A stage and the number of rules held back, under its own name or a coarser one."""

    stage: str
    held: tuple[tuple[str, int], ...]


def pipeline(audit: Audit) -> tuple[tuple[Box, ...], tuple[Arrow, ...]]:
    """The boxes, the backend last, and the arrows between them."""
    held_back = Counter(r.stage for r in audit.rules if r.stage is not None)
    lacks: Counter[tuple[str, str | None]] = Counter()
    short: Counter[str] = Counter()
    for rule in audit.rules:
        bad = {(r.view, r.replica) for r in rule.replicas if r.verdict in _LACKS}
        lacks.update(bad)
        short.update({view for view, _ in bad})
    infos: dict[ViewName, list[ViewInfo]] = {}
    for info in audit.views:
        if info.state is not State.NOT_ASKED:
            infos.setdefault(info.name, []).append(info)
    boxes, arrows, broken = [], [], False
    total, refused = len(audit.rules), len(audit.of(Verdict.REFUSED))
    for view, stages in ((ViewName.MANIFEST, (Stage.APPLY,)), *_EDGES) if ViewName.MANIFEST in infos else _EDGES:
        there = total - refused - short[view.value]
        boxes.append(_box(view, infos.get(view, []), lacks, there, total, broken=broken))
        losses = tuple((stage.value, held_back[stage]) for stage in stages if held_back[stage])
        arrows.append(Arrow(stages[0].value, losses))
        broken = broken or bool(losses)
    fine = len(audit.of(*IN_EFFECT))
    boxes.append(Box("backend", f"{fine:,} of {total:,} reachable", "bad" if broken else "good", (), 0))
    return tuple(boxes), tuple(arrows)


def _box(
    view: ViewName,
    infos: list[ViewInfo],
    lacks: Counter[tuple[str, str | None]],
    whole: int,
    total: int,
    *,
    broken: bool,
) -> Box:
    title = _TITLES.get(view, view.value)
    if not infos:
        return Box(title, "not asked", "off", (), 0)
    unread = [i for i in infos if i.state is State.UNREAD]
    if len(unread) == len(infos):
        return Box(title, "could not be read", "warn", (), 0)
    replicas = sorted(
        (
            Replica(i.replica, None if i.state is State.UNREAD else lacks[view.value, i.replica])
            for i in infos
            if i.replica
        ),
        key=lambda r: (-(r.lacks if r.lacks is not None else total), r.name),
    )
    written = view in (ViewName.MANIFEST, ViewName.INGRESS)
    text = many(total, "rule") if written else f"{whole:,} of {many(total, 'rule')}"
    shown = () if len(infos) < 2 else tuple(replicas[:_SHOWN])
    tone = "bad" if broken or (whole < total and not written) else "warn" if unread else "good"
    return Box(title, text, tone, shown, max(len(replicas) - _SHOWN, 0) if shown else 0)


def pictures(audit: Audit) -> tuple[str, str]:
    """The picture as SVG, horizontal and vertical."""
    boxes, arrows = pipeline(audit)
    words = "; ".join(
        ", ".join((f"{box.title}: {box.text}", *(f"{count:,} held at {stage}" for stage, count in losses)))
        for box, (_, losses) in zip(boxes, (*arrows, Arrow("", ())), strict=True)
    )
    return _lying(boxes, arrows, words), _standing(boxes, arrows, words)


def _height(box: Box) -> int:
    return _HIGH + 12 + _LINE * (len(box.replicas) + bool(box.more))


def _lying(boxes: tuple[Box, ...], arrows: tuple[Arrow, ...], words: str) -> str:
    tall = max(map(_height, boxes))
    parts, x = [], 1
    for box, arrow in zip(boxes, (*arrows, None), strict=True):
        parts.append(_drawn(box, x, 1, _WIDE))
        if arrow is not None:
            parts.append(_across(arrow, x + _WIDE))
        x += _WIDE + _GAP
    return _svg("lying", x - _GAP + 1, tall + 2, words, parts)


def _standing(boxes: tuple[Box, ...], arrows: tuple[Arrow, ...], words: str) -> str:
    parts, y, wide = [], 1, 320
    for box, arrow in zip(boxes, (*arrows, None), strict=True):
        parts.append(_drawn(box, 1, y, wide))
        y += _height(box)
        if arrow is not None:
            parts.append(_down(arrow, y, wide))
            y += 40
    return _svg("standing", wide + 2, y + 1, words, parts)


def _svg(kind: str, width: int, height: int, words: str, parts: list[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{_text(words)}">'
        f"{''.join(parts)}</svg>"
    )


def _drawn(box: Box, x: int, y: int, width: int) -> str:
    lines = [
        f'<g class="box {box.tone}"><rect x="{x}" y="{y}" width="{width}" height="{_height(box)}" rx="8"/>',
        f'<text class="name" x="{x + 10}" y="{y + 19}">{_text(box.title)}</text>',
        f'<text x="{x + 10}" y="{y + 36}">{_text(box.text)}</text>',
    ]
    room = (width - 34) // 7
    for number, replica in enumerate(box.replicas):
        at = y + 54 + _LINE * number
        tone = "warn" if replica.lacks is None else "bad" if replica.lacks else "good"
        count = "?" if replica.lacks is None else f"-{replica.lacks:,}" if replica.lacks else ""
        fits = room - len(count) - 1
        name = replica.name if len(replica.name) <= fits else f"…{replica.name[-(fits - 1) :]}"
        lines.append(
            f'<g class="replica {tone}"><title>{_text(replica.name)}</title><circle cx="{x + 14}" cy="{at - 4}" r="4"/>'
            f'<text x="{x + 24}" y="{at}">{_text(name)}</text>'
            f'<text x="{x + width - 8}" y="{at}" text-anchor="end">{count}</text></g>'
        )
    if box.more:
        lines.append(f'<text x="{x + 24}" y="{y + 54 + _LINE * len(box.replicas)}">and {box.more} more</text>')
    return "".join([*lines, "</g>"])


def _across(arrow: Arrow, x: int) -> str:
    middle = x + _GAP // 2
    above = arrow.held[0][0] if arrow.held else arrow.stage
    below = [f"{arrow.held[0][1]:,} held"] if arrow.held else []
    below += [f"{count:,} at {stage}" for stage, count in arrow.held[1:]]
    texts = f'<text x="{middle}" y="22" text-anchor="middle">{_text(above)}</text>'
    for number, words in enumerate(below):
        texts += f'<text x="{middle}" y="{47 + 15 * number}" text-anchor="middle">{_text(words)}</text>'
    return f'<g class="arrow{" bad" if arrow.held else ""}"><path d="M{x + 4} 30H{x + _GAP - 6}m-6-5l6 5l-6 5"/>{texts}</g>'


def _down(arrow: Arrow, y: int, wide: int) -> str:
    middle = wide // 2
    words = ", ".join(f"{count:,} held at {stage}" for stage, count in arrow.held) or arrow.stage
    return (
        f'<g class="arrow{" bad" if arrow.held else ""}"><path d="M{middle} {y + 4}V{y + 34}m-5-6l5 6l5-6"/>'
        f'<text x="{middle + 14}" y="{y + 24}">{_text(words)}</text></g>'
    )


def _text(words: str) -> str:
    return escape(printable(words), quote=True)
