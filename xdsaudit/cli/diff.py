"""``xdsaudit diff``: compare all views once and name the stage of every loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Unpack

import click

from xdsaudit.cli.options import (
    GroupedCommand,
    judge_options,
    output_options,
    profile_options,
    scope_options,
    source_options,
    sources_of,
    xds_options,
)
from xdsaudit.cli.output import FOR_PEOPLE, clear_progress, gaps, on_one_screen, progress, show
from xdsaudit.cli.parameters import JudgeOptions, Options, ScopeOptions
from xdsaudit.cli.values import codes_of, fail_on_of
from xdsaudit.errors import InputError
from xdsaudit.model.plain import Plain


class DiffOptions(Options, ScopeOptions, JudgeOptions):
    """What diff is given beside what it names itself."""


@click.command(cls=GroupedCommand, short_help="Compare all views once and name the stage of every loss.")
@source_options
@scope_options
@judge_options
@output_options
@xds_options
@profile_options
def diff(output: str, reports: tuple[str, ...], **options: Unpack[DiffOptions]) -> int:
    """Compare what the Ingresses ask for with what the control plane serves and Envoy runs.

    Every rule gets one verdict; a lost rule also gets the stage that lost it, the proof and the remedy.

    \b
    xdsaudit diff --snapshot incident.tar.gz
    xdsaudit diff -f ingresses.yaml --ads 127.0.0.1:15010 --gateway http://127.0.0.1:15000
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.audit import audit
    from xdsaudit.audit.memory import Memory
    from xdsaudit.audit.questions.coarse import cache_would_tell
    from xdsaudit.audit.questions.confirm import alarming, confirmed
    from xdsaudit.audit.questions.narrow import Scope, narrow
    from xdsaudit.audit.questions.suppress import by_code, since
    from xdsaudit.collect.connect import can_change, looked_again, snapshot_of

    if options["all_namespaces"] and options["namespaces"]:
        raise InputError(f"-A and -n {options['namespaces'][0]} contradict each other: leave one out")
    fail_on = fail_on_of(options["fail_on"])
    only, skip = codes_of("only", options["only"]), codes_of("skip", options["skip"])
    sources = sources_of(options)
    snapshot, refs = snapshot_of(sources, progress())
    memory = Memory() if can_change(sources) else None  # the second look costs what has changed
    result = audit(snapshot, memory=memory)
    if alarming(result):
        probe = options["probe_cache"] is None and cache_would_tell(result)
        again = looked_again(sources, probe=probe, progress=progress())
        if again is not None:
            snapshot, result = again, confirmed(result, audit(again, memory=memory))
    clear_progress()
    scope = Scope(frozenset(options["namespaces"]), frozenset(options["ingresses"]) | refs, options["selector"])
    result = by_code(narrow(result, snapshot, scope), only=only, skip=skip)
    if options["baseline"] is not None:
        result = since(result, _baseline(options["baseline"]))
    show(result, output, reports)
    if output not in FOR_PEOPLE or not on_one_screen():
        gaps(result)  # otherwise the table's first lines say so
    return result.exit_code(fail_on)


def _baseline(path: Path) -> dict[str, Plain]:
    try:
        report = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"--baseline {path}: {error.strerror or error}; check the path") from error
    except ValueError as error:
        raise InputError(f"--baseline {path}: is not JSON ({error}); write one with xdsaudit diff -o json") from error
    if not isinstance(report, dict):
        raise InputError(f"--baseline {path}: is not an audit; write one with xdsaudit diff -o json")
    return report
