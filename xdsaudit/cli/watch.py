"""``xdsaudit watch``: keep auditing, print changes, export metrics."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from xdsaudit.cli.options import (
    GroupedCommand,
    live_source_options,
    profile_options,
    sources_of,
    xds_options,
)
from xdsaudit.cli.output import clear_progress, colored, progress, say, write_whole
from xdsaudit.cli.parameters import Options
from xdsaudit.cli.process import lasting
from xdsaudit.cli.values import Seconds, size_of
from xdsaudit.errors import InputError

if TYPE_CHECKING:
    from xdsaudit.audit.questions.story import Event
    from xdsaudit.collect.recorder import Recorder
    from xdsaudit.live.plugin_watch import PluginTransition
    from xdsaudit.live.watch import Transition, Watcher


_HANGS = 60.0
"""Seconds on top of three intervals after which a watch without a round counts as stuck."""


class WatchOptions(Options):
    """What watch is given beside what it names itself."""

    grace: float | None
    record: Path | None
    record_keep: int
    record_bytes: int


@click.command(cls=GroupedCommand, short_help="Keep auditing, print changes, export metrics.")
@live_source_options
@click.option(
    "--interval",
    type=Seconds(1.0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause between rounds.",
)
@click.option(
    "--grace",
    type=Seconds(),
    metavar="SECONDS",
    help="A missing rule younger than this is pending, not lost (default 15).",
)
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    help="Serve a live page at /, metrics at /metrics, and /healthz (default host 127.0.0.1).",
)
@click.option(
    "--textfile", type=click.Path(path_type=Path), metavar="FILE", help="Write metrics to this file after each round."
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Black box: record every change, and when a rule is lost also the views of that moment and of the last good round (redacted).",
)
@click.option(
    "--record-keep",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Keep at most N moments.",
)
@click.option(
    "--record-bytes",
    callback=size_of,
    default="512Mi",
    show_default=True,
    metavar="BYTES",
    help="Keep at most this many bytes of moments; the oldest are deleted first.",
)
@click.option(
    "--max-rounds", type=click.IntRange(min=1), metavar="N", help="Stop after N rounds, with the exit code of diff."
)
@click.option(
    "-o", "--output", type=click.Choice(["table", "jsonl"]), default="table", help="Lines for people, or JSON Lines."
)
@xds_options
@profile_options
def watch(
    output: str,
    interval: float,
    listen: str | None,
    textfile: Path | None,
    max_rounds: int | None,
    **options: Unpack[WatchOptions],
) -> int:
    """Keep auditing and print each change of a verdict once, with time, stage and code. Stop it with Ctrl-C or SIGTERM.

    \b
    xdsaudit watch --listen 9464
    xdsaudit watch --record /var/lib/xdsaudit
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.cli.serving import Board, served
    from xdsaudit.connection import Connection
    from xdsaudit.live.events import events
    from xdsaudit.live.watch import Watcher

    if options["snapshot"]:
        raise InputError("a snapshot does not change: watch reads live sources; use xdsaudit diff --snapshot")
    lasting()
    with Connection(sources_of(options), progress()) as connection:
        recorder = _recorder(options)
        watcher = Watcher(connection.rounds, time.monotonic, keep=recorder is not None)
        clear_progress()
        board = Board(watcher, _HANGS + 3 * interval, time.monotonic)
        with served(listen, board):
            unread: dict[str, str] = {}
            try:
                while True:
                    changed = watcher.round()
                    clear_progress()
                    for transition in changed:
                        click.echo(_jsonl(transition) if output == "jsonl" else _line(transition), color=colored())
                    for plugin in watcher.plugins:
                        click.echo(
                            _plugin_jsonl(plugin) if output == "jsonl" else _plugin_line(plugin), color=colored()
                        )
                    sys.stdout.flush()
                    changes = list(events(changed, watcher.plugins))
                    board.update(changes)
                    if recorder is not None:
                        _record(recorder, watcher, changes)
                    unread = _said_gaps(watcher, unread)
                    _alive(watcher)
                    if textfile is not None:
                        _write(textfile, board.metrics())
                    if max_rounds is not None and watcher.rounds >= max_rounds:
                        break
                    time.sleep(interval)
            except KeyboardInterrupt:
                clear_progress()
                say(f"xdsaudit: {_last(watcher)}")
                raise
        clear_progress()
        assert watcher.audit is not None
        return watcher.audit.exit_code()


def _alive(watcher: Watcher) -> None:
    """Report once that the watch has begun; on a terminal also show the last round, in a line that is rewritten."""
    clear_progress()
    if watcher.rounds == 1:
        say(f"xdsaudit: {_standing(watcher)}; a line for each change from here on")
    assert watcher.audit is not None
    progress()(f"round {watcher.rounds:,} at {watcher.audit.captured_at}: {_standing(watcher)}")


