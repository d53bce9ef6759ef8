"""The black box: lost, recorded, healed, told; capped, redacted, and never in the way of the watch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import worlds
from tests.audit.test_attribution import WITHOUT_B
from tests.live.test_watch import CUT, Script, world
from xdsaudit import Snapshot, audit
from xdsaudit.audit.questions.story import Event, story
from xdsaudit.cli.main import run
from xdsaudit.collect.recorder import Recorder, read_timeline
from xdsaudit.collect.snapshot import load
from xdsaudit.errors import InputError
from xdsaudit.live import Watcher
from xdsaudit.live.events import events
from xdsaudit.model.snapshot import PilotCapture


def watched(script: Script, recorder: Recorder, *steps: tuple[Snapshot, int], whole: Snapshot | None = None) -> Watcher:
    watcher = Watcher(script, lambda: script.now, keep=True)
    for current, rounds in steps:
        script.current = current
        script.whole = whole if whole is not None and current is steps[1][0] else None
        for _ in range(rounds):
            recorder.note(events(watcher.round(), watcher.plugins), watcher.seen, watcher.good)
    return watcher


def at(snapshot: Snapshot, when: str) -> Snapshot:
    return replace(snapshot, captured_at=f"2026-11-23T{when}Z")


@pytest.fixture
def incident(recording: Any) -> tuple[Snapshot, Snapshot, Snapshot]:
    """higress#1547 as a watch sees it: the batch arrives, pilot serves a stale table, and the next push heals it."""
    recorded = recording("batch-loss")
    items = json.loads(recorded.kube["ingresses"])["items"]
    tables = worlds.expectation(items).tables
    stale = {p: tuple(r for r in routes if r.name != "live/app-10061") for p, routes in tables.items()}
    before_items = [i for i in items if i["metadata"]["name"] != "app-10061"]

    def seen(listed: list[Any], gateway: Any, when: str) -> Snapshot:
        found = worlds.world(listed, gateway=gateway)
        kube = {**found.kube, "services": recorded.kube["services"], "endpointslices": recorded.kube["endpointslices"]}
        fresh = PilotCapture((), worlds.responses(worlds.expectation(listed).tables))
        return at(replace(found, kube=kube, pilot={"pilot-0": fresh}), when)

    good = seen(before_items, None, "22:24:00")
    lost = seen(items, stale, "22:24:46")
    healed = seen(items, None, "22:25:40")
    return good, lost, healed


