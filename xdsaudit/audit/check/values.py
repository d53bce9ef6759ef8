"""Annotations whose value has no effect, and annotations on objects that nobody reads them from."""

from __future__ import annotations

from collections.abc import Iterator

from xdsaudit.audit.causes import written
from xdsaudit.audit.check.case import Case, Remark, whole
from xdsaudit.ingress.values import void


def values(case: Case) -> Iterator[Remark]:
    """Values that Higress gives up on, with the reason of its parser."""
    for ingress in case.ingresses:
        rule = whole(ingress)
        for each in void(ingress.annotations, case.after.profile):
            yield Remark(written.VALUE_WITHOUT_EFFECT, rule, f"{rule.ref}: {each}", resource=each.key.partition(",")[0])
