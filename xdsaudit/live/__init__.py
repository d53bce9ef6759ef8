"""The loops of ``wait``, ``watch`` and ``rollout``: read, audit, judge age, repeat. Clock and sources are passed in."""

from xdsaudit.live.batches import rollout
from xdsaudit.live.wait import Outcome, wait_in_rounds
from xdsaudit.live.watch import Transition, Watcher

__all__ = ["Outcome", "Transition", "Watcher", "rollout", "wait_in_rounds"]
