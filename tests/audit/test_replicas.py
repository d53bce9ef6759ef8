"""Many replicas: whose proof counts, what an unread one takes away, and what it costs."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests import worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B
from xdsaudit import Audit, Snapshot, audit
from xdsaudit.audit.memory import Aging, Asked, Memory
from xdsaudit.audit.questions.status import replica_statuses
from xdsaudit.audit.verdicts import judged
from xdsaudit.collect.snapshot import load
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.verdict import RuleVerdict, Stage, Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName

pytestmark = pytest.mark.slow

RECORDINGS = Path(__file__).parent.parent / "recordings"
NAMES = sorted(p.name for p in RECORDINGS.iterdir() if p.is_dir())
SERVED, CUT = worlds.responses(GOOD), worlds.responses(WITHOUT_B)


def gateway(name: str, tables: object = None) -> dict[str, bytes]:
    node = {"node": {"id": f"router~10.0.0.1~{name}.higress-system~higress-system.svc.cluster.local"}}
    return {
        "config_dump.json": worlds.config_dump(GOOD if tables is None else tables),  # type: ignore[arg-type]
        "stats.json": worlds.stats(),
        "server_info.json": json.dumps(node).encode(),
    }


def syncz(*gateways: str, late: bool = False) -> bytes:
    rows = [{"proxy": f"{g}.higress-system", "route_sent": "2", "route_acked": "1" if late else "2"} for g in gateways]
    return json.dumps(rows).encode()


def lost(snapshot: Snapshot) -> RuleVerdict:
    (found,) = audit(snapshot).lost
    return found


# --- the stage is proven by the right replica -------------------------------------------------------------------------
def test_the_private_line_of_another_pilot_proves_no_stale_cache() -> None:
    world = worlds.world(ITEMS)
    pilots = {"pilot-0": PilotCapture(SERVED, SERVED), "pilot-1": PilotCapture(CUT)}
    assert lost(replace(world, pilot=pilots)).stage is Stage.CONTROL_PLANE
    pilots["pilot-1"] = PilotCapture(CUT, SERVED)
    assert lost(replace(world, pilot=pilots)).stage is Stage.CACHE


def test_a_gateway_of_an_unread_pilot_names_no_stage() -> None:
    info = ViewInfo(ViewName.PILOT, "pilot-1", State.UNREAD, "no answer")
    world = worlds.world(ITEMS, gateway=WITHOUT_B, views=(info,))
    found = lost(world)
    assert (found.stage, found.slug) == (None, "differs-in-gateway")
    pages = {"syncz.json": syncz("gw-0")}
    mine = {"gw-0": gateway("gw-0", WITHOUT_B)}
    told = replace(world, gateway=mine, pilot={"pilot-0": PilotCapture(SERVED, None, pages)})
    assert (lost(told).stage, lost(told).slug) == (Stage.DELIVERY, "not-delivered")


def test_pilots_that_disagree_and_their_gateways() -> None:
    world = worlds.world(ITEMS)
    pilots = {
        "pilot-0": PilotCapture(SERVED, None, {"syncz.json": syncz("gw-0", "gw-1")}),
        "pilot-1": PilotCapture(CUT, None, {"syncz.json": syncz("gw-2")}),
    }
    gateways = {"gw-0": gateway("gw-0"), "gw-1": gateway("gw-1"), "gw-2": gateway("gw-2", WITHOUT_B)}
    world_, result = judged(replace(world, pilot=pilots, gateway=gateways))
    assert {f.slug for f in result.findings} == {"pilots-disagree", "replicas-disagree"}
    assert "gateways connected to pilot pilot-1: gw-2" in result.lost[0].evidence
    assert [f.message for f in result.findings if f.slug == "replicas-disagree"] == [
        "1 of 3 gateway replicas lack or change 1 rule: gw-2"
    ]
    rows = {r.replica: r for r in replica_statuses(world_, result)}
    assert (rows["gw-2"].attached, rows["gw-2"].differs) == (("pilot-1",), 1)
    assert (rows["pilot-0"].attached, rows["pilot-0"].differs) == (("gw-0", "gw-1"), 0)


def test_pilots_metrics_prove_a_rejection_and_an_open_acknowledgement_does_not() -> None:
    def slug(**pages: bytes) -> str | None:
        capture = PilotCapture(SERVED, None, {"syncz.json": syncz("gw-0", late=True), **pages})
        world = replace(worlds.world(ITEMS), pilot={"pilot-0": capture}, gateway={"gw-0": gateway("gw-0", WITHOUT_B)})
        return lost(world).slug

    reject = b'pilot_xds_rds_reject{err="Internal",node="gw-0.higress-system"} 1\n'
    assert slug() == "not-delivered"
    assert slug(**{"metrics.txt": reject}) == "envoy-rejected"
    assert slug(**{"metrics.txt": reject.replace(b"gw-0", b"gw-9")}) == "not-delivered"


@pytest.mark.parametrize("name", ["syncz.json", "adsz.json"])
def test_a_broken_hint_is_a_remark_and_no_gap(name: str) -> None:
    world = worlds.world(ITEMS)
    result = audit(replace(world, pilot={"pilot-0": PilotCapture(SERVED, None, {name: b"<html>"})}))
    assert result.exit_code() == 0
    assert any(name in note for note in result.notes)


# --- coarser, never contradicting -------------------------------------------------------------------------------------
FINER = {
    None: {None},
    Stage.CONTROL_PLANE: {Stage.TRANSLATION, Stage.GENERATION, Stage.CACHE, Stage.PILOT, Stage.CONTROL_PLANE},
    Stage.PILOT: {Stage.GENERATION, Stage.CACHE, Stage.PILOT},
}


def drop(snapshot: Snapshot, names: tuple[str, ...]) -> Snapshot:
    pages = {"stats.json", "server_info.json"} & set(names)
    snapshot = snapshot.without(core="core" in names, fresh="fresh" in names)
    kept = {g: {p: d for p, d in files.items() if p not in pages} for g, files in snapshot.gateway.items()}
    if "gateway" in names:
        kept = {}
    views = tuple(v for v in snapshot.views if not ("gateway" in names and v.name is ViewName.GATEWAY))
    bare = {p: replace(c, pages={}) for p, c in snapshot.pilot.items()} if "pages" in names else snapshot.pilot
    kube = snapshot.kube
    if "slices" in names:
        kube = {k: v for k, v in kube.items() if k != "endpointslices"}
    return replace(snapshot, gateway=kept, pilot=bare, views=views, kube=kube)


@pytest.mark.parametrize("name", NAMES)
def test_taking_views_away_only_coarsens(name: str) -> None:
    """Over every subset of the optional views: no stage is contradicted, and nothing fine becomes lost or changed."""
    snapshot = load(RECORDINGS / name)
    optional = ("core", "fresh", "gateway", "stats.json", "server_info.json", "pages", "slices")
    memory = Memory()
    whole = audit(snapshot, memory=memory)
    bad = (Verdict.LOST, Verdict.CHANGED)
    for size in range(1, len(optional) + 1):
        for names in itertools.combinations(optional, size):
            result = audit(drop(snapshot, names), memory=memory)
            assert [r.rule for r in result.rules] == [r.rule for r in whole.rules]
            for verdict, before in zip(result.rules, whole.rules, strict=True):
                place = f"{name} without {names}: {verdict.rule}"
                if verdict.verdict in bad:
                    # warming listeners and upstreams are judged after losses, so that only those may be hidden
                    assert before.verdict in bad, place
                    allowed = FINER.get(verdict.stage, {verdict.stage})
                    assert verdict.stage is None or before.stage in allowed, place
                if verdict.verdict is Verdict.REFUSED or before.verdict is Verdict.REFUSED:
                    assert (verdict.verdict, verdict.slug) == (before.verdict, before.slug), place


def same(one: Audit, other: Audit) -> bool:
    return (one.rules, one.extra, one.findings) == (other.rules, other.extra, other.findings)


# --- memory -----------------------------------------------------------------------------------------------------------
def test_memory_changes_no_verdict() -> None:
    memory = Memory()
    for name in (*NAMES, *NAMES):
        snapshot = load(RECORDINGS / name)
        assert same(audit(snapshot, memory=memory), audit(snapshot)), name


def test_equal_replicas_share_their_tables() -> None:
    snapshot = worlds.world(ITEMS)
    gateways = {f"gw-{n}": gateway(f"gw-{n}") for n in range(4)}
    world, result = judged(replace(snapshot, gateway=gateways))
    assert result.exit_code() == 0
    views = [j.view for j in world.read(ViewName.GATEWAY)]
    place = (80, "foo.test")
    assert len({id(v.tables[place].routes) for v in views}) == 1


def test_memory_forgets_what_is_gone() -> None:
    memory = Memory()
    for number in range(20):
        cut = {p: r for p, r in GOOD.items() if number % 2 or p[1] != "bar.test"}
        audit(worlds.world(ITEMS, gateway=cut, pilot=cut), memory=memory)
    assert len(memory.gateway) == len(GOOD)
    assert len(memory.pilot) == len(GOOD)


def test_replicas_that_send_the_same_share_one_copy_of_it() -> None:
    held = Aging()
    first, second = Asked(held), Asked(held)
    one, other = (bytes(bytearray(b"a table")) for _ in "ab")
    assert first.get(one) is None
    first[one] = "decoded"
    assert second.get(other) == "decoded"
    entry = held.entry(other)
    assert entry is not None
    assert entry[0] is one is not other
    held.turn()
    second.again()
    held.turn()
    assert Asked(held).get(other) == "decoded"
    held.turn()
    held.turn()
    assert Asked(held).get(other) is None
