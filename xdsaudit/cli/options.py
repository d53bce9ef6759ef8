"""Options shared by commands, in the groups that help shows, and the values they become."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xdsaudit.cli import offers
from xdsaudit.cli.parameters import ControllerOptions, Options
from xdsaudit.cli.values import Seconds, size_of
from xdsaudit.errors import InputError
from xdsaudit.model.plain import Plain
from xdsaudit.report import FORMATS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from xdsaudit.collect.connect import SourceOptions

CommandFunction = Callable[..., int]
"""What a command runs; it returns the exit code."""
Decorator = Callable[[CommandFunction], CommandFunction]
_EXISTING = click.Path(path_type=Path)


def files(_: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """File names, completed by the shell, for options that accept more than a file."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


class GroupedCommand(click.Command):
    """A command whose help lists options in the groups they were declared in."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Apply the defaults of the configuration file and the environment."""
        from xdsaudit.cli.config import defaults

        if not {"--help", "-h"} & {*args}:
            extra.setdefault("default_map", defaults(self, self.name or "", os.environ, Path.cwd()))
        return super().make_context(info_name, args, parent, **extra)

    def get_help_option_names(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """Accept -h in any context, with the group or without: click makes the option once and keeps it."""
        return ["-h", "--help"]

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, with libraries' log lines kept off the terminal; where a snapshot is read, no library is used that logs."""
        if not ctx.params.get("snapshot"):
            from xdsaudit.cli.process import quiet_libraries

            quiet_libraries()
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per group."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                own = "Output" if parameter.is_eager or parameter.name == "output" else (self.name or "").capitalize()
                groups.setdefault(_GROUPS.get(parameter, own), []).append(row)
        for name, rows in groups.items():
            with formatter.section(name):
                formatter.write_dl(rows)


_GROUPS: dict[click.Parameter, str] = {}


def _stack(group: str, *options: Decorator) -> Decorator:
    def wrap(command: CommandFunction) -> CommandFunction:
        for option in reversed(options):
            command = option(command)
            _GROUPS[command.__click_params__[-1]] = group  # type: ignore[attr-defined]
        return command

    return wrap


_live_options: Decorator = _stack(
    "Sources",
    click.option(
        "--kubeconfig",
        metavar="FILE",
        shell_complete=files,
        help="kubeconfig of the cluster (default: KUBECONFIG, ~/.kube/config).",
    ),
    click.option(
        "--context",
        metavar="NAME",
        shell_complete=offers.contexts,
        help="Context of the kubeconfig (default: the current one).",
    ),
    click.option(
        "-f",
        "--filename",
        "manifests",
        multiple=True,
        metavar="PATH",
        shell_complete=files,
        help="Manifests with the Ingresses, Services and so on: file, folder or - (repeatable). Without --ads and --gateway "
        "they select Ingresses of the cluster.",
    ),
    click.option("--ads", multiple=True, metavar="HOST:PORT", help="Pilot's ADS port, 15010 or 15012 (repeatable)."),
    click.option(
        "--ads-debug",
        multiple=True,
        metavar="URL",
        help="Pilot's debug port (http://HOST:15014), one per --ads, in order: lists the connected proxies.",
    ),
    click.option("--core", multiple=True, metavar="HOST:PORT", help="higress-core's MCP port, 15051 (repeatable)."),
    click.option(
        "--gateway",
        "gateways",
        multiple=True,
        metavar="URL|FILE",
        shell_complete=files,
        help="A gateway's admin port (http://HOST:15000) or its saved config dump (repeatable).",
    ),
)
_snapshot_option: Decorator = _stack(
    "Sources",
    click.option(
        "--snapshot",
        metavar="PATH",
        shell_complete=files,
        help="Read a snapshot: a directory, .tar.gz, .tar.xz or .zip.",
    ),
)
_no_snapshot: Decorator = _stack("Sources", click.option("--snapshot", hidden=True, metavar="PATH"))


def source_options(command: CommandFunction) -> CommandFunction:
    """Options for sources: a snapshot, a cluster or named endpoints."""
    return _snapshot_option(_live_options(command))


def live_source_options(command: CommandFunction) -> CommandFunction:
    """The same for commands that follow live sources and reject a snapshot with an explanation."""
    return _no_snapshot(_live_options(command))


_reading_options: Decorator = _stack(
    "Reading pilot",
    click.option(
        "--probe-cache/--no-probe-cache",
        default=None,
        help="Also read pilot through a private cache line, to tell its cache from its generation (default: diff does so once if "
        "a rule is missing from pilot).",
    ),
    click.option(
        "--node-from",
        metavar="GATEWAY",
        help="Present this gateway's node identity to pilot (admin URL or config dump; default: the first --gateway).",
    ),
    click.option("--node-id", metavar="ID", help="Node id to present to pilot (router~IP~POD.NS~DOMAIN)."),
    click.option(
        "--node-label",
        "node_labels",
        multiple=True,
        metavar="KEY=VALUE",
        help="Label of the node (repeatable; default higress=higress-system-higress-gateway).",
    ),
    click.option(
        "--istio-version",
        metavar="TEXT",
        help="ISTIO_VERSION of the node (default 1.19.5); selects pilot's cache line.",
    ),
    click.option("--ads-tls", is_flag=True, help="Connect to pilot with verified TLS."),
    click.option("--ca", type=_EXISTING, metavar="FILE", help="CA certificates to verify pilot's certificate with."),
    click.option("--cert", type=_EXISTING, metavar="FILE", help="Client certificate."),
    click.option("--key", type=_EXISTING, metavar="FILE", help="Key of the client certificate."),
    click.option("--token-file", type=_EXISTING, metavar="FILE", help="File with a bearer token."),
    click.option(
        "--mint-token",
        metavar="SERVICEACCOUNT",
        help="Request a token of this ServiceAccount for TLS to pilot (TokenRequest, audience istio-ca).",
    ),
    click.option(
        "--tls-server-name", metavar="NAME", help="Name in pilot's certificate, if it is not the host of --ads."
    ),
    click.option(
        "--timeout",
        type=Seconds(0.1),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="Deadline for each source, retries included.",
    ),
    click.option(
        "--max-bytes",
        callback=size_of,
        default="512Mi",
        show_default=True,
        metavar="BYTES",
        help="Most bytes to read from each source: a number, or one with Ki, Mi or Gi.",
    ),
)
cluster_options: Decorator = _stack(
    "Cluster (where to find Higress's pods, if not where its chart puts them)",
    click.option(
        "--controller", "controller_name", metavar="NAME", help="The controller's Deployment, if several run."
    ),
    click.option(
        "--controller-selector",
        default="app=higress-controller",
        metavar="LABELS",
        help="Labels of the controller's pods.",
    ),
    click.option(
        "--gateway-selector", default="app=higress-gateway", metavar="LABELS", help="Labels of the gateway's pods."
    ),
    click.option("--gateway-namespace", metavar="NS", help="Namespace of the gateway (default: the controller's)."),
    click.option("--no-gateway", is_flag=True, help="Accept that there is no gateway to read."),
    click.option("--no-secrets", is_flag=True, help="Do not list Secrets, and accept not knowing whether they exist."),
    click.option(
        "--pilot-port", type=click.IntRange(1, 65535), help="Pilot's ADS port (default 15010, with TLS 15012)."
    ),
    click.option(
        "--pilot-debug-port", type=click.IntRange(1, 65535), default=15014, help="Port of pilot's debug pages."
    ),
    click.option("--core-port", type=click.IntRange(1, 65535), default=15051, help="Core's MCP port."),
    click.option("--admin-port", type=click.IntRange(1, 65535), default=15000, help="Envoy's admin port."),
)


def xds_options(command: CommandFunction) -> CommandFunction:
    """Options for reading pilots and finding pods."""
    return _reading_options(cluster_options(command))


profile_options: Decorator = _stack(
    "Controller (default: found or assumed; the output says which)",
    click.option(
        "--controller-version",
        metavar="VERSION",
        help="Higress version (default: the snapshot's, otherwise 2.0.1).",
    ),
    click.option("--system-namespace", metavar="NS", help="Namespace of the controller (default higress-system)."),
    click.option("--ingress-class", metavar="CLASS", help="IngressClass the controller accepts ('' for all)."),
    click.option("--watch-namespace", metavar="NS", help="The only namespace the controller watches."),
    click.option("--domain-suffix", metavar="DOMAIN", help="Cluster domain (default cluster.local)."),
    click.option(
        "--scoped-rds/--no-scoped-rds",
        default=None,
        help="Whether pilot serves a table per host (default: as observed).",
    ),
    click.option("--on-demand-rds", is_flag=True, default=None, help="Whether gateways ask for tables on demand."),
    click.option("--merge-subset", is_flag=True, default=None, help="HOST_RDS_MERGE_SUBSET is on."),
    click.option("--http-port", type=click.IntRange(1, 65535), help="HTTP port of the gateway (default 80)."),
    click.option("--https-port", type=click.IntRange(1, 65535), help="HTTPS port of the gateway (default 443)."),
)
scope_options: Decorator = _stack(
    "Scope",
    click.option(
        "-n",
        "--namespace",
        "namespaces",
        multiple=True,
        metavar="NS",
        help="Only Ingresses of this namespace (repeatable).",
    ),
    click.option("-A", "--all-namespaces", is_flag=True, help="Ingresses of all namespaces (the default)."),
    click.option("-l", "--selector", default="", metavar="SELECTOR", help="Only Ingresses with these labels."),
    click.argument("ingresses", nargs=-1, metavar="[NS/INGRESS]..."),
)
judge_options: Decorator = _stack(
    "Judging",
    click.option(
        "--grace",
        type=Seconds(),
        metavar="SECONDS",
        help="A missing rule younger than this is pending, not lost (default 15 live, 0 for a snapshot).",
    ),
    click.option(
        "--fail-on",
        shell_complete=offers.words,
        metavar="LIST",
        help="Verdicts and severities that exit with 1, comma-separated (default lost,changed,refused,shadowed,no_upstream,extra,error; "
        "also pending, unknown, dormant, not_selected, warning, info).",
    ),
    click.option(
        "--only",
        multiple=True,
        shell_complete=offers.codes,
        metavar="CODE",
        help="Only these codes (repeatable or comma-separated; XA4 means all codes that start with it).",
    ),
    click.option(
        "--skip",
        multiple=True,
        shell_complete=offers.codes,
        metavar="CODE",
        help="Leave out these codes (repeatable or comma-separated; XA4 means all codes that start with it).",
    ),
    click.option(
        "--baseline",
        type=_EXISTING,
        metavar="FILE",
        help="Leave out what this earlier -o json output already reported.",
    ),
)

output_options: Decorator = _stack(
    "Output",
    click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="Format of the result.",
    ),
    click.option(
        "--report",
        "reports",
        multiple=True,
        shell_complete=offers.reports,
        metavar="FORMAT=FILE",
        help="Also write the result to a file (repeatable).",
    ),
)


