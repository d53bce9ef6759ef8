"""Findings: what is wrong beside single rules, as the families of causes say it. A healthy gateway gives none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xdsaudit.audit.case import World
from xdsaudit.audit.causes import auditor, delivery, protection, rejection, replicas, translation, written
from xdsaudit.audit.stage import Rejection
from xdsaudit.model.verdict import Finding, RuleVerdict


def findings(world: World, rejected: Mapping[str | None, Rejection], rules: Sequence[RuleVerdict]) -> Iterator[Finding]:
    """All findings, in the order in which they are read."""
    yield from translation.findings(world)
    yield from written.findings(world)
    yield from protection.findings(world)
    yield from delivery.findings(world, rejected)
    yield from auditor.foreign(world)
    yield from rejection.findings(world, rejected)
    yield from replicas.findings(world, rules)
    yield from auditor.unserved(world)