def test_the_incident_is_recorded_and_told(incident: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, lost, healed = incident
    stale = worlds.responses({p: rs[:-2] if p[1] == "wss.live.test" else rs for p, rs in worlds.expectation(
        json.loads(lost.kube["ingresses"])["items"]).tables.items()})  # fmt: skip
    whole = replace(lost, pilot={"pilot-0": PilotCapture(stale, lost.pilot["pilot-0"].fresh)})
    watched(Script(), Recorder(tmp_path / "box"), (good, 3), (lost, 3), (healed, 3), whole=whole)
    told = story(read_timeline(tmp_path / "box"))
    (episode,) = [e for e in told.episodes if "10061" in e.subject]
    assert episode.seconds == 54
    assert "lost at stage cache (XA401 stale-route-cache)" in episode.first.said
    during, before = (load(tmp_path / "box" / name) for name in (episode.first.views, episode.first.good))
    assert [r.slug for r in audit(during).lost] == ["stale-route-cache"]
    assert audit(before).exit_code() == 0
    assert run(["timeline", str(tmp_path / "box")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "live/app-10061 wss.live.test/10061" in out
    assert "for 54 s" in out
    assert "all recovered" in out
    assert "a private cache line of the same pilot has it" in out
    assert run(["timeline", str(tmp_path / "box"), "-o", "html"]) == 0
    page = capsys.readouterr().out
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert run(["timeline", str(tmp_path / "box"), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"] == {"events": len(told.events), "episodes": 1, "open": 0}


def test_a_quiet_watch_keeps_no_views(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watched(Script(), Recorder(tmp_path), (world(), 5), (world(), 5))
    assert [p.name for p in tmp_path.iterdir()] == ["timeline.jsonl"]
    assert run(["timeline", str(tmp_path)]) == 0
    assert "nothing changed" in capsys.readouterr().out


def test_the_last_good_round_is_the_one_before_the_loss_was_first_seen(tmp_path: Path) -> None:
    good, bad = at(world(), "10:00:00"), at(world(gateway=WITHOUT_B), "10:00:10")
    watched(Script(world(gateway=WITHOUT_B, served=CUT)), Recorder(tmp_path), (good, 3), (bad, 3))
    (event,) = [e for e in read_timeline(tmp_path) if e.bad]
    assert load(tmp_path / event.good).captured_at == "2026-11-23T10:00:00Z"
    assert run(["timeline", str(tmp_path)]) == 1  # it lasts


def test_moments_are_capped_and_the_oldest_go_first(tmp_path: Path) -> None:
    clock = iter(range(0, 10_000, 60))
    recorder = Recorder(tmp_path, keep=2, clock=lambda: float(next(clock)))
    for hour in range(5):
        event = Event(f"2026-11-23T{hour:02}:00:00Z", f"rule {hour}", "in_sync", "lost", "lost")
        recorder.note([event], world(), world())
        assert recorder.failed == ""
    kept = sorted(p.name for p in tmp_path.glob("*.tar.gz"))
    assert kept == [f"20261123T0{h}0000.{kind}.tar.gz" for h in (3, 4) for kind in ("before", "during")]
    assert len(read_timeline(tmp_path)) == 5
    size = sum(p.stat().st_size for p in tmp_path.glob("*.tar.gz"))
    small = Recorder(tmp_path, max_bytes=size // 2 + 1, clock=lambda: float(next(clock)))
    small.note([Event("2026-11-23T09:00:00Z", "rule 9", "in_sync", "lost", "lost")], world(), None)
    assert (tmp_path / "20261123T090000.during.tar.gz").exists()
    assert not (tmp_path / "20261123T030000.during.tar.gz").exists()


def test_changes_of_one_push_share_their_views(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, clock=lambda: 1.0)
    for n in range(3):
        recorder.note([Event("2026-11-23T01:00:00Z", f"rule {n}", "in_sync", "lost", "lost")], world(), world())
    assert len(list(tmp_path.glob("*.tar.gz"))) == 2
    assert len({e.views for e in read_timeline(tmp_path)}) == 1


def test_credentials_do_not_reach_the_folder(tmp_path: Path) -> None:
    from xdsaudit.testing import ingress

    item = ingress("s", "foo.test", "/s", annotations={"higress.io/request-header-control-add": "Authorization sesame"})
    Recorder(tmp_path).note(
        [Event("2026-11-23T01:00:00Z", "r", "in_sync", "lost", "lost")], worlds.world([item]), worlds.world([item])
    )
    for place in tmp_path.glob("*.tar.gz"):
        saved = load(place)
        assert b"sesame" not in b"".join((*saved.kube.values(), *saved.pilot["pilot-0"].served))


def test_a_folder_that_fills_up_does_not_stop_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("xdsaudit.collect.snapshot.save", full)
    recorder.note([Event("2026-11-23T01:00:00Z", "r", "in_sync", "lost", "lost")], world(), world())
    assert recorder.failed == "No space left on device"
    recorder.note([Event("2026-11-23T01:00:01Z", "r", "lost", "in_sync", "in sync")], world(), world())
    assert recorder.failed == ""


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(InputError, match="name a folder"):
        Recorder(place)
    with pytest.raises(InputError, match="watch --record"):
        read_timeline(tmp_path)


def test_lines_that_are_cut_off_or_strange_are_passed_over(tmp_path: Path) -> None:
    good = json.dumps(Event("2026-11-23T01:00:00Z", "r", "in_sync", "lost", "lost")._asdict())
    lines = [good, "{", "[]", '{"at": 1}', '{"at": "x", "subject": "y", "evidence": 5}', good[:40]]
    (tmp_path / "timeline.jsonl").write_text("\n".join(lines))
    assert [e.subject for e in read_timeline(tmp_path)] == ["r", "y"]


def test_a_rule_that_changes_while_it_is_bad_is_one_episode() -> None:
    told = story(
        [
            Event("2026-11-23T01:00:00Z", "r", "in_sync", "changed", "changed"),
            Event("2026-11-23T01:00:30Z", "r", "changed", "lost", "lost"),
            Event("2026-11-23T01:02:00Z", "r", "lost", "in_sync", "in sync"),
            Event("2026-11-23T01:03:00Z", "q", None, "in_sync", "in sync"),
            Event("2026-11-23T01:04:00Z", "q", "in_sync", "lost", "lost"),
        ]
    )
    assert [(e.subject, len(e.events), e.seconds) for e in told.episodes] == [("r", 2, 120.0), ("q", 1, None)]
    assert told.open == 1
