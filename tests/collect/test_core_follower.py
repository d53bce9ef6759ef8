"""Core's stream stays open: what it pushes is read without asking, apart from every view, and a core that is not there is no gap."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.live.test_wait_words import without
from xdsaudit.collect.rounds import LiveReader
from xdsaudit.collect.sources import Sources
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.testing import ControlPlane


def until(read: Callable[[], Snapshot], there: Callable[[Snapshot], bool]) -> Snapshot:
    deadline = time.monotonic() + 10
    while not there(found := read()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_what_core_pushes_is_read_round_after_round(recording) -> None:
    recorded = recording("batch-loss")
    cut = without(recorded, "app-10061")[""]
    with ControlPlane.of(recorded) as plane:
        plane.push({}, core=cut)
        with LiveReader(Sources(kube=recorded.kube, core=(plane.endpoint,))) as reader:
            (first,) = until(lambda: reader.quick(()), lambda s: bool(s.core)).core.values()
            assert sorted(map(len, first)) == sorted(map(len, cut))
            plane.push({}, core=recorded.core[""])
            until(lambda: reader.quick(()), lambda s: next(iter(s.core.values())) != first)
            plane.stop()
            until(lambda: reader.quick(()), lambda s: not s.core)  # what it said may be old


def test_a_core_that_does_not_answer_is_no_gap(recording) -> None:
    recorded = recording("batch-loss")
    with LiveReader(Sources(kube=recorded.kube, core=("127.0.0.1:1",))) as reader:
        found = reader.quick(())
    assert not found.core
    assert all(info.name != "core" for info in found.views)
