"""``xdsaudit compare``: what changes for clients between two sets of Ingresses, two versions, or before and after a batch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from xdsaudit.cli.options import GroupedCommand, controller_of, files, profile_options, source_options, xds_options
from xdsaudit.cli.output import clear_progress, emit, progress
from xdsaudit.cli.parameters import Options
from xdsaudit.errors import InputError
from xdsaudit.model.plain import Plain

if TYPE_CHECKING:
    from xdsaudit.audit.compare.comparison import Comparison
    from xdsaudit.ingress.objects import KubeObjects

_ARCHIVES = (".tar.gz", ".tar.xz", ".tgz", ".zip", ".tar")


@click.command(
    cls=GroupedCommand, short_help="What changes for clients between two sets of Ingresses, or two versions."
)
@click.argument("places", nargs=-1, metavar="[BEFORE [AFTER]]", shell_complete=files)
@click.option("--to", "to_version", metavar="VERSION", help="Controller version afterwards: what an upgrade changes.")
@click.option(
    "--served",
    is_flag=True,
    help="Compare what the gateways hold in two snapshots (the pilots, if no gateway was read).",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Format of the result.")
@source_options
@xds_options
@profile_options
def compare(
    places: tuple[str, ...], output: str, to_version: str | None, served: bool, **options: Unpack[Options]
) -> int:
    """Show which requests are answered differently, with an example of each kind, and whether anything else changes.

    BEFORE and AFTER are snapshots, or folders or files of manifests. With only one of them, --to is the version of an upgrade, and
    -f a batch on top; with neither, BEFORE is what is live. Both sides are translated as Higress would, and every reported
    request was looked up on both.

    \b
    xdsaudit compare main/ feature/
    xdsaudit compare incident.tar.gz -f batch/
    xdsaudit compare monday.tar.gz friday.tar.gz --served
    xdsaudit compare k8s/ --controller-version 2.0.7 --to 2.2.1
    """  # noqa: D301 - click reads \b as "do not wrap"
    from xdsaudit.audit.compare.comparison import compare_objects
    from xdsaudit.ingress.profile import parse_version, profile_of

    batch = tuple(options["manifests"])
    if len(places) > 2 or (len(places) == 2 and (batch or to_version)):
        raise InputError("compare takes BEFORE and AFTER, or one of them with -f BATCH or --to VERSION")
    if len(places) < 2 and not batch and not to_version:
        raise InputError("nothing to compare with: give BEFORE and AFTER, a batch with -f PATH, or a version with --to")
    if to_version is not None and parse_version(to_version) is None:
        raise InputError(f"--to {to_version!r}: is not a version; write one like 2.2.1")
    given = controller_of(options)
    if served:
        if len(places) != 2:
            raise InputError("--served compares two snapshots: give BEFORE and AFTER")
        return _said(_served(*places), output)
    first = places[0] if places else options["snapshot"]
    if first:
        before, controller = _side(first)
    else:
        before, controller = _live(options, given)
    controller = {**controller, **given}
    after = before
    if len(places) == 2:
        after, other = _side(places[1])
        after = _aged(before, after)
        to_version = to_version or (str(other["version"]) if other.get("version") and "version" not in given else None)
    if batch:
        after = _with_batch(before, batch)
    to = profile_of({**controller, "version": to_version}) if to_version else None
    return _said(compare_objects(before, after, profile_of(controller), to), output)


def _said(comparison: Comparison, output: str) -> int:
    from xdsaudit.report.comparison import comparison_json, comparison_text

    emit(
        lambda width, color: comparison_text(comparison, width=width, color=color),
        comparison_json(comparison) if output == "json" else None,
    )
    if not comparison.same:
        return 1
    return 0 if comparison.proven else 3


def _served(*places: str) -> Comparison:
    """Compare what the first gateway holds in two snapshots, or the first pilot."""
    from xdsaudit.audit.case import build
    from xdsaudit.audit.compare.comparison import of_views
    from xdsaudit.audit.memory import Memory
    from xdsaudit.collect.snapshot import load

    views = []
    for place in places:
        world = build(load(place), Memory(lasting=False))
        serving = world.serving
        if not serving:
            raise InputError(f"{place}: neither a gateway nor a pilot could be read from it; leave out --served")
        views.append(serving[0].view)
    return of_views(views[0], views[1], world.expectation.profile)


def _side(place: str) -> tuple[KubeObjects, dict[str, Plain]]:
    """The objects of a snapshot or of manifests, and what a snapshot says about its controller."""
    from xdsaudit.collect.manifests import read_whole
    from xdsaudit.collect.snapshot import load
    from xdsaudit.ingress.objects import read_objects

    path = Path(place)
    if place.endswith(_ARCHIVES) or (path / "snapshot.json").exists():
        snapshot = load(place)
        return read_objects(snapshot.kube)[0], dict(snapshot.controller)
    return read_objects(read_whole([place]).lists)[0], {}


def _live(options: Options, controller: dict[str, Plain]) -> tuple[KubeObjects, dict[str, Plain]]:
    from xdsaudit.cli.check import cluster_of

    progress()("reading the cluster")
    live, higress = cluster_of(options, controller)
    clear_progress()
    if live is None:
        raise InputError("no cluster to compare with: give BEFORE as a snapshot or a folder of manifests")
    return live, higress


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _with_batch(before: KubeObjects, places: tuple[str, ...]) -> KubeObjects:
    from xdsaudit.audit.questions.precheck import Batch, merged
    from xdsaudit.collect.manifests import read_whole
    from xdsaudit.ingress.objects import read_objects

    given = read_whole(places)
    return merged(Batch(read_objects(given.lists)[0], given.origins, given.order, _now()), before)


def _aged(before: KubeObjects, after: KubeObjects) -> KubeObjects:
    """The objects after, where one has no age with its age before; a new object would be created now."""
    import msgspec

    created_before = {(i.namespace, i.metadata.name): i.metadata.creationTimestamp for i in before.ingresses}
    aged = []
    for ingress in after.ingresses:
        created = ingress.metadata.creationTimestamp or created_before.get(
            (ingress.namespace, ingress.metadata.name), _now()
        )
        meta = msgspec.structs.replace(ingress.metadata, creationTimestamp=created)
        aged.append(msgspec.structs.replace(ingress, metadata=meta))
    return replace(after, ingresses=tuple(aged))
