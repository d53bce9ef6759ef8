"""The loop of ``watch``: each change told once, nothing told that does not last, memory that stays flat."""

from __future__ import annotations

from dataclasses import replace

from tests import worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B
from xdsaudit import Snapshot, audit
from xdsaudit.live import Transition, Watcher
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.prom import Histogram, to_prom
from xdsaudit.testing import ingress

SERVED, CUT = worlds.responses(GOOD), worlds.responses(WITHOUT_B)


def world(*, gateway=None, served=(), fresh=SERVED, items=ITEMS, **more) -> Snapshot:
    found = worlds.world(items, gateway=gateway, **more)
    return replace(found, pilot={"pilot-0": PilotCapture(served, fresh)})


class Script:
    """A reader of one world after the other."""

    def __init__(self, full: Snapshot | None = None) -> None:
        self.now, self.current, self.whole, self.wholes = 0.0, world(), full, 0

    def round(self) -> Snapshot:
        self.now += 1
        return self.current

    def full(self, *, probe: bool) -> Snapshot:
        self.wholes += 1
        return self.whole or self.current


def said(found: tuple[Transition, ...]) -> list[tuple[str, str | None, str | None, str | None]]:
    return [
        (t.rule.ingress, t.before and t.before.value, t.after and t.after.verdict.value, t.after and t.after.slug)
        for t in found
    ]


def rounds(watcher: Watcher, count: int) -> list[tuple[str, str | None, str | None, str | None]]:
    return [each for _ in range(count) for each in said(watcher.round())]


def test_a_loss_is_told_once_with_its_stage_and_its_healing_once() -> None:
    script = Script(world(gateway=WITHOUT_B, served=CUT))
    watcher = Watcher(script, lambda: script.now)
    assert rounds(watcher, 3) == []
    script.current = world(gateway=WITHOUT_B)
    assert rounds(watcher, 5) == [("b", "in_sync", "lost", "stale-route-cache")]
    assert script.wholes == 1  # once an episode
    assert watcher.audit is not None
    assert [r.slug for r in watcher.audit.lost] == ["stale-route-cache"]
    script.current = world()
    assert rounds(watcher, 3) == [("b", "lost", "in_sync", None)]


def test_what_lasts_one_round_is_not_told() -> None:
    script = Script()
    watcher = Watcher(script, lambda: script.now)
    rounds(watcher, 2)
    script.current = world(gateway=WITHOUT_B)
    assert rounds(watcher, 1) == []
    script.current = world()
    assert rounds(watcher, 3) == []


def test_a_whole_look_that_does_not_see_it_tells_nothing() -> None:
    script = Script(world(served=SERVED))
    watcher = Watcher(script, lambda: script.now)
    rounds(watcher, 2)
    script.current = world(gateway=WITHOUT_B)
    assert rounds(watcher, 4) == []


def test_new_rules_and_gone_rules_and_their_latency() -> None:
    script = Script()
    watcher = Watcher(script, lambda: script.now)
    rounds(watcher, 2)
    items = [*ITEMS, ingress("d", "foo.test", "/d")]
    tables = worlds.expectation(items).tables
    script.current = world(items=items, gateway=GOOD, fresh=SERVED, grace=1e9, captured_at="2026-01-01T00:00:01Z")
    assert rounds(watcher, 3) == [("d", None, "pending", "lost-in-control-plane")]
    script.current = world(
        items=items, gateway=GOOD, fresh=worlds.responses(tables), grace=1e9, captured_at="2026-01-01T00:00:01Z"
    )
    assert rounds(watcher, 2) == []
    script.current = world(items=items, fresh=worlds.responses(tables))
    assert rounds(watcher, 3) == [("d", "pending", "in_sync", None)]
    assert (watcher.latency["pilot"].count, watcher.latency["gateway"].count) == (1, 1)
    assert watcher.latency["pilot"].total == 3.0
    assert watcher.latency["gateway"].total == 5.0
    script.current = world()
    assert rounds(watcher, 2) == [("d", "in_sync", None, None)]


def test_a_source_that_goes_away_makes_nothing_gone() -> None:
    script = Script()
    watcher = Watcher(script, lambda: script.now)
    rounds(watcher, 2)
    unread = ViewInfo(ViewName.INGRESS, None, State.UNREAD, "down")
    script.current = replace(world(), kube={}, views=(unread,))
    assert rounds(watcher, 3) == []
    script.current = world()
    assert rounds(watcher, 3) == []


def test_memory_is_flat_over_many_changes() -> None:
    script = Script()
    watcher = Watcher(script, lambda: script.now)
    sizes = set()
    for number in range(300):
        items = [*ITEMS, ingress(f"x{number}", "foo.test", f"/{number}")]
        tables = worlds.expectation(items).tables
        script.current = world(items=items, fresh=worlds.responses(tables))
        watcher.round()
        sizes.add((len(watcher._states), len(watcher._memory.gateway), len(watcher._memory.pilot)))
    assert max(sizes) <= (4, 3, 3)


# --- metrics ----------------------------------------------------------------------------------------------------------
def test_metrics_have_bounded_labels_and_the_right_shape(recording) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    text = to_prom(
        audit(recording("batch-loss")),
        transitions={"lost": 2},
        latency={"pilot": Histogram({0.5: 1, 1.0: 2}, 3, 4.5)},
        rounds=7,
    )
    families = {f.name: f for f in text_string_to_metric_families(text)}
    rules = {s.labels["verdict"]: s.value for s in families["xdsaudit_rules"].samples}
    assert (rules["lost"], rules["in_sync"]) == (1, 21)
    assert [(s.labels, s.value) for s in families["xdsaudit_rules_by_stage"].samples] == [
        ({"verdict": "lost", "stage": "cache"}, 1)
    ]
    assert {s.labels["code"] for s in families["xdsaudit_codes"].samples} == {"XA401"}
    assert families["xdsaudit_latency_seconds"].type == "histogram"
    assert families["xdsaudit_transitions"].samples[0].value == 2
    assert "app-10061" not in text
    assert Verdict.LOST.value in rules
