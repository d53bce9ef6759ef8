"""All families of rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from xdsaudit.audit.check.case import Case, Remark
from xdsaudit.audit.check.references import references
from xdsaudit.audit.check.refusals import hurt, near_services, refusals, short_hosts
from xdsaudit.audit.check.results import results
from xdsaudit.audit.check.security import security
from xdsaudit.audit.check.values import values

FAMILIES: Final[tuple[Callable[[Case], Iterator[Remark]], ...]] = (
    security,
    refusals,
    hurt,
    short_hosts,
    near_services,
    values,
    results,
    references,
)


def remarks(case: Case) -> Iterator[Remark]:
    """Everything the families say of a batch."""
    for family in FAMILIES:
        yield from family(case)
