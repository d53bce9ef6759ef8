"""``xdsaudit explain CODE``: what a code means."""

from __future__ import annotations

import textwrap

import click

from xdsaudit.errors import InputError


@click.command(short_help="What a code means and what heals it.")
@click.argument("code", required=False)
def explain(code: str | None) -> int:
    """Print what CODE (XA401 or stale-route-cache) means, why it happens and what heals it; without CODE, list them all."""
    from xdsaudit.audit.catalogue import CATALOGUE, find

    if code is None:
        for row in CATALOGUE:
            click.echo(f"{row.code}  {row.slug:<27}  {row.title}")
        return 0
    found = find(code)
    if found is None:
        raise InputError(f"{code}: is no code; xdsaudit explain lists them")
    click.echo(f"{found.code} {found.slug} ({found.severity.value})\n{found.title}\n")
    for text in (found.meaning, f"Remedy: {found.remedy}"):
        click.echo(textwrap.fill(text, 79) + "\n")
    return 0
