"""Printing: the result once on stdout, progress on stderr and only on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from xdsaudit.errors import InputError
from xdsaudit.model.verdict import Audit

FOR_PEOPLE = ("table", "wide")
"""Formats that wrap, and whose first lines say what was not read."""


def progress() -> Callable[[str], None]:
    """A progress line on stderr if that is a terminal, otherwise nothing."""
    if not sys.stderr.isatty():
        return lambda _: None
    from xdsaudit.report.terminal import printable

    return lambda text: click.echo(f"\r\x1b[K{printable(text)} ...", nl=False, err=True)


def clear_progress() -> None:
    """Erase the progress line."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


class Block:
    """A few progress lines on stderr that overwrite themselves."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self._lines = 0

    def replace(self, lines: Sequence[str]) -> None:
        """Draw these in place of the previous lines; without any, erase those."""
        back = f"\x1b[{self._lines}A" if self._lines else ""
        if lines or self._lines:
            text = "".join(f"{line}\n" for line in lines)
            click.echo(f"\r{back}\x1b[J{text}", nl=False, err=True, color=True)
        self._lines = len(lines)


def colored() -> bool:
    """Whether to use colours on stdout: a terminal, and neither NO_COLOR nor TERM=dumb."""
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def on_one_screen() -> bool:
    """Whether stdout and stderr share a terminal, so that nothing need be said twice."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def terminal_width() -> int:
    """Columns of the terminal."""
    from shutil import get_terminal_size

    return get_terminal_size((80, 24)).columns


def show(audit: Audit, form: str, reports: tuple[str, ...]) -> None:
    """Print an audit and write the additional reports, each ``FORMAT=FILE``.

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
    """Print a result: a text, or a function from width and colours to one; or instead ``data``, which is always UTF-8."""
    if data is not None:
        click.echo(data.encode("utf-8", "backslashreplace"), nl=False)
        return
    if not isinstance(text, str):
        text = text(max(terminal_width() if sys.stdout.isatty() else 80, 40), colored())
    click.echo(text, nl=False, color=True)


def write_whole(place: Path, text: str) -> None:
    """Write a file atomically; a pipe or device is written directly. Raises OSError."""
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
    """Print a message on stderr as one line, whatever a server, a file or a name put into it."""
    from xdsaudit.report.terminal import printable

    click.echo(printable(" ".join(line.strip() for line in text.splitlines())), err=True)


def gaps(audit: Audit) -> None:
    """Report on stderr which views could not be read."""
    for info in audit.gaps:
        say(f"xdsaudit: {info.label}: {info.state.value}: {info.why}")
