"""``xdsaudit wait``: block until a batch is in effect in every replica, or say what holds it up."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from xdsaudit.cli.options import (
    GroupedCommand,
    live_source_options,
    output_options,
    profile_options,
    scope_options,
    sources_of,
    xds_options,
)
from xdsaudit.cli.output import Block, clear_progress, progress, say, show, terminal_width
from xdsaudit.cli.parameters import Options, ScopeOptions
from xdsaudit.cli.process import lasting
from xdsaudit.cli.values import Seconds
from xdsaudit.errors import InputError

_CHILD_SECONDS = 5.0

if TYPE_CHECKING:
    from xdsaudit.collect.connect import Opened
    from xdsaudit.live.wait import Outcome, SomeTerms
    from xdsaudit.model.verdict import Audit


class WaitOptions(Options, ScopeOptions):
    """What wait is given beside what it names itself."""

    interval: float
    rounds: int
    deadline: float
    grace: float


@click.command(
    cls=GroupedCommand, short_help="Block until a batch is in effect in every replica, or say what holds it up."
)
@live_source_options
@scope_options
@click.option(
    "--interval",
    type=Seconds(0.05),
    default=0.25,
    show_default=True,
    metavar="SECONDS",
    help="Pause between rounds.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Consecutive rounds that must find everything in effect.",
)
@click.option(
    "--deadline",
    type=Seconds(0.1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this long (exit code 4).",
)
@click.option(
    "--grace",
    type=Seconds(),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a rule that is missing without proof is pending; after that it is lost.",
)
@click.option(
    "--apply", "command", metavar="CMD", help="Run CMD FILE for each file of -f (without a shell), then wait for it."
)
@click.option(
    "--batch", type=click.IntRange(min=1), metavar="N", help="With --apply: apply N files at a time (default all)."
)
@output_options
@xds_options
@profile_options
def wait(
    output: str, reports: tuple[str, ...], command: str | None, batch: int | None, **options: Unpack[WaitOptions]
) -> int:
    """Block until every rule of the -f manifests, or of the named Ingresses, is in effect in every gateway.

    \b
    kubectl apply -f batch/ && xdsaudit wait -f batch/
    xdsaudit wait -f batch/ --apply "kubectl apply -f" --batch 10

    Exits with 0 when all are in effect; 1 when one is lost, refused or will not recover on its own, with stage and remedy; 3 when
    a source cannot be read; 4 when the deadline passes and nothing is proven.
    """  # noqa: D301 - click reads \b as "do not wrap"
    if command is None and batch is not None:
        raise InputError("--batch needs --apply: it says how many files to apply before each wait")
    if command is not None and not options["manifests"]:
        raise InputError("--apply needs files to apply: name them with -f")
    if options["snapshot"]:
        raise InputError("a snapshot does not change: wait reads live sources; use xdsaudit diff --snapshot")
    lasting()
    terms: SomeTerms = {
        "interval": options["interval"],
        "rounds": options["rounds"],
        "deadline": options["deadline"],
        "grace": options["grace"],
        "patience": options["timeout"],
    }
    if command is None:
        outcome = _once(options, terms)
        return _finish(outcome, output, reports)
    import shlex

    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"--apply {command!r}: {error}; quote the command as for a shell") from error
    return _rollout(options, terms, words, batch, output, reports)


def _once(options: WaitOptions, terms: SomeTerms) -> Outcome:
    from xdsaudit.connection import Connection

    with Connection(sources_of(options), progress()) as connection:
        refs = _refs(options, connection.reach)
        clear_progress()
        with _telling() as tell:
            return connection.wait(*sorted(refs), tell=tell, **terms)


def _refs(options: WaitOptions, reach: Opened) -> frozenset[str]:
    from xdsaudit.audit import audit
    from xdsaudit.audit.questions.narrow import Scope, narrow
    from xdsaudit.model.snapshot import Snapshot

    scope = Scope(frozenset(options["namespaces"]), frozenset(options["ingresses"]), options["selector"])
    if not (scope.namespaces or scope.selector):
        return reach.refs | scope.ingresses
    snapshot = Snapshot(kube=reach.sources.kube or {}, controller=reach.sources.controller)
    chosen = narrow(audit(snapshot), snapshot, scope)
    return reach.refs | frozenset(r.rule.ref for r in (*chosen.rules, *chosen.not_selected))


@contextmanager
def _telling() -> Iterator[Callable[[Audit], None]]:
    """Progress on stderr: one line that is rewritten on a terminal, otherwise a line per change."""
    from xdsaudit.report.progress import grid, standing

    began, last, drawn = time.monotonic(), [""], Block()

    def tell(result: Audit) -> None:
        text = standing(result)
        if sys.stderr.isatty():
            width = max(terminal_width(), 20)
            head = f"{time.monotonic() - began:5.1f} s  {text}"[: width - 1]
            drawn.replace([head, *grid(result, width - 1)])
        elif text != last[0]:
            say(f"xdsaudit: {time.monotonic() - began:.1f} s: {text}")
        last[0] = text

    try:
        yield tell
    except KeyboardInterrupt:
        drawn.replace([])
        clear_progress()
        say(f"xdsaudit: ended after {time.monotonic() - began:.1f} s: {last[0] or 'before the first round'}")
        raise
    finally:
        drawn.replace([])


def _finish(outcome: Outcome, output: str, reports: tuple[str, ...]) -> int:
    from xdsaudit.report.progress import latency_said

    clear_progress()
    show(outcome.audit, output, reports)
    took = latency_said(outcome.latency, outcome.clocks)
    if took and outcome.code != 3:  # of views that could not be read to the end, the times prove nothing
        say(f"xdsaudit: {took}")
    rounds = f"{outcome.rounds} {'round' if outcome.rounds == 1 else 'rounds'}"
    say(f"xdsaudit: {outcome.why} ({outcome.seconds:.1f} s, {rounds})")
    return outcome.code


def _rollout(
    options: WaitOptions,
    terms: SomeTerms,
    command: list[str],
    size: int | None,
    output: str,
    reports: tuple[str, ...],
) -> int:
    import shlex

    from xdsaudit.collect.manifests import files_of, read_whole
    from xdsaudit.connection import Connection
    from xdsaudit.live.arrivals import quantile
    from xdsaudit.live.batches import nothing, rollout, whole_outcome
    from xdsaudit.report.terminal import many

    if not command:
        raise InputError("--apply is empty; write the command, for example 'kubectl apply -f'")
    if "-" in options["manifests"]:
        raise InputError("--apply needs files: standard input cannot be applied again")
    files = [str(file) for place in options["manifests"] for file in files_of(Path(place))]
    if not files:
        raise InputError(f"-f {', '.join(options['manifests'])}: contains no manifest to apply")
    step = size or len(files)
    batches = [tuple(files[n : n + step]) for n in range(0, len(files), step)]
    by_file: dict[str, set[str]] = {}
    given = read_whole(files)
    for (ref, host, _), origin in given.origins.items():
        if not host and ref in given.chosen:
            by_file.setdefault(origin.file, set()).add(ref)

    def apply(batch: tuple[str, ...]) -> None:
        for file in batch:
            code = _applied([*command, file])
            if code:
                raise InputError(
                    f"--apply {shlex.join([*command, file])}: exited with {code}; the files after it were not applied"
                )

    with Connection(sources_of(options), progress()) as connection:
        clear_progress()

        def wait_for(batch: tuple[str, ...]) -> Outcome:
            refs = {ref for file in batch for ref in by_file.get(file, ())}
            if not refs:
                return nothing("no Ingress and no WasmPlugin in this batch")
            with _telling() as tell:
                return connection.wait(*sorted(refs), tell=tell, **terms)

        done = rollout(batches, apply, wait_for)
    say(f"xdsaudit: {len(done)} of {many(len(batches), 'batch', 'batches')} applied")
    times = sorted(o.seconds for _, o in done if o.ok and o.rounds)
    if len(times) > 1:
        say(
            f"xdsaudit: batches of {step} were in effect within {times[-1]:.1f} s, half of them within {quantile(times, 0.5):.1f} s"
        )
    return _finish(whole_outcome([o for _, o in done]), output, reports)


def _applied(command: list[str]) -> int:
    """Run the user's own command and return its exit code; if we are ended, end it too and wait for it."""
    import subprocess

    try:
        process = subprocess.Popen(command, stdout=2)  # noqa: S603 - the user's own command
    except OSError as error:
        why = "no such command" if isinstance(error, FileNotFoundError) else error.strerror or type(error).__name__
        raise InputError(f"--apply {command[0]}: {why}; check the path") from error
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(_CHILD_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
