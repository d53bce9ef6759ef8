"""``xdsaudit capture``: read all sources once and write a snapshot."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

import click

from xdsaudit.cli.options import GroupedCommand, profile_options, source_options, sources_of, xds_options
from xdsaudit.cli.output import clear_progress, gaps, progress
from xdsaudit.cli.parameters import Options
from xdsaudit.model.plain import as_mapping

if TYPE_CHECKING:
    from xdsaudit.collect.connect import SourceOptions
    from xdsaudit.model.snapshot import Snapshot

_ROUNDS = 5


@click.command(cls=GroupedCommand, short_help="Write a snapshot of all views.")
@source_options
@click.option("-O", "--out", required=True, metavar="PATH", help="Directory, .tar.gz, .tar.xz or .zip to write.")
@xds_options
@profile_options
def capture(out: str, **options: Unpack[Options]) -> int:
    """Read every source until two rounds agree, and save the raw answers for a later diff or for a colleague.

    Data that xdsaudit never reads is left out. Credentials are replaced by pseudonyms that are valid in this snapshot only.

    \b
    xdsaudit capture -O incident.tar.gz
    xdsaudit capture -f ingresses.yaml --ads 127.0.0.1:15010 --gateway http://127.0.0.1:15000 -O incident.tar.gz
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.audit import audit
    from xdsaudit.collect.connect import snapshot_of
    from xdsaudit.collect.redact import redact
    from xdsaudit.collect.snapshot import save

    chosen = replace(sources_of(options), grace=0.0)
    snapshot = snapshot_of(chosen, progress())[0] if chosen.snapshot else _settled(chosen)
    clear_progress()
    cleaned = redact(snapshot)
    size = save(cleaned, out, redacted=False)
    click.echo(f"wrote {out}: {size / 1e6:.1f} MB")
    result = audit(cleaned)  # what a reader of the file will see, including bytes that do not decode
    gaps(result)
    code = 3 if result.gaps else 0
    settled = as_mapping(snapshot.extra.get("consistency"))
    if settled and not settled["agreed"]:
        click.echo(
            f"xdsaudit: the views changed in each of {settled['rounds']} rounds: they may not belong together; capture again later",
            err=True,
        )
        code = 3
    return code


def _settled(options: SourceOptions) -> Snapshot:
    """The first snapshot that agrees with the one before it; the last of a few if none does."""
    from xdsaudit.audit import audit
    from xdsaudit.audit.memory import Memory
    from xdsaudit.collect.cluster import lists
    from xdsaudit.collect.connect import opened
    from xdsaudit.collect.sources import read

    memory, before = Memory(), None
    with opened(options, progress()) as reach:
        sources = reach.sources
        for number in range(1, _ROUNDS + 1):
            began = time.monotonic()
            if number > 1 and reach.cluster is not None:
                kube, complaints = lists(*reach.cluster)
                sources = replace(sources, kube=kube, complaints=tuple(complaints))
            snapshot = read(sources, progress())
            result = audit(snapshot, memory=memory)
            outcome = (result.rules, result.extra, result.findings, result.counts)
            state = {"rounds": number, "agreed": outcome == before, "skew_seconds": round(time.monotonic() - began, 3)}
            if outcome == before:
                break
            before = outcome
    return replace(snapshot, extra={**snapshot.extra, "consistency": state})
