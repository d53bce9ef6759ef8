"""Plugins from live sources: asked for by name, watched, listed where that is allowed, and never written with a value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import plugin_worlds
from tests.plugin_worlds import rule, wasm
from xdsaudit import Snapshot, Verdict, audit, load, save
from xdsaudit.collect.access import Access
from xdsaudit.collect.cluster import lists
from xdsaudit.collect.follow import GatewayFollower
from xdsaudit.collect.kubeconfig import kube_api
from xdsaudit.collect.manifests import read_manifests
from xdsaudit.collect.rounds import LiveReader
from xdsaudit.collect.sources import Sources, read
from xdsaudit.collect.watches import KubeStore
from xdsaudit.model.view import State
from xdsaudit.testing import ControlPlane, FakeAdmin, FakeKube, ingress
from xdsaudit.testing.rewrite import resources_of
from xdsaudit.xds.pool import TYPES
from xdsaudit.xds.session import AdsSession, Node

SECRET = "s3cret-credential-1"
OBJECTS = [
    wasm("auth", defaultConfig={"credential": SECRET}, matchRules=[rule({"n": 1}, ingress="default/a")]),
    wasm("log"),
]
GOOD = plugin_worlds.served(OBJECTS)


@pytest.fixture
def snapshot() -> Snapshot:
    return plugin_worlds.world(OBJECTS)


def sources(snapshot: Snapshot, plane: ControlPlane, *admins: FakeAdmin, **more: Any) -> Sources:
    given = {"kube": snapshot.kube, "ads": (plane.endpoint,), "gateways": tuple(a.url for a in admins)}
    return Sources(**(given | {"controller": snapshot.controller} | more))


def test_the_session_asks_for_the_configurations_that_listeners_name(snapshot: Snapshot) -> None:
    served = snapshot.pilot["pilot-0"].served
    listeners = next(d for d in served if TYPES["LDS"].encode() in d[:200] or b"0.0.0.0_80" in d)
    session = AdsSession(Node())
    session.start()
    asked = b"".join(session.receive(listeners))
    assert TYPES["ECDS"].encode() in asked
    for name in GOOD:
        assert name.encode() in asked
    assert not session.settled
    session.receive(served[-1])
    assert "ECDS" not in session.waiting


def test_everything_together_is_in_sync_and_a_saved_capture_says_the_same(snapshot: Snapshot, tmp_path: Path) -> None:
    with ControlPlane.of(snapshot) as plane, FakeAdmin(snapshot.gateway["gateway-0"]) as admin:
        found = read(sources(snapshot, plane, admin))
    result = audit(found)
    assert [p.verdict for p in result.plugins] == [Verdict.IN_SYNC] * 2
    assert result.exit_code() == 0
    save(found, tmp_path / "capture")
    again = audit(load(tmp_path / "capture"))
    assert again.plugins == result.plugins
    for file in (tmp_path / "capture").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_a_control_plane_that_leaves_plugins_unanswered_is_no_gap(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ControlPlane._answer

    def silent(self: ControlPlane, client: Any, request: Any) -> Any:
        return iter(()) if request.type_url == TYPES["ECDS"] else answer(self, client, request)

    monkeypatch.setattr(ControlPlane, "_answer", silent)
    with ControlPlane.of(snapshot) as plane, FakeAdmin(snapshot.gateway["gateway-0"]) as admin:
        found = read(sources(snapshot, plane, admin, access=Access(timeout=1.0)))
        with LiveReader(sources(snapshot, plane, admin, access=Access(timeout=5.0))) as live:
            followed = live.quick(["foo.test"])
    for each in (found, followed):
        result = audit(each)
        assert {v.state for v in result.views} == {State.READ}
        assert [p.verdict for p in result.plugins] == [Verdict.IN_SYNC] * 2


def test_rounds_that_read_parts_read_plugins_too(snapshot: Snapshot) -> None:
    behind = plugin_worlds.world(OBJECTS, gateway={n: p for n, p in GOOD.items() if "log" in n})
    with (
        ControlPlane.of(snapshot) as plane,
        FakeAdmin(snapshot.gateway["gateway-0"]) as admin,
        LiveReader(sources(snapshot, plane, admin)) as live,
    ):
        fine = audit(live.quick(["foo.test"]))
        admin.pages = dict(behind.gateway["gateway-0"])
        broken = audit(live.quick(["foo.test"]))
    assert [p.verdict for p in fine.plugins] == [Verdict.IN_SYNC] * 2
    assert {p.name: p.verdict for p in broken.plugins} == {"auth": Verdict.LOST, "log": Verdict.IN_SYNC}
    assert {r.slug for r in broken.rules if r.rule.host == "foo.test"} == {"plugin-without-configuration"}


def followed(snapshot: Snapshot, *, moved: int) -> dict[str, bytes]:
    """Pages of a gateway whose stats tell of its tables, and that something else moved."""
    pages = dict(snapshot.gateway["gateway-0"])
    stats = json.loads(pages["stats.json"])
    tables = [f"http.x.rds.higress-rds-80.{host}.version" for host in ("foo.test", "bar.test")]
    stats["stats"] += [{"name": name, "value": 1} for name in tables]
    stats["stats"].append({"name": "listener_manager.lds.version", "value": moved})
    return {**pages, "stats.json": json.dumps(stats).encode()}


def test_a_followed_gateway_tells_of_a_first_plugin_that_never_got_its_configuration() -> None:
    """Its dump had no section of plugins when it was read whole, and the parts that moved have none to show."""
    bare = plugin_worlds.world([OBJECTS[0]], gateway={}, rejected=["higress-system.auth"])
    with FakeAdmin(followed(plugin_worlds.world([]), moved=1)) as admin:
        follower = GatewayFollower(admin.url)
        follower.read(5, 1 << 24)
        admin.pages = followed(bare, moved=2)
        admin.asked.clear()
        found, _ = follower.read(5, 1 << 24)
        assert "/config_dump?include_eds" not in admin.asked  # it was not read whole
    result = audit(replace(bare, gateway={"gateway-0": found}))
    assert {r.slug for r in result.rules} == {"plugin-without-configuration"}


def test_an_open_stream_follows_plugins_that_come_and_go(snapshot: Snapshot) -> None:
    before = plugin_worlds.world([OBJECTS[1]])
    with (
        ControlPlane.of(before) as plane,
        FakeAdmin(snapshot.gateway["gateway-0"]) as admin,
        LiveReader(sources(snapshot, plane, admin)) as live,
    ):
        assert {p.name for p in audit(live.quick([])).plugins if p.verdict is Verdict.LOST} == {"auth"}
        plane.push(resources_of(snapshot.pilot["pilot-0"].served))
        for _ in range(100):
            result = audit(live.quick([]))
            if all(p.verdict is Verdict.IN_SYNC for p in result.plugins):
                break
    assert [p.verdict for p in result.plugins] == [Verdict.IN_SYNC] * 2


def api_of(kube: FakeKube, tmp_path: Path) -> Any:
    place = tmp_path / "config"
    place.write_text(kube.kubeconfig())
    return kube_api(str(place), timeout=5)


def test_wasm_plugins_of_all_namespaces_are_listed_and_followed(tmp_path: Path) -> None:
    objects = {"ingresses": [ingress("a", "foo.test")], "wasmplugins": [wasm("auth"), wasm("x", "shop")]}
    with FakeKube(objects) as kube:
        api = api_of(kube, tmp_path)
        found, complaints = lists(api, "higress-system")
        assert {i["metadata"]["name"] for i in json.loads(found["wasmplugins"])["items"]} == {"auth", "x"}
        assert complaints == []
        with KubeStore(api, "higress-system") as store:
            assert "auth" in store.read()[0]["wasmplugins"].decode()


def test_an_account_that_may_not_list_wasm_plugins_reads_all_else_without_a_gap(tmp_path: Path) -> None:
    with FakeKube({"ingresses": [ingress("a", "foo.test")], "wasmplugins": [wasm("auth")]}) as kube:
        kube.forbidden.add("wasmplugins")
        api = api_of(kube, tmp_path)
        found, complaints = lists(api, "higress-system")
        assert "wasmplugins" not in found
        assert complaints == []
        with KubeStore(api, "higress-system") as store:
            followed, said = store.read()
        assert "wasmplugins" not in followed
        assert said == ()


MANIFEST = """
apiVersion: extensions.higress.io/v1alpha1
kind: WasmPlugin
metadata: {name: auth, namespace: higress-system}
spec: {url: oci://registry.example.test/plugins/auth:1.0.0}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: other}
spec: {url: oci://registry.example.test/plugins/other:1.0.0}
"""


def test_manifests_hold_wasm_plugins_of_higress_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "plugins.yaml").write_text(MANIFEST)
    found = read_manifests([str(tmp_path)])
    assert [i["metadata"]["name"] for i in json.loads(found.lists["wasmplugins"])["items"]] == ["auth"]
    assert found.plugins == {"higress-system/auth"}
    assert found.refs == frozenset()
    assert found.origins["wasmplugin/higress-system/auth", "", ""].line == 2
