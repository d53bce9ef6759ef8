"""Entry point: the group of commands, and the promise of exit codes (an uncaught bug is 70, never 1)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from xdsaudit import __version__
from xdsaudit.errors import InputError, XdsauditError

_COMMANDS = {
    "diff": ("xdsaudit.cli.diff", "diff"),
    "wait": ("xdsaudit.cli.wait", "wait"),
    "watch": ("xdsaudit.cli.watch", "watch"),
    "capture": ("xdsaudit.cli.capture", "capture"),
    "explain": ("xdsaudit.cli.explain", "explain"),
    "check": ("xdsaudit.cli.check", "check"),
    "status": ("xdsaudit.cli.status", "status"),
    "merge": ("xdsaudit.cli.merge", "merge"),
    "demo": ("xdsaudit.cli.demo", "demo"),
}
_EPILOG = (
    "Start with: xdsaudit diff (the cluster of your kubeconfig), xdsaudit diff --snapshot PATH, or xdsaudit demo. "
    "Exit codes: 0 all in sync, 1 something is wrong, 3 could not look at everything, 2 wrong usage or unreadable input."
)


class _Lazy(click.Group):
    """Imports a command when it is used, so that --help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in _COMMANDS:
            return None
        from importlib import import_module

        module, attribute = _COMMANDS[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.command(
    cls=_Lazy,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(__version__, message="xdsaudit %(version)s (tested against Higress 2.0.1 and 2.1.9, Envoy 1.40)")
@click.pass_context
def cli(context: click.Context) -> None:
    """Name the Higress route that got lost between Ingress and Envoy, and the stage that lost it.

    Reads only: it never writes to a cluster, a control plane or an Envoy.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; a traceback never reaches a user unless XDSAUDIT_DEBUG is set."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    name = "kubectl xdsaudit" if Path(sys.argv[0]).name.startswith("kubectl") else "xdsaudit"
    try:
        code = cli.main(args=arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except XdsauditError as error:
        from xdsaudit.report.terminal import printable

        click.echo(f"xdsaudit: {printable(str(error))}", err=True)
        return 2 if isinstance(error, InputError) else 3
    except BrokenPipeError:
        # The reader of our output went away; nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("XDSAUDIT_DEBUG"):
            raise
        click.echo(
            f"xdsaudit: a bug of ours: {type(error).__name__}: {error}. Please report it with the snapshot; "
            "XDSAUDIT_DEBUG=1 shows where it happened.",
            err=True,
        )
        return 70
    return int(code or 0)
