"""``xdsaudit timeline``: the story that a watch's black box tells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from xdsaudit.cli.options import GroupedCommand
from xdsaudit.cli.output import emit, say

if TYPE_CHECKING:
    from xdsaudit.model.verdict import Audit
    from xdsaudit.report.timeline import Moment


@click.command(cls=GroupedCommand, short_help="What a watch recorded: what was lost when, where and for how long.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "-o", "--output", type=click.Choice(["table", "json", "html"]), default="table", help="Format of the result."
)
def timeline(folder: Path, output: str) -> int:
    """Tell the story in a folder written by watch --record: what changed when, in which view, and how long requests failed.

    \b
    xdsaudit timeline /var/lib/xdsaudit
    xdsaudit timeline /var/lib/xdsaudit -o html > story.html

    Exits with 1 when something is still lost, otherwise with 0.
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.audit.questions.story import story
    from xdsaudit.collect.recorder import read_timeline
    from xdsaudit.report.timeline import moments_named, timeline_html, timeline_object, timeline_text

    history = story(read_timeline(folder))
    moments = {during: _moment(folder, during, before) for during, before in moments_named(history)}
    if output == "html":
        emit("", timeline_html(history, moments))
    elif output == "json":
        from xdsaudit.report.json import as_json

        emit("", as_json(timeline_object(history, moments)))
    else:
        emit(lambda width, color: timeline_text(history, moments, str(folder), width=width, color=color))
    return 1 if history.open else 0


def _moment(folder: Path, during: str, before: str) -> Moment:
    from xdsaudit.audit import audit
    from xdsaudit.collect.snapshot import load
    from xdsaudit.errors import XdsauditError
    from xdsaudit.report.timeline import Moment

    def audited(name: str) -> Audit | None:
        place = folder / Path(name).name
        if not name or not place.exists():  # the oldest are deleted first
            return None
        try:
            return audit(load(place))
        except XdsauditError as error:
            say(f"xdsaudit: {error}")
            return None

    return Moment(audited(during), audited(before))
