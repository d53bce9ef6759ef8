"""What translation says: a plan per rule, and the ordered routes every port and host must have."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple, NewType

from msgspec import Struct

from xdsaudit.ingress.policy import TrafficPolicy
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.protection import Unprotected
from xdsaudit.model.refusal import Refusal
from xdsaudit.model.route import Fields, MatchKey, Place
from xdsaudit.model.verdict import Rule

RuleIndex = NewType("RuleIndex", int)
"""The number of a rule: of its plan in an expectation (``Plans``), and of what is said of it elsewhere."""


class ExpectedRoute(NamedTuple):
    """A route that must be served.

    Attributes:
        key: as in a Route, and so are name, fields and cluster.
        name: the Ingress's route name.
        fields: what it must do.
        cluster: where it must go, None for anything but one cluster.
        rules: numbers of the rules that are in effect through it.
        uncertain: fields that what was read does not determine; they are not compared.
        generated: True for a route beside the rule's own (app-root, -fallback), which does not tell whether the rule is reached.
    """

    key: MatchKey
    name: str
    fields: Fields
    cluster: str | None
    rules: tuple[RuleIndex, ...]
    uncertain: frozenset[str] = frozenset()
    generated: bool = False


class RulePlan(Struct):
    """What is to become of one rule.

    Attributes:
        rule: as written.
        selected: False when class or namespace are not this gateway's.
        refusal: why the controller refuses it, or None.
        by: who won over it.
        unknown: why nothing can be said of it, or None.
        changed_at: newest time its Ingress may have changed (RFC 3339), or None.
    """

    rule: Rule
    selected: bool = True
    refusal: Refusal | None = None
    by: Rule | None = None
    unknown: str | None = None
    changed_at: str | None = None


class Plans:
    """Plans of rules by their numbers, in the order of their Ingresses; iterating gives the plans.

    Attributes:
        groups: the plans of each Ingress by number; of an Ingress whose part was kept, the same object as before. Its numbers
            follow one another, so that those of two Ingresses do not mix.
    """

    def __init__(self, *groups: Mapping[RuleIndex, RulePlan]) -> None:
        """Hold them; equal rules have numbers of their own."""
        self.groups: tuple[Mapping[RuleIndex, RulePlan], ...] = groups

    @cached_property
    def _by_first(self) -> list[tuple[RuleIndex, int]]:
        """The first number of each group with the group's place, sorted; made when one is asked for, since mostly none is."""
        return sorted((next(iter(group)), place) for place, group in enumerate(self.groups) if group)

    def group(self, index: RuleIndex) -> Mapping[RuleIndex, RulePlan]:
        """The plans of the Ingress that a rule is of, by the rule's number."""
        return self.groups[self._by_first[bisect_left(self._by_first, (index + 1,)) - 1][1]]

    def __getitem__(self, index: RuleIndex) -> RulePlan:
        return self.group(index)[index]

    def __iter__(self) -> Iterator[RulePlan]:
        return (plan for group in self.groups for plan in group.values())

    def __len__(self) -> int:
        return sum(map(len, self.groups))

    def numbered(self) -> Iterable[tuple[RuleIndex, RulePlan]]:
        """Each plan with its number."""
        return chain.from_iterable(group.items() for group in self.groups)


@dataclass(frozen=True)
class Expectation:
    """Everything translation says of one set of objects.

    Attributes:
        plans: every rule, in the order of its Ingress in the list.
        tables: expected routes by place, in first-match order.
        secrets: Secret (namespace, name) of each host that has TLS.
        crashes: namespace and name of each Ingress that stops the controller, and what of it does.
        profile: what it was computed for.
        meaningless: namespace and name of an Ingress, an annotation key that Higress does not read, and what to do.
        registered: hosts of registries that the McpBridge names one by one (static and dns).
        policies: what annotations ask of clusters, by the cluster's name.
        certificates: why the ConfigMap higress-https is void, or None.
        unprotected: what Ingresses ask for to keep somebody out, and do not get.
        open: places that may exist or not, since what decides it was not read; nothing in them is judged.
        unmodelled: rules of which nothing can be said.
    """

    plans: Plans
    tables: Mapping[Place, tuple[ExpectedRoute, ...]]
    secrets: Mapping[str, tuple[str, str]]
    profile: Profile
    crashes: tuple[tuple[str, str, str], ...] = ()
    open: frozenset[Place] = frozenset()
    meaningless: tuple[tuple[str, str, str, str], ...] = ()
    policies: Mapping[str, TrafficPolicy] = field(default_factory=dict)
    registered: frozenset[str] = frozenset()
    certificates: str | None = None
    unprotected: tuple[Unprotected, ...] = ()
    unmodelled: tuple[Rule, ...] = ()

    def covering(self, place: Place) -> tuple[Place, ...]:
        """Wildcard places whose routes HOST_RDS_MERGE_SUBSET appends to this one, most specific first."""
        port, host = place
        places = []
        rest = host.removeprefix("*.")
        while "." in rest:
            rest = rest.partition(".")[2]
            places.append((port, f"*.{rest}"))
        places.append((port, "*"))
        return tuple(p for p in places if p in self.tables and p != place)
