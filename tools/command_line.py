"""The command line as data, read from click: for the man page and the reference in the documentation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from xdsaudit.cli.group import cli  # noqa: E402
from xdsaudit.cli.options import _GROUPS  # noqa: E402


class Option(NamedTuple):
    """One option: its flags as help shows them, every spelling, and its text."""

    flags: str
    spellings: tuple[str, ...]
    text: str


class Command(NamedTuple):
    """One command.

    Attributes:
        name: as it is typed.
        usage: name and arguments.
        summary: one line.
        paragraphs: of its help; one that is literal (an example) is True.
        groups: options by the heading under which help shows them.
    """

    name: str
    usage: str
    summary: str
    paragraphs: tuple[tuple[str, bool], ...]
    groups: dict[str, list[Option]]


def paragraphs(text: str) -> tuple[tuple[str, bool], ...]:
    """Paragraphs of a help text, joined to a line each unless click is told to keep their lines."""
    found = []
    for part in text.replace("\r", "").split("\n\n"):
        literal = part.lstrip().startswith("\b")
        lines = [line.strip() for line in part.replace("\b", "").splitlines() if line.strip()]
        if lines:
            found.append(("\n".join(lines) if literal else " ".join(lines), literal))
    return tuple(found)


def command(name: str, found: click.Command) -> Command:
    """One command of click as data."""
    context = click.Context(found, info_name=f"xdsaudit {name}", **found.context_settings)
    groups: dict[str, list[Option]] = {}
    for parameter in found.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or not isinstance(parameter, click.Option):
            continue
        spellings = (*parameter.opts, *parameter.secondary_opts)
        heading = _GROUPS.get(parameter.name or "", "Output")
        groups.setdefault(heading, []).append(Option(record[0], spellings, record[1]))
    usage = " ".join(found.collect_usage_pieces(context))
    summary = found.get_short_help_str(limit=200)
    return Command(name, f"xdsaudit {name} {usage}", summary, paragraphs(found.help or ""), groups)


def commands() -> list[Command]:
    """Every command, in the order of help."""
    context = click.Context(cli, info_name="xdsaudit")
    return [command(name, cli.get_command(context, name)) for name in cli.list_commands(context)]  # type: ignore[arg-type]
