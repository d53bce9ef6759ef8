"""The group of commands, each imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator

import click

from xdsaudit import __version__
from xdsaudit.cli.front import TESTED

_COMMANDS = {
    "diff": ("xdsaudit.cli.diff", "diff"),
    "wait": ("xdsaudit.cli.wait", "wait"),
    "watch": ("xdsaudit.cli.watch", "watch"),
    "capture": ("xdsaudit.cli.capture", "capture"),
    "explain": ("xdsaudit.cli.explain", "explain"),
    "check": ("xdsaudit.cli.check", "check"),
    "compare": ("xdsaudit.cli.compare", "compare"),
    "status": ("xdsaudit.cli.status", "status"),
    "routes": ("xdsaudit.cli.routes", "routes"),
    "timeline": ("xdsaudit.cli.timeline", "timeline"),
    "merge": ("xdsaudit.cli.merge", "merge"),
    "demo": ("xdsaudit.cli.demo", "demo"),
}
_EPILOG = (
    "Start with: xdsaudit diff (the cluster of your kubeconfig), xdsaudit diff --snapshot PATH, or xdsaudit demo. "
    "Exit codes: 0 all in sync, 1 something is wrong, 2 wrong usage or unreadable input, 3 not everything could be read."
)


def _options() -> Iterator[click.Option]:
    from importlib import import_module

    for module, attribute in _COMMANDS.values():
        command: click.Command = getattr(import_module(module), attribute)
        yield from (p for p in command.params if isinstance(p, click.Option))


def every_option() -> tuple[str, ...]:
    """The long names of all commands' options, without dashes."""
    names = {name.lstrip("-") for option in _options() for name in option.opts}
    return tuple(sorted(name for name in names if len(name) > 1))


def choices_of(name: str) -> frozenset[str]:
    """The values that an option of this name accepts in any command."""
    mine = (o.type for o in _options() if f"--{name}" in o.opts)
    return frozenset(str(choice) for kind in mine if isinstance(kind, click.Choice) for choice in kind.choices)


class _Lazy(click.Group):
    """Imports a command when it is used, so that --help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            if not ctx.resilient_parsing:
                from xdsaudit.errors import did_you_mean

                hint = did_you_mean(name, _COMMANDS, " ").replace("did", "Did", 1)
                raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
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
@click.version_option(__version__, message=f"xdsaudit %(version)s ({TESTED})")
@click.pass_context
def cli(context: click.Context) -> None:
    """Name the Higress route that got lost between Ingress and Envoy, and the stage that lost it.

    Reads only: it never writes to a cluster, a control plane or an Envoy.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
