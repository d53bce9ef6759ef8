"""``xdsaudit diff``: compare all views once and name the stage of every loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from xdsaudit.cli.options import (
    GroupedCommand,
    judge_options,
    profile_options,
    scope_options,
    snapshot_of,
    source_options,
    words,
    xds_options,
)
from xdsaudit.cli.output import clear_progress, progress, show
from xdsaudit.errors import InputError


@click.command(cls=GroupedCommand, short_help="Compare all views once and name the stage of every loss.")
@source_options
@scope_options
@judge_options
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json"]),
    default="table",
    show_default=True,
    help="Format of the result.",
)
@click.option(
    "--report", "reports", multiple=True, metavar="FORMAT=FILE", help="Write the result to a file too (repeatable)."
)
@xds_options
@profile_options
def diff(output: str, reports: tuple[str, ...], **options: Any) -> int:
    """Compare what the Ingresses ask for with what the control plane serves and what Envoy runs.

    Every rule gets one verdict; a lost one gets the stage that lost it, the proof and the remedy.

    \b
    xdsaudit diff --snapshot incident.tar.gz
    xdsaudit diff -f ingresses.yaml --ads 127.0.0.1:15010 --gateway http://127.0.0.1:15000
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.audit import audit
    from xdsaudit.audit.scope import Scope, by_code, narrow, since

    fail_on = _fail_on(options["fail_on"])
    only, skip = (_codes(option, options[option]) for option in ("only", "skip"))
    snapshot = snapshot_of(options, progress())
    clear_progress()
    result = audit(snapshot)
    scope = Scope(frozenset(options["namespaces"]), frozenset(options["ingresses"]), options["selector"])
    result = by_code(narrow(result, snapshot, scope), only=only, skip=skip)
    if options["baseline"] is not None:
        result = since(result, _baseline(options["baseline"]))
    show(result, output, reports)
    for info in result.gaps:
        click.echo(f"xdsaudit: {info.name.value} {info.replica or ''}: {info.state.value}: {info.why}", err=True)
    return result.exit_code(fail_on)


def _fail_on(text: str | None) -> frozenset[str] | None:
    from xdsaudit.model.verdict import Severity, Verdict

    if text is None:
        return None
    allowed = {*(v.value for v in Verdict), *(s.value for s in Severity), "extra"}
    found = frozenset(words((text,)))
    unknown = sorted(found - allowed)
    if unknown:
        raise InputError(
            f"--fail-on {', '.join(unknown)}: is no verdict or severity; one of {', '.join(sorted(allowed))}"
        )
    return found


def _codes(option: str, listed: tuple[str, ...]) -> tuple[str, ...]:
    from xdsaudit.audit.catalogue import find

    codes = []
    for word in words(listed):
        row = find(word)
        if row is None:
            raise InputError(f"--{option} {word}: is no code; xdsaudit explain lists them")
        codes.append(row.code)
    return tuple(codes)


def _baseline(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"--baseline {path}: {error.strerror or error}; check the path") from error
    except ValueError as error:
        raise InputError(f"--baseline {path}: is not JSON ({error}); write one with xdsaudit diff -o json") from error
    if not isinstance(found, dict):
        raise InputError(f"--baseline {path}: is no audit; write one with xdsaudit diff -o json")
    return found
