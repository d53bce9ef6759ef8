"""What is to be said of the annotations of an Ingress that is applied already: the same as before it was applied."""

from __future__ import annotations

from dataclasses import replace

from xdsaudit.audit.case import World
from xdsaudit.audit.check.case import Case
from xdsaudit.audit.check.results import results
from xdsaudit.audit.check.security import security
from xdsaudit.audit.check.values import values


def asides(world: World, ref: str) -> tuple[str, ...]:
    """Values without effect, what breaks requests, protection that does not apply, in sentences that begin with a code."""
    mine = tuple(i for i in world.objects.ingresses if i.ref == ref)
    one = replace(world.objects, ingresses=mine)
    case = Case(one, world.objects, world.objects, world.expectation, world.expectation, frozenset({ref}))
    remarks = [*security(case), *values(case), *results(case)]
    said = (f"{r.cause.code} {r.cause.slug}: {r.message.removeprefix(f'{ref}: ')}" for r in remarks)
    return tuple(dict.fromkeys(said))
