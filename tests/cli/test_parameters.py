"""What a command is given is what its signature says, and what can be asked of sources is the same everywhere."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args, get_type_hints

import click
import pytest

from xdsaudit.cli.group import cli
from xdsaudit.cli.parameters import ControllerOptions, Options
from xdsaudit.collect.connect import SourceOptions
from xdsaudit.connection import SourceArguments

COMMANDS = cli.list_commands(click.Context(cli))
SOURCES = {f.name for f in fields(SourceOptions)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_given_what_its_signature_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.callback is not None
    hints = get_type_hints(command.callback)
    shared = get_args(hints.pop("options", None))
    named = {*hints} - {"return"} | {key for each in shared for key in get_type_hints(each)}
    assert {p.name for p in command.params if p.expose_value} == named


def test_commands_and_connect_ask_the_same_of_sources() -> None:
    controller = set(ControllerOptions.__annotations__)
    assert set(get_type_hints(Options)) - controller == SOURCES - {"controller", "grace"}
    assert set(SourceArguments.__annotations__) == SOURCES - {"snapshot"}
