"""``xdsaudit capture``: read all sources once and write a snapshot."""

from __future__ import annotations

from typing import Any

import click

from xdsaudit.cli.options import GroupedCommand, profile_options, source_options, xds_options
from xdsaudit.cli.output import clear_progress, progress
from xdsaudit.cli.reading import snapshot_of


@click.command(cls=GroupedCommand, short_help="Write a snapshot of all views.")
@source_options
@click.option("-O", "--out", required=True, metavar="PATH", help="Directory, .tar.gz, .tar.xz or .zip to write.")
@xds_options
@profile_options
def capture(out: str, **options: Any) -> int:
    """Read every source once and write what they said, raw, for a later diff or for a colleague.

    Values of credentials are replaced by fingerprints that are good for this snapshot only.

    \b
    xdsaudit capture -f ingresses.yaml --ads 127.0.0.1:15010 --gateway http://127.0.0.1:15000 -O incident.tar.gz
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.collect.redact import redact
    from xdsaudit.collect.snapshot import save
    from xdsaudit.model.view import State

    snapshot = redact(snapshot_of({**options, "grace": 0.0}, progress())[0])
    clear_progress()
    size = save(snapshot, out)
    click.echo(f"wrote {out}: {size / 1e6:.1f} MB")
    code = 0
    for info in snapshot.views:
        if info.state in (State.UNREAD, State.PARTIAL):
            click.echo(f"xdsaudit: {info.name.value} {info.replica or ''}: {info.state.value}: {info.why}", err=True)
            code = 3
    return code
