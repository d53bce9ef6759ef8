"""``xdsaudit status``: one line per gateway and pilot."""

from __future__ import annotations

from typing import Unpack

import click

from xdsaudit.cli.options import GroupedCommand, profile_options, source_options, sources_of, xds_options
from xdsaudit.cli.output import clear_progress, emit, gaps, progress
from xdsaudit.cli.parameters import Options


@click.command(cls=GroupedCommand, short_help="One line per gateway and pilot: connected, attached, NACK, warming.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Format of the result.")
@source_options
@xds_options
@profile_options
def status(output: str, **options: Unpack[Options]) -> int:
    """Show every core, pilot and gateway: whether it was read, is connected, to which pilot, how old it is, what it rejects.

    Pilot's debug pages (--ads-debug) say which gateway is connected to which pilot.

    \b
    xdsaudit status --snapshot incident.tar.gz
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.audit.questions.status import replica_statuses
    from xdsaudit.audit.verdicts import judged
    from xdsaudit.collect.connect import snapshot_of
    from xdsaudit.report.json import as_json
    from xdsaudit.report.status import status_object, status_text

    snapshot, _ = snapshot_of(sources_of(options), progress())
    clear_progress()
    world, audit = judged(snapshot)
    rows = replica_statuses(world, audit)
    emit(
        lambda width, color: status_text(rows, now=audit.captured_at, width=width, color=color),
        as_json(status_object(rows)) if output == "json" else None,
    )
    gaps(audit)
    if any(r.differs or r.rejecting for r in rows):
        return 1
    return 3 if audit.gaps or not audit.enough else 0