def controller_of(options: ControllerOptions) -> dict[str, Plain]:
    """What the profile options say about the controller, under the snapshot's names.

    Raises:
        InputError: the version is not valid.
    """
    from xdsaudit.ingress.profile import parse_version

    version = options["controller_version"]
    if version is not None and parse_version(version) is None:
        raise InputError(f"--controller-version {version!r}: is not a version; write it as 2.0.1")
    settings = {
        "version": version,
        "system_namespace": options["system_namespace"],
        "ingress_class": options["ingress_class"],
        "watch_namespace": options["watch_namespace"],
        "domain_suffix": options["domain_suffix"],
        "scoped_rds": options["scoped_rds"],
        "on_demand_rds": options["on_demand_rds"],
        "host_rds_merge_subset": options["merge_subset"],
        "http_port": options["http_port"],
        "https_port": options["https_port"],
    }
    return {name: value for name, value in settings.items() if value is not None}


def sources_of(options: Options) -> SourceOptions:
    """The source, reading and profile options as one value.

    Raises:
        InputError: the controller version is not valid.
    """
    from dataclasses import fields

    from xdsaudit.collect.connect import SourceOptions

    given: Mapping[str, object] = options
    chosen = {f.name: given[f.name] for f in fields(SourceOptions) if f.name in given}
    settings = {"probe_cache": bool(options["probe_cache"]), "controller": controller_of(options)}
    return SourceOptions.of({**chosen, **settings})
