"""The loops of ``wait``, ``watch`` and ``rollout``: read, audit, judge age, repeat. Clock and sources are passed in."""

from xdsaudit.live.wait import Outcome, Reader, rollout, wait

__all__ = ["Outcome", "Reader", "rollout", "wait"]
