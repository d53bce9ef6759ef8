"""Manifests on their own: what they will become, without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xdsaudit.model.snapshot import Snapshot


def alone(options: Mapping[str, Any]) -> bool:
    """Whether manifests are the only source."""
    others = ("snapshot", "kubeconfig", "context", "ads", "core", "gateways")
    return bool(options["manifests"]) and not any(options[name] for name in others)


def snapshot_of_manifests(options: Mapping[str, Any]) -> Snapshot:
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
    return Snapshot(
        controller={"kind": "higress", **controller_of(dict(options))}, kube=given.lists, origins=given.origins
    )
