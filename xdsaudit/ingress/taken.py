"""An Ingress that the controller takes, with what its annotations say, worked out once.

A value for the passes of translation; must not know hosts, routes or other Ingresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from xdsaudit.ingress import canary as canaries
from xdsaudit.ingress.annotations import crash_keys, has, look, text
from xdsaudit.ingress.effects import Effects
from xdsaudit.ingress.expectation import RuleIndex
from xdsaudit.ingress.http_route import Shared
from xdsaudit.ingress.objects import Ingress, IngressRule, Path
from xdsaudit.ingress.paths import Conditions, conditions_of
from xdsaudit.ingress.policy import TrafficPolicy, traffic_policy
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.with_services import NEED_SERVICES

Rules = list[tuple[str, IngressRule, list[tuple[RuleIndex, Path]]]]
"""Host, rule and paths of each rule of an Ingress, the paths with the numbers of their plans."""


@dataclass(frozen=True, eq=False)
class Notes:
    """What annotations say, whichever Ingress carries them.

    Attributes:
        annotations: those that can mean anything to Higress.
        effects: what they do to each route.
        canary: whether they make a canary.
        conditions: the part of a rule's key that they make.
        app_root: where the root of the host is to lead, or None.
        serviced: whether what they do depends on Services.
        crashing: keys that stop the controller when a path is converted.
        policy: what they ask for the connections to backends, or None.
    """

    annotations: dict[str, str]
    effects: Effects
    canary: bool
    conditions: Conditions
    app_root: str | None
    serviced: bool
    crashing: tuple[str, ...]
    policy: TrafficPolicy | None


def notes_of(annotations: dict[str, str], profile: Profile) -> Notes:
    """Work out what annotations say to this controller."""
    return Notes(
        annotations,
        Effects(annotations),
        canaries.is_canary(annotations),
        conditions_of(annotations),
        look(annotations, "app-root", text),
        has(annotations, *NEED_SERVICES),
        crash_keys(annotations),
        traffic_policy(annotations, profile) if annotations else None,
    )


class Taken(NamedTuple):
    """One Ingress on its way through the passes.

    Attributes:
        ingress: as written.
        name: of its routes: with the namespace, unless that is the system namespace.
        notes: what its annotations say.
        rules: its rules, numbered.
        default_index: index of the plan of its defaultBackend, None without one.
        destinations: of ``higress.io/destination``, shared by all its paths; None when absent or bad.
        age: what Ingresses are sorted by.
    """

    ingress: Ingress
    name: str
    notes: Notes
    rules: Rules
    default_index: RuleIndex | None
    destinations: Shared | None
    age: tuple[str, str]

    @property
    def annotations(self) -> dict[str, str]:
        """Those that can mean anything to Higress."""
        return self.notes.annotations


def age_of(ingress: Ingress) -> tuple[str, str]:
    """What Ingresses are sorted by: creation, then name and namespace."""
    meta = ingress.metadata
    return meta.creationTimestamp or "", f"{meta.name}.{ingress.namespace}"
