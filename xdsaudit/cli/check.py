"""``xdsaudit check``: a batch before it is applied."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from xdsaudit.cli.options import (
    GroupedCommand,
    fail_on_of,
    judge_options,
    output_options,
    profile_options,
    source_options,
    sources_of,
    xds_options,
)
from xdsaudit.cli.output import clear_progress, progress, say, show
from xdsaudit.errors import InputError


@click.command(cls=GroupedCommand, short_help="A batch before it is applied: duplicates, ports, secrets, crash keys.")
@source_options
@judge_options
@output_options
@xds_options
@profile_options
def check(output: str, reports: tuple[str, ...], **options: Any) -> int:
    """Say what applying the manifests of -f would do: which rules would be refused, rejected by Envoy or never reached, which
    live rules they would put out of effect, which Services, ports and Secrets are missing, and what would stop the controller.

    What is live comes from the cluster, or from --snapshot; without either, only the batch itself is checked.

    \b
    xdsaudit check -f batch/ --snapshot incident.tar.gz
    """  # noqa: D205, D301 - click reads \b as "do not wrap"
    from xdsaudit.audit.questions.precheck import Batch
    from xdsaudit.audit.questions.precheck import check as judge
    from xdsaudit.audit.questions.suppress import by_code
    from xdsaudit.cli.options import codes_of, controller_of
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
    live, extensions, controller = None, None, controller_of(options)
    if options["snapshot"]:
        from xdsaudit.audit.case import abilities
        from xdsaudit.collect.connect import snapshot_of

        snapshot, _ = snapshot_of(replace(sources_of(options), manifests=()), progress())
        clear_progress()
        live, _ = read_objects(snapshot.kube)
        extensions, controller = abilities(snapshot), dict(snapshot.controller)
    else:
        live, controller = cluster_of(options, controller)
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    result = judge(
        Batch(mine, given.origins, given.order, now, given.complaints),
        live,
        profile_of(controller),
        extensions=extensions,
    )
    result = by_code(result, only=codes_of("only", options["only"]), skip=codes_of("skip", options["skip"]))
    show(result, output, reports)
    return result.exit_code(fail_on)


def cluster_of(options: dict[str, Any], controller: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What is live in the cluster and its controller's options; nothing where no cluster is configured."""
    from xdsaudit.collect.cluster import lists
    from xdsaudit.collect.connect import where_of
    from xdsaudit.collect.discovery import discover
    from xdsaudit.collect.kubeconfig import connect
    from xdsaudit.ingress.objects import read_objects

    try:
        api = connect(
            options["kubeconfig"], options["context"], timeout=options["timeout"], max_bytes=options["max_bytes"]
        )
        api = api.bounded()
    except InputError:
        if options["kubeconfig"] or options["context"]:
            raise
        return None, controller
    found = discover(api, where_of(sources_of(options)))
    kube, complaints = lists(api, found.namespace)
    for complaint in complaints:
        say(f"xdsaudit: {complaint}")
    return (read_objects(kube)[0] if "ingresses" in kube else None), {**found.controller, **controller}
