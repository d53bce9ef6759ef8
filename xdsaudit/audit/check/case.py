"""What every family of rules is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from xdsaudit.audit.causes.cause import Cause
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import Ingress, KubeObjects
from xdsaudit.model.verdict import Rule, Severity


class Remark(NamedTuple):
    """Something that is to be said of an Ingress, or of another object of the batch.

    Attributes:
        cause: what it is.
        rule: whose it is; without a path it is the Ingress as a whole.
        message: a sentence.
        severity: where it is not that of its code.
        resource: the annotation, or the object, that it is about.
        by: another rule that has to do with it.
    """

    cause: Cause
    rule: Rule
    message: str
    severity: Severity | None = None
    resource: str | None = None
    by: Rule | None = None


@dataclass(frozen=True)
class Case:
    """A batch in the world it is meant for.

    Attributes:
        mine: objects of the batch.
        objects: what there will be: the batch over what is live.
        live: what is applied already; None where it was not read.
        before: what must be served now.
        after: what must be served then.
        refs: the batch's Ingresses, ``namespace/name`` each.
    """

    mine: KubeObjects
    objects: KubeObjects
    live: KubeObjects | None
    before: Expectation
    after: Expectation
    refs: frozenset[str]

    @cached_property
    def ingresses(self) -> tuple[Ingress, ...]:
        """The batch's Ingresses that the controller takes."""
        taken = {plan.rule.ref for plan in self.after.plans if plan.selected}
        return tuple(ingress for ingress in self.mine.ingresses if ingress.ref in taken)


def whole(ingress: Ingress) -> Rule:
    """An Ingress as a whole."""
    return Rule(ingress.namespace, ingress.metadata.name, "", "", None)
