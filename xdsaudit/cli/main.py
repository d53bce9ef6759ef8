"""Entry point; keeps the promise about exit codes (an uncaught bug is 70, never 1). It imports little, so that help is quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xdsaudit.errors import InputError, XdsauditError

if TYPE_CHECKING:
    import click


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; a traceback never reaches a user unless XDSAUDIT_DEBUG is set."""
    from xdsaudit.cli.process import prepare

    prepare()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    from xdsaudit.cli.front import answer_at_once, program

    name = program(sys.argv[0])
    answer = answer_at_once(sys.argv[1:] if arguments is None else arguments, name)
    try:
        if answer is not None:
            sys.stdout.write(answer)
            sys.stdout.flush()
            return 0
        return _command(arguments, name)
    except BrokenPipeError:
        # The reader of our output is gone; nobody is left to tell.
        _give_up_output()
        return 0
    except KeyboardInterrupt as error:
        return _interrupted(error)
    except Exception as error:
        return _failed(error)


def _command(arguments: Sequence[str] | None, name: str) -> int:
    """Run one command; what click raises becomes an exit code."""
    import click

    from xdsaudit.cli.group import cli

    try:
        code = cli.main(args=arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        _usage(error)
        return 2
    except click.Abort as error:
        return _interrupted(error.__cause__ or error)
    return int(code or 0)


def _usage(error: click.ClickException) -> None:
    """Print click's usage error, without control characters."""
    from io import StringIO

    import click

    from xdsaudit.report.terminal import printable

    written = StringIO()
    error.show(written)
    click.echo("\n".join(map(printable, written.getvalue().splitlines())), err=True)


def _interrupted(error: BaseException) -> int:
    """130 for Ctrl-C, 143 for SIGTERM, as shells count."""
    from xdsaudit.cli.output import say
    from xdsaudit.errors import Interrupted

    if isinstance(error, EOFError):  # click takes it for Ctrl-D at a prompt; we have none
        return _failed(error)
    number = error.signal if isinstance(error, Interrupted) else 2
    say("interrupted" if number == 2 else "terminated")
    return 128 + number


def _failed(error: Exception) -> int:
    """Report what went wrong and return the exit code: 2 or 3 for our own errors, 2 for an unusable file, 70 for a bug."""
    from xdsaudit.cli.output import say
    from xdsaudit.errors import outline

    if isinstance(error, XdsauditError):
        if isinstance(error, _output_error()):
            _give_up_output()
        say(f"xdsaudit: {error}")
        return 2 if isinstance(error, InputError) else 3
    if os.environ.get("XDSAUDIT_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.filename is not None:
        say(f"xdsaudit: {str(error.filename)[:200]}: {error.strerror or type(error).__name__}; check the path")
        return 2
    say(
        f"xdsaudit: internal error, a bug in xdsaudit: {outline(error)}. Please report this line and the snapshot {_tracker()}; "
        "XDSAUDIT_DEBUG=1 shows the full traceback, which may contain values that were read"
    )
    return 70


def _output_error() -> type[InputError]:
    from xdsaudit.cli.process import OutputError

    return OutputError


def _give_up_output() -> None:
    from xdsaudit.cli.process import give_up_output

    give_up_output()


def _tracker() -> str:
    """Where to report bugs, from the package's own metadata."""
    from xdsaudit.report.tool import project_url

    place = project_url("Issues", "Bug Tracker", "Repository")
    return f"at {place}" if place else "to the issue tracker of the project you got xdsaudit from"
