"""Whether a further view would name a stage more finely."""

from __future__ import annotations

from xdsaudit.model.verdict import Audit, Stage, Verdict
from xdsaudit.model.view import State, ViewName


def cache_would_tell(audit: Audit) -> bool:
    """Whether pilot's private cache line would tell more: a rule is first missing in pilot, and the line was not read."""
    if any(v.name is ViewName.PILOT_FRESH and v.state is not State.NOT_ASKED for v in audit.views):
        return False
    return any(
        r.stage in (Stage.PILOT, Stage.CONTROL_PLANE) and r.first_missing == ViewName.PILOT
        for r in audit.of(Verdict.LOST, Verdict.CHANGED)
    )
