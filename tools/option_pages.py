"""The page of every option of every command, read from click."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from command_line import Command, Option, commands


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def _table(options: list[Option]) -> list[str]:
    rows = [f"| `{o.flags.replace('|', chr(92) + '|')}` | {_cell(o.text)} |" for o in options]
    return ["| option | |", "| --- | --- |", *rows, ""]


def section(found: Command, common: dict[str, list[Option]]) -> list[str]:
    """One command: what it is for, an example, and the options it does not share."""
    lines = [f"## xdsaudit {found.name}", "", f"```text\n{found.usage}\n```", ""]
    for text, literal in found.paragraphs:
        lines += [f"```text\n{text}\n```" if literal else _cell(text), ""]
    shared = []
    for heading, options in found.groups.items():
        if common.get(heading) == options:
            shared.append(f"[{heading}](#{anchor(heading)})")
        else:
            lines += [f"**{heading}**", "", *_table(options)]
    if shared:
        lines += [f"And the options of {', '.join(shared)}.", ""]
    return lines


def anchor(heading: str) -> str:
    """The anchor of a heading, as MyST makes it."""
    import re

    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def page() -> str:
    """The page. A group that several commands have alike stands once, at the end."""
    found = commands()
    groups: dict[str, list[list[Option]]] = {}
    for command in found:
        for heading, options in command.groups.items():
            groups.setdefault(heading, []).append(options)
    common = {h: max(lists, key=lists.count) for h, lists in groups.items() if max(map(lists.count, lists)) > 1}
    lines = [
        "# Every option",
        "",
        "Generated from the command line. `xdsaudit COMMAND --help` prints the same; [the commands at a glance](cli.md), their exit codes and "
        "limits have a page of their own.",
        "",
    ]
    for command in found:
        lines += section(command, common)
    lines += ["## Groups of options", ""]
    for heading, options in common.items():
        lines += [f"### {heading}", "", *_table(options)]
    return "\n".join(lines) + "\n"
