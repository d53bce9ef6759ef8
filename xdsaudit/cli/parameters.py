"""The names and types of shared options, one class for each set that ``options`` declares."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from xdsaudit.collect.arguments import PlainArguments


class ControllerOptions(TypedDict):
    """Options about the controller; None if not given."""

    controller_version: str | None
    system_namespace: str | None
    ingress_class: str | None
    watch_namespace: str | None
    domain_suffix: str | None
    scoped_rds: bool | None
    on_demand_rds: bool | None
    merge_subset: bool | None
    http_port: int | None
    https_port: int | None


class Options(ControllerOptions, PlainArguments):
    """What nearly every command is given: sources, how to read pilots, where pods are, and the controller."""

    snapshot: str | None
    manifests: tuple[str, ...]
    ads: tuple[str, ...]
    ads_debug: tuple[str, ...]
    core: tuple[str, ...]
    gateways: tuple[str, ...]
    node_labels: tuple[str, ...]
    probe_cache: bool | None


class ScopeOptions(TypedDict):
    """The Ingresses that are asked about."""

    namespaces: tuple[str, ...]
    all_namespaces: bool
    selector: str
    ingresses: tuple[str, ...]


class JudgeOptions(TypedDict):
    """What counts, and what is left out."""

    grace: float | None
    fail_on: str | None
    only: tuple[str, ...]
    skip: tuple[str, ...]
    baseline: Path | None
