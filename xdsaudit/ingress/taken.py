"""An Ingress that the controller takes, with what its annotations say, worked out once.

A value for the passes of translation; must not know hosts, routes or other Ingresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xdsaudit.ingress import canary as canaries
from xdsaudit.ingress.annotations import relevant
from xdsaudit.ingress.backends import parse_destinations
from xdsaudit.ingress.expectation import RuleIndex
from xdsaudit.ingress.http_route import Shared
from xdsaudit.ingress.objects import Ingress, IngressRule, Path
from xdsaudit.ingress.paths import Conditions, conditions_of
from xdsaudit.ingress.profile import Profile


@dataclass(frozen=True, eq=False)
class Taken:
    """One Ingress on its way through the passes.

    Attributes:
        ingress: as written.
        name: of its routes: with the namespace, unless that is the system namespace.
        annotations: those that can mean anything to Higress.
        indices: index of the plan of each path, by the numbers of its rule and of itself.
        default_index: index of the plan of its defaultBackend, None without one.
        destinations: of ``higress.io/destination``, shared by all its paths; None when absent or bad.
        conditions: the part of a rule's key that annotations make.
    """

    ingress: Ingress
    name: str
    annotations: dict[str, str]
    indices: Mapping[tuple[int, int], RuleIndex]
    default_index: RuleIndex | None
    destinations: Shared | None
    conditions: Conditions

    @property
    def canary(self) -> bool:
        """Whether it is a canary."""
        return canaries.is_canary(self.annotations)

    @property
    def age(self) -> tuple[str, str]:
        """What Ingresses are sorted by: creation, then name and namespace."""
        return age_of(self.ingress)

    def rules(self) -> Iterator[tuple[str, IngressRule, list[tuple[RuleIndex, Path]]]]:
        """Host, rule and paths with the indices of their plans."""
        for r, rule in enumerate(self.ingress.spec.rules or ()):
            paths = (rule.http.paths if rule.http else None) or []
            yield rule.host or "*", rule, [(self.indices[r, p], path) for p, path in enumerate(paths)]


def age_of(ingress: Ingress) -> tuple[str, str]:
    """What Ingresses are sorted by: creation, then name and namespace."""
    meta = ingress.metadata
    return meta.creationTimestamp or "", f"{meta.name}.{ingress.namespace}"


def taken(
    ingress: Ingress, indices: Mapping[tuple[int, int], RuleIndex], default_index: RuleIndex | None, profile: Profile
) -> Taken:
    """Work out what the annotations of an Ingress say."""
    annotations = relevant(ingress.annotations, profile.version)
    name = ingress.metadata.name
    return Taken(
        ingress,
        name if ingress.namespace == profile.system_namespace else f"{ingress.namespace}/{name}",
        annotations,
        indices,
        default_index,
        parse_destinations(annotations),
        conditions_of(annotations),
    )
