"""Canary Ingresses: header canaries become routes before their base, weight canaries another destination of it.

higress@v2.0.1 pkg/ingress/kube/annotations/canary.go and ingressv1/controller.go ApplyCanaryIngress.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xdsaudit.ingress.annotations import boolean, integer, look, text
from xdsaudit.ingress.effects import Annotations, header_control
from xdsaudit.ingress.go import int32
from xdsaudit.ingress.http_route import Destination, HeaderOps, Work, appended
from xdsaudit.model.route import HeaderMatch

if TYPE_CHECKING:
    from xdsaudit.ingress.expectation import RuleIndex

Ops = tuple[HeaderOps | None, HeaderOps | None]
"""Header operations of requests and of responses."""


@dataclass(frozen=True)
class Canary:
    """How a canary Ingress picks its requests: by one header condition, or by weight."""

    condition: HeaderMatch | None
    weight: int
    total: int


def is_canary(annotations: Annotations) -> bool:
    """Whether the Ingress is a canary: only a true Go boolean counts."""
    return bool(look(annotations, "canary", boolean))


def parse(annotations: Annotations) -> Canary:
    """The canary's kind; a header beats a cookie, and either beats a weight.

    The first of value, pattern and cookie that is written ends the reading (higress@v2.0.1 pkg/ingress/kube/annotations/canary.go
    Parse): a cookie after a value without a header makes a weight canary of weight 0.
    """
    header = look(annotations, "canary-by-header", text)
    value = look(annotations, "canary-by-header-value", text)
    pattern = look(annotations, "canary-by-header-pattern", text) if value is None else None
    cookie = look(annotations, "canary-by-cookie", text) if value is None and pattern is None else None
    weight, total = 0, 100
    if value is None and pattern is None and cookie is None:
        weight = look(annotations, "canary-weight", integer) or 0
        written = look(annotations, "canary-weight-total", integer)
        total = written if written is not None and written > 0 else 100
    condition = None
    if header is not None:
        if value is not None:
            condition = HeaderMatch(header, "regex", f"always|{value}")
        elif pattern is not None:
            condition = HeaderMatch(header, "regex", f".*{pattern}.*")
        else:
            condition = HeaderMatch(header, "exact", "always")
    elif cookie is not None:
        condition = HeaderMatch("cookie", "regex", f"^(.*?;\\s*)?({cookie}=always)(;.*)?$")
    return Canary(condition, weight, total)


def by_header(
    base: Work,
    canary: Canary,
    name: str,
    rules: tuple[RuleIndex, ...],
    destinations: Sequence[Destination],
    annotations: Annotations,
) -> Work:
    """The route of a header canary: a copy of its base with the canary's name, condition, destination and header control.

    higress@v2.0.1 pkg/ingress/kube/annotations/canary.go ApplyByHeader.
    """
    route = copy.deepcopy(base)
    route.name, route.rules, route.weight_total, route.fallback = name, rules, 0, None
    route.destinations = copy.deepcopy(destinations)
    assert canary.condition is not None
    route.headers = [canary.condition]
    header_control(route, annotations)
    if base.destinations and route.destinations:
        route.destinations[0].fallbacks += _behind(base.destinations[0])
    return route


def by_weight(base: Work, canary: Canary, rules: tuple[RuleIndex, ...], destination: Destination, own: Ops) -> None:
    """Add a weight canary to its base: one more destination with the canary's own header operations.

    The base's operations move to its destination, where it has exactly one. Objects are shared as in Higress: a canary whose
    ``destination`` serves several paths has one destination object for all of them.
    higress@v2.0.1 pkg/ingress/kube/annotations/canary.go ApplyByWeight.
    """
    first = base.destinations[0]
    base.weight_total = base.weight_total or int32(
        canary.total
    )  # a base's own destination annotation has set it already
    if len(base.destinations) == 1:
        first.request, first.response = base.request, base.response
        base.request = base.response = None
    destination.weight = int32(canary.weight)
    destination.request, destination.response = own
    destination.fallbacks = _behind(first)
    base.destinations = appended(base.destinations, destination)
    base.rules += rules


def _behind(first: Destination) -> tuple[tuple[str, int | None, str], ...]:
    return (first.host, first.port, first.subset), *first.fallbacks
