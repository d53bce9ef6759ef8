"""``xdsaudit merge``: many audits into one page, one table or one set of metrics."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from xdsaudit.cli.output import emit
from xdsaudit.errors import InputError


@click.command(short_help="Many audits (diff -o json) into one page, table or metric set.")
@click.argument("files", nargs=-1, required=True, metavar="[NAME=]FILE...")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "html", "prom"]),
    default="table",
    show_default=True,
    help="Format of the result.",
)
@click.option(
    "--keep-going", is_flag=True, help="Treat a file that cannot be read as a cluster that was not looked at."
)
def merge(files: tuple[str, ...], output: str, keep_going: bool) -> int:
    """Merge reports of xdsaudit diff -o json, one per cluster, into one result.

    A cluster is named after its file (prod.json is prod), NAME if NAME=FILE is given, or the report's own key "cluster".
    A file may also be a log with one report per line; - is standard input.

    \b
    xdsaudit diff --context prod -o json > prod.json
    xdsaudit merge prod.json staging.json -o html > fleet.html

    Exits with 1 if something is wrong in any of them, otherwise with 3 if one could not be read completely, otherwise with 0.
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.report import fleet
    from xdsaudit.report.terminal import printable

    members: list[fleet.Member] = []
    for given in files:
        name, place = _named(given)
        try:
            members += fleet.read_reports(_read(place), place, name)
        except InputError as error:
            if not keep_going:
                raise
            members.append(fleet.Member(name, None, printable(str(error))))
    seen: set[str] = set()
    for member in members:
        if member.name in seen:
            raise InputError(f"two reports of the cluster {member.name}: rename one with NAME=FILE")
        seen.add(member.name)
    if output == "table":
        emit(lambda width, _: fleet.to_fleet_table(members, width=width))
    else:
        emit({"json": fleet.to_fleet_json, "html": fleet.to_fleet_html, "prom": fleet.to_fleet_prom}[output](members))
    return fleet.exit_code(members)


def _named(given: str) -> tuple[str, str]:
    name, sign, place = given.partition("=")
    if sign and name and place and not Path(given).exists():
        return name, place
    return ("stdin" if given == "-" else Path(given).name.removesuffix(".json")), given


def _read(place: str) -> bytes:
    if place == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(place).read_bytes()
    except OSError as error:
        raise InputError(f"{place}: {error.strerror or error}; check the path") from error
