"""``xdsaudit watch``: keep auditing, print what changes, export metrics."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xdsaudit.cli.options import GroupedCommand, profile_options, source_options, sources_of, xds_options
from xdsaudit.cli.output import clear_progress, colored, progress, say, write_whole
from xdsaudit.errors import InputError

if TYPE_CHECKING:
    from xdsaudit.live.plugin_watch import PluginTransition
    from xdsaudit.live.watch import Transition, Watcher


@click.command(cls=GroupedCommand, short_help="Keep auditing, print transitions, export metrics.")
@source_options
@click.option(
    "--interval",
    type=click.FloatRange(min=1.0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two rounds.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="A rule younger than this is pending, not lost (default 15).",
)
@click.option("--listen", metavar="[HOST:]PORT", help="Serve metrics at /metrics (host 127.0.0.1 unless given).")
@click.option(
    "--textfile", type=click.Path(path_type=Path), metavar="FILE", help="Write metrics to a file after each round."
)
@click.option(
    "--max-rounds", type=click.IntRange(min=1), metavar="N", help="Stop after N rounds, with the exit code of diff."
)
@click.option(
    "-o", "--output", type=click.Choice(["table", "jsonl"]), default="table", help="Lines for people, or JSON lines."
)
@xds_options
@profile_options
def watch(
    output: str, interval: float, listen: str | None, textfile: Path | None, max_rounds: int | None, **options: Any
) -> int:
    """Keep auditing and print each change of a verdict once, with its time, stage and code. Ctrl-C or SIGTERM ends it.

    \b
    xdsaudit watch --listen 9464
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.connection import Connection
    from xdsaudit.live.watch import Watcher

    if options["snapshot"]:
        raise InputError("a snapshot does not change: watch reads live sources; use xdsaudit diff --snapshot")
    with Connection(sources_of(options), progress()) as connection:
        watcher = Watcher(connection.rounds, time.monotonic)
        clear_progress()
        with _served(listen, watcher):
            unread: dict[str, str] = {}
            try:
                while True:
                    for transition in watcher.round():
                        click.echo(_jsonl(transition) if output == "jsonl" else _line(transition), color=colored())
                    for plugin in watcher.plugins:
                        click.echo(
                            _plugin_jsonl(plugin) if output == "jsonl" else _plugin_line(plugin), color=colored()
                        )
                    sys.stdout.flush()
                    unread = _said_gaps(watcher, unread)
                    if textfile is not None:
                        _write(textfile, _metrics(watcher))
                    if max_rounds is not None and watcher.rounds >= max_rounds:
                        break
                    time.sleep(interval)
            except KeyboardInterrupt:
                say(f"xdsaudit: {_last(watcher)}")
                raise
        assert watcher.audit is not None
        return watcher.audit.exit_code()


def _said_gaps(watcher: Watcher, before: dict[str, str]) -> dict[str, str]:
    """Say on stderr which views are not read any more, or are read again: once each, not every round."""
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
    """The state in which a watch was ended."""
    if watcher.audit is None:
        return "ended before the first round"
    held = ", ".join(f"{n:,} {v.replace('_', ' ')}" for v, n in watcher.audit.by_verdict.items() if n)
    gaps = len(watcher.audit.gaps)
    unread = f"; {gaps} {'view' if gaps == 1 else 'views'} not read" if gaps else ""
    rounds = f"{watcher.rounds} {'round' if watcher.rounds == 1 else 'rounds'}"
    return f"ended after {rounds}: {held or 'no rules'}{unread}"


def _line(transition: Transition) -> str:
    from xdsaudit.model.verdict import FAILING, Verdict
    from xdsaudit.report.terminal import printable

    found = transition.after
    was = transition.before.value.replace("_", " ") if transition.before else "new"
    if found is None:
        return printable(f"{transition.at}  {transition.rule}: {was} -> gone")
    text = printable(f"{transition.at}  {transition.rule}: {was} -> {found.said}")
    color = "red" if found.verdict in FAILING else "green" if found.verdict is Verdict.IN_SYNC else None
    return click.style(text, fg=color) if colored() else text


def _plugin_line(transition: PluginTransition) -> str:
    from xdsaudit.model.plugin_verdict import said
    from xdsaudit.model.verdict import FAILING, Verdict
    from xdsaudit.report.plugins import own_rules
    from xdsaudit.report.terminal import printable

    found = transition.after
    was = transition.before.value.replace("_", " ") if transition.before else "new"
    if found is None:
        return printable(f"{transition.at}  WasmPlugin {transition.plugin}: {was} -> gone")
    rules = "".join(f"; {r.said} {said(r)}" for r in own_rules(found)[:3])
    text = printable(f"{transition.at}  WasmPlugin {transition.plugin}: {was} -> {said(found)}{rules}")
    color = "red" if found.verdicts & FAILING else "green" if found.verdict is Verdict.IN_SYNC else None
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


def _metrics(watcher: Watcher) -> str:
    from xdsaudit.live.watch import BUCKETS
    from xdsaudit.report.prom import Histogram, to_prom

    if watcher.audit is None:
        return ""
    latency = {s: Histogram({b: h.buckets[b] for b in BUCKETS}, h.count, h.total) for s, h in watcher.latency.items()}
    return to_prom(watcher.audit, transitions=watcher.counted, latency=latency, rounds=watcher.rounds)


def _write(place: Path, text: str) -> None:
    """Replace a file at once, so that a collector never reads half of it."""
    try:
        write_whole(place, text)
    except OSError as error:
        raise InputError(f"--textfile {place}: {error.strerror or error}; name another file") from error


@contextmanager
def _served(listen: str | None, watcher: Watcher) -> Iterator[None]:
    if listen is None:
        yield
        return
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) < 6) or int(port) > 65535:
        raise InputError(f"--listen {listen!r}: write PORT or HOST:PORT")
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = _metrics(watcher).encode() if self.path == "/metrics" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer((host.strip("[]") or "127.0.0.1", int(port)), Handler)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--listen {listen}: {getattr(error, 'strerror', None) or 'is not a host and port'}; choose another"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    say(f"xdsaudit: metrics at http://{host or '127.0.0.1'}:{server.server_address[1]}/metrics")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
