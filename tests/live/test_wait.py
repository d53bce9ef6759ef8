"""The loop of ``wait`` with a clock of its own: what it decides, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests import worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B
from xdsaudit import Snapshot
from xdsaudit.live import Outcome, rollout, wait_in_rounds
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress

SERVED, CUT = worlds.responses(GOOD), worlds.responses(WITHOUT_B)


class Script:
    """A reader whose world is a function of a clock that only sleeping moves."""

    def __init__(self, quick: object, full: object = None) -> None:
        self.now, self.wholes, self.quicks, self.probes = 0.0, 0, 0, 0
        self._quick, self._full = quick, full or quick

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def quick(self, hosts: Iterable[str]) -> Snapshot:
        self.quicks += 1
        found: Snapshot = self._quick(self.now)  # type: ignore[operator]
        return replace(found, hosts=frozenset(hosts))

    def full(self, *, probe: bool) -> Snapshot:
        self.wholes += 1
        self.probes += probe
        self.now += 0.05
        found: Snapshot = self._full(self.now)  # type: ignore[operator]
        return found

    def wait(self, *refs: str, **more: object) -> Outcome:
        return wait_in_rounds(self, refs or ("default/b",), clock=self.clock, sleep=self.sleep, **more)  # type: ignore[arg-type]


def world(
    *, gateway: object = None, served: tuple[bytes, ...] = (), fresh: tuple[bytes, ...] = SERVED, items=ITEMS, **more
) -> Snapshot:
    found = worlds.world(items, gateway=gateway, **more)
    return replace(found, pilot={"pilot-0": PilotCapture(served, fresh)})


def test_in_effect_at_once() -> None:
    script = Script(lambda _: world())
    outcome = script.wait()
    assert (outcome.code, outcome.rounds, outcome.seconds) == (0, 1, 0.0)
    assert script.wholes == 0  # whole dumps are not for looking


def test_stable_for_rounds() -> None:
    flapping = Script(lambda now: world(gateway=WITHOUT_B if 0.2 < now < 0.4 else None))
    outcome = flapping.wait(rounds=3)
    assert outcome.ok
    assert outcome.seconds == pytest.approx(1.0)
    assert [r.rule.ingress for r in outcome.audit.rules] == ["b"]


def test_a_push_that_comes_late() -> None:
    script = Script(
        lambda now: world(gateway=WITHOUT_B if now < 9 else None, fresh=CUT if now < 9 else SERVED),
        lambda now: world(gateway=WITHOUT_B, served=CUT, fresh=CUT) if now < 9 else world(served=SERVED),
    )
    outcome = script.wait()
    assert outcome.ok
    assert 9 <= outcome.seconds < 9.6
    assert script.wholes <= 9


def test_a_stale_cache_is_proven_by_two_looks_within_the_grace_period() -> None:
    script = Script(lambda _: world(gateway=WITHOUT_B), lambda _: world(gateway=WITHOUT_B, served=CUT))
    outcome = script.wait()
    assert outcome.code == 1
    assert [r.slug for r in outcome.audit.lost] == ["stale-route-cache"]
    assert outcome.seconds < 4
    assert (script.wholes, script.probes) == (2, 1)  # a new private line once, to confirm


def test_a_proof_that_does_not_last_is_none() -> None:
    """The cache looks stale for one look alone: the push was on its way."""
    script = Script(
        lambda now: world(gateway=WITHOUT_B if now < 2 else None),
        lambda now: world(gateway=WITHOUT_B, served=CUT) if now < 2 else world(served=SERVED),
    )
    assert script.wait().ok


def test_what_is_missing_without_proof_is_pending_until_the_grace_is_over() -> None:
    script = Script(lambda _: world(gateway=WITHOUT_B), lambda _: world(gateway=WITHOUT_B, served=SERVED))
    outcome = script.wait(deadline=10, grace=15)
    assert outcome.code == 4
    assert outcome.audit.by_verdict["pending"] == 1
    script.now = 0.0
    outcome = script.wait(deadline=60, grace=15)
    assert outcome.code == 1
    assert 15 <= outcome.seconds < 19
    assert [r.slug for r in outcome.audit.lost] == ["not-delivered"]


def test_refused_rules_never_come() -> None:
    items = [*ITEMS, ingress("zz", "foo.test", "/b", created="2026-02-01T00:00:00Z")]
    script = Script(lambda _: world(items=items))
    outcome = script.wait("default/zz")
    assert (outcome.code, outcome.rounds) == (1, 1)
    assert [r.slug for r in outcome.holding] == ["duplicated-route"]


def test_protection_that_does_not_apply_never_comes() -> None:
    notes = {"nginx.ingress.kubernetes.io/auth-url": "http://auth.test/check"}
    items = [*ITEMS, ingress("zz", "foo.test", "/zz", annotations=notes)]
    served = worlds.responses(worlds.expectation(items).tables)
    script = Script(lambda _: world(items=items, served=served, fresh=served))
    outcome = script.wait("default/zz")
    assert (outcome.code, outcome.rounds) == (1, 1)
    assert [r.slug for r in outcome.holding] == ["protection-not-applied"]


def test_another_class_never_comes() -> None:
    items = [*ITEMS, ingress("other", "foo.test", "/o", ingress_class="nginx")]
    assert Script(lambda _: world(items=items)).wait("default/other").code == 1


def test_an_ingress_that_the_api_does_not_hold() -> None:
    outcome = Script(lambda _: world()).wait("default/b", "default/none", deadline=1)
    assert (outcome.code, outcome.missing) == (4, ("default/none",))
    assert "default/none" in outcome.why


def test_a_source_that_stays_away() -> None:
    gone = ViewInfo(ViewName.GATEWAY, "gateway-1", State.UNREAD, "no answer")

    def flaky(until: float):
        return Script(lambda now: replace(world(), views=(gone,) if now < until else ()))

    assert flaky(3).wait(patience=5).ok
    outcome = flaky(99).wait(patience=5)
    assert outcome.code == 3
    assert 5 <= outcome.seconds < 6
    assert "gateway gateway-1 could not be read" in outcome.why


def test_nothing_at_all_is_not_in_effect() -> None:
    assert Script(lambda _: world(items=[])).wait("default/b", deadline=0.5).code == 4


def test_only_the_batch_counts() -> None:
    without_c = {p: r for p, r in GOOD.items() if p[1] != "bar.test"}
    assert Script(lambda _: world(gateway=without_c)).wait("default/b").ok
    assert Script(lambda _: world(gateway=without_c)).wait("default/c", deadline=1).code == 4


def test_a_rollout_stops() -> None:
    applied: list[str] = []
    good, bad = Script(lambda _: world()), Script(lambda _: world(gateway=WITHOUT_B))
    done = rollout(
        ["one", "two", "three"],
        applied.append,
        lambda name: good.wait() if name == "one" else bad.wait(deadline=0.5),
    )
    assert applied == ["one", "two"]
    assert [(name, outcome.code) for name, outcome in done] == [("one", 0), ("two", 4)]
