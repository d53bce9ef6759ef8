"""What a wait says: while it waits, how long each stage took, and what never comes, at once and by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import worlds
from tests.audit.test_attribution import ITEMS, WITHOUT_B
from tests.live.test_wait import CUT, SERVED, Script, world
from xdsaudit import Snapshot, audit
from xdsaudit.cli.output import Block
from xdsaudit.live.batches import nothing, whole_outcome
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.verdict import Audit
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.progress import grid, latency_said, standing
from xdsaudit.testing import ingress
from xdsaudit.xds.pool import message

OTHER = [*ITEMS, ingress("other", "foo.test", "/o", ingress_class="nginx")]


def test_how_far_a_batch_is() -> None:
    assert standing(audit(worlds.world(ITEMS))) == "3 of 3 rules in effect"
    assert (
        standing(audit(worlds.world(ITEMS, gateway=WITHOUT_B))) == "2 of 3 rules in effect; 1 not yet in the gateways"
    )
    assert standing(audit(worlds.world(ITEMS[:1]))) == "1 of 1 rule in effect"
    assert standing(Audit(None, {}, (), {}, ())) == "none of its rules are in the API yet"


def test_what_cannot_be_judged_is_said_to_be_so() -> None:
    gone = ViewInfo(ViewName.GATEWAY, "gateway-0", State.UNREAD, "timed out")
    found = audit(replace(worlds.world(ITEMS), gateway={}, views=(gone,)))
    assert standing(found) == "0 of 3 rules in effect; 3 not judged, since a view could not be read"


def test_an_ingress_of_another_class_is_named_at_once() -> None:
    script = Script(lambda _: world(items=OTHER))
    outcome = script.wait("default/other")
    assert (outcome.code, outcome.rounds) == (1, 1)
    assert outcome.why.startswith(
        "default/other foo.test/o will never be in effect as written: not selected (XA101 class-not-ours)"
    )
    assert "asks for another" in outcome.why
    both = script.wait("default/a", "default/other")
    assert (both.code, "default/other" in both.why) == (1, True)
    assert script.wait("default/a").ok


def test_a_single_label_waits_for_nothing() -> None:
    items = [ingress("s", "intranet", "/a")]
    empty = {p: r for p, r in worlds.expectation(items).tables.items() if p[1] != "intranet"}
    stuck = replace(worlds.world(items, gateway=empty), pilot={"pilot-0": PilotCapture((), worlds.responses(empty))})
    outcome = Script(lambda _: stuck).wait("default/s")
    assert outcome.code == 1
    assert outcome.seconds < 1
    dotted = [ingress("s", "intranet.test", "/a")]
    none = {p: r for p, r in worlds.expectation(dotted).tables.items() if p[1] != "intranet.test"}
    late = replace(worlds.world(dotted, gateway=none), pilot={"pilot-0": PilotCapture((), worlds.responses(none))})
    assert Script(lambda _: late).wait("default/s", deadline=3.0).code == 4  # it may still come


def test_what_is_certain_waits_a_moment_for_views_that_connect() -> None:
    unconnected = ViewInfo(ViewName.PILOT_FRESH, "pilot-0", State.UNREAD, "not connected yet")
    connecting = replace(world(items=OTHER), pilot={}, views=(unconnected,))
    script = Script(lambda now: connecting if now < 0.5 else world(items=OTHER))
    outcome = script.wait("default/other")
    assert outcome.code == 1
    assert not outcome.audit.gaps
    never = Script(lambda _: connecting).wait("default/other")
    assert (never.code, never.seconds < 5) == (1, True)


def test_latency_by_stage() -> None:
    def seen(now: float):
        if now < 1:
            return world(gateway=WITHOUT_B, fresh=CUT)
        return world(gateway=WITHOUT_B if now < 2 else None, fresh=SERVED)

    outcome = Script(seen).wait()
    (pilot,), (gateway,) = outcome.latency["pilot"], outcome.latency["gateway"]
    assert (pilot, gateway) == (pytest.approx(1.0, abs=0.3), pytest.approx(2.0, abs=0.3))
    said = latency_said(outcome.latency, outcome.clocks)
    assert said.startswith("from the API, 1 rule reached core at an unknown time, pilot in 1.0 s (half)")
    assert said.endswith("measured from when they were first seen there")
    assert "core" not in outcome.latency
    assert outcome.audit.latency == {
        "core": None,
        "pilot": {"rules": 1, "p50": pilot, "p95": pilot, "max": pilot},
        "gateway": {"rules": 1, "p50": gateway, "p95": gateway, "max": gateway},
        "from": {"object": 0, "seen": 1},
    }
    still = Script(lambda _: world()).wait()
    assert latency_said(still.latency, still.clocks) == ""  # all was there: nothing was measured
    assert still.latency == {}


def aged(created: str, gateway: object) -> Snapshot:
    found = ingress("a", "foo.test", "/a")
    found["metadata"]["creationTimestamp"] = created
    return world(items=[found], gateway=gateway, fresh=SERVED, captured_at="2026-01-01T00:01:00Z")


@pytest.mark.parametrize(
    ("created", "seconds", "clock"),
    [
        ("2026-01-01T00:00:57Z", 4.0, "object"),
        ("2026-01-01T00:01:30Z", 1.0, "object"),  # its clock is ahead: no time is negative
        ("2025-12-31T20:00:00Z", 1.0, "seen"),  # old: it was not applied just now
    ],
)
def test_a_rule_that_was_there_counts_from_its_own_object(created: str, seconds: float, clock: str) -> None:
    outcome = Script(lambda now: aged(created, {} if now < 1 else None)).wait("default/a")
    assert outcome.ok
    assert outcome.latency["gateway"] == (pytest.approx(seconds, abs=0.3),)
    assert "pilot" not in outcome.latency  # it was there before the first look
    assert outcome.clocks == {clock: 1}


def without(snapshot: Snapshot, name: str) -> dict[str, tuple[bytes, ...]]:
    """What core says, but for the objects of this name."""
    found = []
    for data in snapshot.core[""]:
        response = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
        kept = [r for r in response.resources if name.encode() not in r.value]
        del response.resources[:]
        response.resources.extend(kept)
        found.append(response.SerializeToString())
    return {"": tuple(found)}


def test_core_is_timed_where_it_is_read_and_judges_nothing(recording) -> None:
    recorded = recording("batch-loss")
    lines = {pod: replace(capture, served=()) for pod, capture in recorded.pilot.items()}
    whole = replace(recorded, gateway={}, pilot=lines)
    cut = replace(whole, core=without(recorded, "app-10061"))
    told: list[Audit] = []
    outcome = Script(lambda now: cut if now < 1 else whole).wait("live/app-10061", tell=told.append)
    assert outcome.latency["core"] == (pytest.approx(61.0, abs=0.3),)  # its object is a minute older than the recording
    assert outcome.clocks == {"object": 1}
    assert all(each.view != ViewName.CORE for found in told for r in found.rules for each in r.replicas)
    garbage = replace(whole, core={"": (b"\xff\xfe",)})
    assert "core" not in Script(lambda _: garbage).wait("live/app-10061", deadline=1.0).latency


def test_a_rollout_reports_every_batch() -> None:
    one, two = (Script(lambda _: world()).wait(f"default/{name}") for name in "ab")
    whole = whole_outcome([one, two, nothing("no Ingress and no WasmPlugin in this batch")])
    assert [r.rule.ingress for r in whole.audit.rules] == ["a", "b"]
    assert whole.audit.captured_at is not None
    assert (whole.code, whole.rounds) == (0, 2)
    bad = Script(lambda _: world(items=OTHER)).wait("default/other")
    failed = whole_outcome([one, bad])
    assert (failed.code, failed.why) == (1, bad.why)
    assert [r.rule.ingress for r in failed.audit.not_selected] == ["other"]


@pytest.mark.parametrize("width", [60, 80])
def test_the_grid_shows_rules_by_stages(width: int) -> None:
    found = audit(worlds.world(ITEMS, gateway=WITHOUT_B))
    (line,) = grid(found, width)
    assert line.split()[-6:] == ["API", "yes", "pilot", "1/1", "gateway", "0/1"]
    assert len(line) <= width
    assert grid(audit(worlds.world(ITEMS)), width) == []
    many = [ingress(f"i{n}", "foo.test", f"/p{n}\x1b[31m") for n in range(30)]
    lines = grid(audit(worlds.world(many, gateway={})), width)
    assert len(lines) == 11
    assert lines[-1] == "  and 20 more"
    assert max(map(len, lines)) <= width
    assert "\x1b" not in "".join(lines)


def test_a_block_is_written_over_itself_and_wiped(capsys: pytest.CaptureFixture[str]) -> None:
    block = Block()
    block.replace([])
    assert capsys.readouterr().err == ""
    block.replace(["a", "b"])
    block.replace(["c"])
    block.replace([])
    assert capsys.readouterr().err == "\r\x1b[Ja\nb\n\r\x1b[2A\x1b[Jc\n\r\x1b[1A\x1b[J"
