"""Manifests on their own: what they will become, without a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdsaudit.cli.parameters import Options

if TYPE_CHECKING:
    from xdsaudit.model.snapshot import Snapshot


def alone(options: Options) -> bool:
    """Whether manifests are the only source."""
    named = options["snapshot"] or options["ads"] or options["core"] or options["gateways"]
    return bool(options["manifests"]) and not (named or options["kubeconfig"] or options["context"])


def snapshot_of_manifests(options: Options) -> Snapshot:
    """A snapshot of nothing but the -f manifests; complaints about them go to stderr.

    Raises:
        InputError: they contain no readable Ingress.
    """
    from xdsaudit.cli.options import controller_of
    from xdsaudit.cli.output import say
    from xdsaudit.collect.manifests import read_manifests
    from xdsaudit.model.snapshot import Snapshot

    given = read_manifests(options["manifests"])
    for complaint in given.complaints:
        say(f"xdsaudit: {complaint}")
    return Snapshot(controller={"kind": "higress", **controller_of(options)}, kube=given.lists, origins=given.origins)
