"""The one door: what a library user does with a cluster, and that it says what the command line says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests import worlds
from tests.collect.test_cluster import cluster
from xdsaudit import InputError, SourceOptions, Sources, audit, connect
from xdsaudit.collect.connect import snapshot_of
from xdsaudit.connection import Connection
from xdsaudit.testing import ControlPlane, FakeAdmin, ingress

pytestmark = pytest.mark.slow


def test_a_cluster_is_audited_explained_waited_for_and_watched(recording, tmp_path: Path) -> None:
    with (
        cluster(recording("batch-loss"), tmp_path) as (kube, config, _, _),
        connect(kubeconfig=config, probe_cache=True) as higress,
    ):
        assert [(r.rule.ingress, r.slug) for r in higress.audit().lost] == [("app-10061", "stale-route-cache")]
        assert higress.explain("http://wss.live.test/10060").exit_code() == 0
        assert higress.explain("http://wss.live.test/10061").exit_code() == 1
        assert higress.wait("live/app-10060", deadline=20).ok
        assert higress.wait("live/app-10061", deadline=20).code == 1
        rounds = higress.watch(interval=0.01)
        assert next(rounds) == ()
        assert {method for method, _ in kube.calls} <= {"GET", "POST"}


def test_manifests_choose_what_is_audited_and_waited_for(recording, tmp_path: Path) -> None:
    snapshot = recording("batch-loss")
    items = json.loads(snapshot.kube["ingresses"])["items"]
    batch = tmp_path / "batch.json"
    batch.write_text(json.dumps(next(i for i in items if i["metadata"]["name"] == "app-10060")))
    with cluster(snapshot, tmp_path) as (_, config, _, _), connect(kubeconfig=config, manifests=str(batch)) as higress:
        assert {r.rule.ref for r in higress.audit().rules} == {"live/app-10060"}
        assert {r.rule.ref for r in higress.wait(deadline=20).audit.rules} == {"live/app-10060"}


def test_sources_in_memory(recording) -> None:
    snapshot = recording("batch-loss")
    with ControlPlane.of(snapshot) as plane, FakeAdmin(next(iter(snapshot.gateway.values()))) as admin:
        sources = Sources(
            kube=snapshot.kube, ads=(plane.endpoint,), gateways=(admin.url,), controller=snapshot.controller
        )
        with connect(sources=sources) as higress:
            assert [r.rule.ingress for r in higress.audit().lost] == ["app-10061"]


def test_an_option_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(TypeError, match=r"'contxt' is not one of .*context"):
        connect(contxt="prod")


def test_outside_its_block_a_connection_says_so() -> None:
    with pytest.raises(InputError, match="with block"):
        connect(ads="127.0.0.1:1").audit()


def test_a_missing_file_is_told_before_the_cluster_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml"), connect(manifests=tmp_path / "absent.yaml"):
        pass


def test_a_snapshot_takes_the_options_of_the_controller(recordings: Path) -> None:
    options = SourceOptions(snapshot=str(recordings / "batch-loss"), controller={"version": "2.0.4"})
    snapshot, refs = snapshot_of(options)
    assert (snapshot.controller["version"], snapshot.grace, refs) == ("2.0.4", 0.0, frozenset())
    assert audit(snapshot).lost
    with pytest.raises(InputError, match="contains all views"):
        snapshot_of(replace(options, ads=("127.0.0.1:1",)))


def test_a_live_audit_counts_what_two_looks_say_and_a_quiet_one_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [ingress("a", "a.test", "/a"), ingress("b", "a.test", "/b")]
    whole, behind = worlds.world(items), replace(worlds.world(items[:1]), kube=worlds.kube(items))
    looks = [behind, whole, whole, behind, behind]
    monkeypatch.setattr(Connection, "snapshot", lambda _: looks.pop(0))
    monkeypatch.setattr("xdsaudit.connection.time.sleep", lambda _: None)
    with connect(sources=Sources(kube={}, gateways=("http://127.0.0.1:1",))) as found:
        assert found.audit().exit_code() == 0
        assert found.audit().exit_code() == 0
        assert len(looks) == 2
        assert found.audit().exit_code() == 1