def _recorder(options: WatchOptions) -> Recorder | None:
    from xdsaudit.collect.recorder import Recorder

    if options["record"] is None:
        return None
    return Recorder(options["record"], keep=options["record_keep"], max_bytes=options["record_bytes"])


def _record(recorder: Recorder, watcher: Watcher, changes: Sequence[Event]) -> None:
    """Write changes into the black box; report a failure once."""
    before = recorder.failed
    recorder.note(changes, watcher.seen, watcher.good)
    if recorder.failed and recorder.failed != before:
        say(f"xdsaudit: the recorder could not write: {recorder.failed}; the watch continues")


def _said_gaps(watcher: Watcher, before: dict[str, str]) -> dict[str, str]:
    """Report on stderr which views can no longer be read, or can be again: once each, not every round."""
    from xdsaudit.model.view import State

    assert watcher.audit is not None
    now = {info.label: f"{info.state.value}: {info.why}" for info in watcher.audit.gaps}
    for label, why in now.items():
        if label not in before:
            say(f"xdsaudit: {label}: {why}")
    for label in before.keys() - now.keys():
        say(f"xdsaudit: {label}: {State.READ.value} again")
    return now


def _last(watcher: Watcher) -> str:
    """The state in which a watch ended."""
    if watcher.audit is None:
        return "ended before the first round"
    rounds = f"{watcher.rounds} {'round' if watcher.rounds == 1 else 'rounds'}"
    return f"ended after {rounds}: {_standing(watcher)}"


def _standing(watcher: Watcher) -> str:
    """Rules by verdict after the last round, and the number of views that could not be read."""
    assert watcher.audit is not None
    counts = ", ".join(f"{n:,} {v.replace('_', ' ')}" for v, n in watcher.audit.by_verdict.items() if n)
    gaps = len(watcher.audit.gaps)
    unread = f"; {gaps} {'view' if gaps == 1 else 'views'} not read" if gaps else ""
    return f"{counts or 'no rules'}{unread}"


def _line(transition: Transition) -> str:
    from xdsaudit.model.verdict import FAILING, Verdict
    from xdsaudit.report.terminal import printable

    verdict = transition.after
    was = transition.before.value.replace("_", " ") if transition.before else "new"
    if verdict is None:
        return printable(f"{transition.at}  {transition.rule}: {was} -> gone")
    text = printable(f"{transition.at}  {transition.rule}: {was} -> {verdict.said}")
    color = "red" if verdict.verdict in FAILING else "green" if verdict.verdict is Verdict.IN_SYNC else None
    return click.style(text, fg=color) if colored() else text


def _plugin_line(transition: PluginTransition) -> str:
    from xdsaudit.model.plugin_verdict import plugin_said
    from xdsaudit.model.verdict import FAILING, Verdict
    from xdsaudit.report.plugins import own_rules
    from xdsaudit.report.terminal import printable

    verdict = transition.after
    was = transition.before.value.replace("_", " ") if transition.before else "new"
    if verdict is None:
        return printable(f"{transition.at}  WasmPlugin {transition.plugin}: {was} -> gone")
    rules = "".join(f"; {r.said} {plugin_said(r)}" for r in own_rules(verdict)[:3])
    text = printable(f"{transition.at}  WasmPlugin {transition.plugin}: {was} -> {plugin_said(verdict)}{rules}")
    color = "red" if verdict.verdicts & FAILING else "green" if verdict.verdict is Verdict.IN_SYNC else None
    return click.style(text, fg=color) if colored() else text


def _plugin_jsonl(transition: PluginTransition) -> str:
    from xdsaudit.report.json import as_line
    from xdsaudit.report.plugins import plugin_object

    return as_line(
        {
            "at": transition.at,
            "before": transition.before.value if transition.before else None,
            "after": transition.after.verdict.value if transition.after else None,
            "plugin": plugin_object(transition.after) if transition.after else transition.plugin,
        }
    ).rstrip("\n")


def _jsonl(transition: Transition) -> str:
    from xdsaudit.report.json import as_line, rule_object

    return as_line(
        {
            "at": transition.at,
            "before": transition.before.value if transition.before else None,
            "after": transition.after.verdict.value if transition.after else None,
            "rule": rule_object(transition.after) if transition.after else transition.rule._asdict(),
        }
    ).rstrip("\n")


def _write(place: Path, text: str) -> None:
    """Replace a file atomically, so that a collector never reads half of it."""
    try:
        write_whole(place, text)
    except OSError as error:
        raise InputError(f"--textfile {place}: {error.strerror or error}; name another file") from error
