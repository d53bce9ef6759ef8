"""Printing: the result once on stdout, progress on stderr and only on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import get_terminal_size

import click

from xdsaudit.errors import InputError
from xdsaudit.model.verdict import Audit

FOR_PEOPLE = ("table", "wide")
"""Formats that wrap, and say in their first lines what was not looked at."""


def progress() -> Callable[[str], None]:
    """A line of progress on stderr when that is a terminal, nothing otherwise."""
    if not sys.stderr.isatty():
        return lambda _: None
    from xdsaudit.report.terminal import printable

    return lambda text: click.echo(f"\r\x1b[K{printable(text)} ...", nl=False, err=True)


def clear_progress() -> None:
    """Wipe the line of progress."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


class Block:
    """A few lines of progress on stderr, written over each other."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self._lines = 0

    def replace(self, lines: Sequence[str]) -> None:
        """Draw these in place of what was drawn; without any, wipe it."""
        back = f"\x1b[{self._lines}A" if self._lines else ""
        if lines or self._lines:
            text = "".join(f"{line}\n" for line in lines)
            click.echo(f"\r{back}\x1b[J{text}", nl=False, err=True, color=True)
        self._lines = len(lines)


def colored() -> bool:
    """Whether stdout takes colours: a terminal, and neither NO_COLOR nor TERM=dumb."""
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def on_one_screen() -> bool:
    """Whether somebody sees stdout and stderr together, and need not be told anything twice."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def show(audit: Audit, form: str, reports: tuple[str, ...]) -> None:
    """Print an audit and write the further reports, each ``FORMAT=FILE``.

    Raises:
        InputError: a report that is not FORMAT=FILE, or a file that cannot be written.
    """
    from xdsaudit.report import FORMATS, render

    for report in reports:
        name, sign, file = report.partition("=")
        if not sign or name not in FORMATS or not file:
            raise InputError(f"--report {report!r}: write FORMAT=FILE, where FORMAT is one of {', '.join(FORMATS)}")
        try:
            write_whole(Path(file), render(audit, name))
        except OSError as error:
            raise InputError(f"--report {file}: {error.strerror or error}; name another file") from error
    if form in FOR_PEOPLE:
        emit(lambda width, color: render(audit, form, width=width, color=color))
    else:
        emit("", render(audit, form))


def emit(text: str | Callable[[int, bool], str], data: str | None = None) -> None:
    """Print a result: a text, or what a function of width and colours makes; data instead, where it is given, is always UTF-8."""
    if data is not None:
        click.echo(data.encode("utf-8", "backslashreplace"), nl=False)
        return
    if not isinstance(text, str):
        width = get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80
        text = text(max(width, 40), colored())
    click.echo(text, nl=False, color=True)


def write_whole(place: Path, text: str) -> None:
    """Write a file so that nobody ever reads half of it; a pipe or device is written as it is. Raises OSError."""
    data = text.encode("utf-8", "backslashreplace")
    if place.exists() and not place.is_file():
        place.write_bytes(data)
        return
    place = place.resolve()  # a link stays a link
    part = place.with_name(f"{place.name}.part")
    try:
        part.write_bytes(data)
        part.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def say(text: str) -> None:
    """A message on stderr: one line, whatever a server, a file or a name put into it."""
    from xdsaudit.report.terminal import printable

    click.echo(printable(" ".join(line.strip() for line in text.splitlines())), err=True)


def gaps(audit: Audit) -> None:
    """Say on stderr which views could not be read."""
    for info in audit.gaps:
        say(f"xdsaudit: {info.label}: {info.state.value}: {info.why}")
