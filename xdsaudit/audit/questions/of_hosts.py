"""One request judged by what concerns its host alone, where that gives the answer that the whole audit would give.

A rule that is in sync, refused or another class's is so by its own tables and Ingresses. What is lost or changed may have its cause
elsewhere, as an Envoy's refusal has, and what no rule is for is compared with all rules: then nothing is said here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from xdsaudit.audit.case import World
from xdsaudit.audit.questions.explain import Explanation
from xdsaudit.audit.requests.request import Request
from xdsaudit.audit.requests.routing import candidates
from xdsaudit.audit.verdicts import judged
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import Audit, Verdict

_OWN: Final = frozenset({Verdict.IN_SYNC, Verdict.REFUSED, Verdict.NOT_SELECTED})
"""Verdicts that nothing decides but the Ingresses and the tables of a host."""


def judged_for(
    snapshot: Snapshot, request: Request, explained: Callable[[World, Audit], Explanation]
) -> tuple[World, Audit] | None:
    """What concerns the host of a request, decoded and judged; None where only the whole tells.

    Args:
        snapshot: the views.
        request: the request; its port does not matter.
        explained: the request explained in a world.
    """
    if snapshot.manifest or snapshot.hosts is not None:
        return None
    hosts = {host for scoped in (False, True) for _, host in candidates(request, scoped=scoped)}
    world, audit = judged(snapshot, asked=hosts)
    found = explained(world, audit)
    told = {c.verdict.verdict for c in found.candidates}
    return (world, audit) if told and told <= _OWN and not audit.gaps else None
