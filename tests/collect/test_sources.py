"""Live sources: endpoints that answer, refuse, hang, reset or talk nonsense; each says so and none hangs."""

from __future__ import annotations

import socket
import time
from dataclasses import replace

import pytest

from tests import worlds
from xdsaudit import InputError, ReadError, audit
from xdsaudit.collect.access import Access
from xdsaudit.collect.admin import fetch_gateway
from xdsaudit.collect.ads import fetch_core, fetch_pilot
from xdsaudit.collect.sources import Sources, private_version, read
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import State, ViewName
from xdsaudit.testing import ControlPlane, FakeAdmin, ingress
from xdsaudit.testing.rewrite import resources_of
from xdsaudit.xds.core import MCP_TYPES
from xdsaudit.xds.session import Node

pytestmark = pytest.mark.slow

ITEMS = [ingress("a", "foo.test", "/a"), ingress("b", "foo.test", "/b")]
QUICK = Access(timeout=1.0)


@pytest.fixture
def snapshot():
    return worlds.world(ITEMS, fresh=worlds.expectation(ITEMS).tables)


@pytest.fixture
def plane(snapshot):
    with ControlPlane.of(snapshot) as found:
        yield found


def test_everything_together(recording) -> None:
    recorded = recording("healthy-scoped")
    with ControlPlane.of(recorded) as plane, FakeAdmin(next(iter(recorded.gateway.values()))) as admin:
        sources = Sources(
            kube=recorded.kube,
            ads=(plane.endpoint,),
            core=(plane.endpoint,),
            gateways=(admin.url,),
            controller=recorded.controller,
        )
        result = audit(read(sources))
        assert all(path.split("?")[0] in ("/config_dump", "/stats", "/server_info") for path in admin.asked)
    expected = audit(recorded)
    assert [(r.rule, r.verdict, r.stage, r.slug) for r in result.rules] == [
        (r.rule, r.verdict, r.stage, r.slug) for r in expected.rules
    ]
    assert result.exit_code() == 1
    assert {v.state for v in result.views} == {State.READ}


def test_probe_cache_reads_the_private_line(recording) -> None:
    recorded = recording("batch-loss")
    with ControlPlane.of(recorded) as plane:
        result = audit(read(Sources(kube=recorded.kube, ads=(plane.endpoint,), probe_cache=True)))
        versions = {c.version for c in plane.clients}
    (lost,) = result.lost
    assert (lost.stage, lost.rule.ingress) == ("cache", "app-10061")
    assert "1.19.5" in versions
    assert any(v.startswith("1.19.5-xdsaudit-") for v in versions)


def test_a_private_version_is_never_used_twice() -> None:
    assert len({private_version("1") for _ in range(100)}) == 100


def test_a_five_megabyte_table(recording) -> None:
    recorded = recording("batch-loss-full.tar.xz")
    with ControlPlane.of(recorded) as plane:
        responses, why = fetch_pilot(plane.endpoint, Node(), Access(timeout=20))
    assert why is None
    assert max(map(len, responses)) > 4_500_000


def test_foreign_labels_are_served_nothing(plane, snapshot) -> None:
    sources = Sources(kube=snapshot.kube, ads=(plane.endpoint,), node=Node(labels={"app": "x"}))
    result = audit(read(sources))
    assert result.lost == ()
    assert [f.slug for f in result.findings] == ["node-served-nothing"]
    assert result.exit_code() == 3


def test_node_from_a_gateway(recording) -> None:
    recorded = recording("healthy-scoped")
    with ControlPlane.of(recorded) as plane, FakeAdmin(next(iter(recorded.gateway.values()))) as admin:
        pages = {**admin.pages}
        pages["server_info.json"] = pages["server_info.json"].replace(b'"1.19.5"', b'"1.27.1"')
        admin.pages = pages
        read(Sources(kube=recorded.kube, ads=(plane.endpoint,), node_from=admin.url))
        read(Sources(kube=recorded.kube, ads=(plane.endpoint,), gateways=(admin.url,)))
        read(Sources(kube=recorded.kube, ads=(plane.endpoint,), gateways=(admin.url,), node=Node(istio_version="mine")))
    assert [c.version for c in plane.clients] == ["1.27.1", "1.27.1", "mine"]
    assert {c.node_id for c in plane.clients} == {Node().id}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("hang", "no complete answer within 1 s"),
        ("reset", "connection reset by the test"),
        ("garbage", "is not a DiscoveryResponse"),
        ("close", "closed the stream"),
    ],
)
def test_a_misbehaving_pilot(plane, how: str, said: str) -> None:
    plane.misbehave(how)
    start = time.monotonic()
    with pytest.raises(ReadError, match=said):
        fetch_pilot(plane.endpoint, Node(), QUICK)
    assert time.monotonic() - start < 5


def test_an_oversized_answer_nobody_asked_for_is_no_answer(plane) -> None:
    plane.misbehave("oversize")
    with pytest.raises(ReadError, match=plane.endpoint):
        fetch_pilot(plane.endpoint, Node(), QUICK)


def test_an_unreachable_pilot_names_the_endpoint_and_others_are_used(plane, snapshot) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"127.0.0.1:{probe.getsockname()[1]}"
        found = read(Sources(kube=snapshot.kube, ads=(closed, plane.endpoint), access=QUICK))
    states = [(v.state, v.replica) for v in found.views if v.name is ViewName.PILOT]
    assert states == [(State.UNREAD, closed.replace(":", "_")), (State.READ, plane.endpoint.replace(":", "_"))]
    assert closed in next(v.why for v in found.views if v.state is State.UNREAD)
    assert audit(found).exit_code() == 3


def test_a_silent_endpoint() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(ReadError, match=endpoint):
            fetch_pilot(endpoint, Node(), QUICK)
        with pytest.raises(ReadError, match=r"no answer within 1 s"):
            fetch_gateway(f"http://{endpoint}", 1.0)
        assert time.monotonic() - start < 8


def test_a_stream_that_breaks_once_is_read_again(plane) -> None:
    plane.misbehave("reset")
    import threading

    threading.Timer(0.15, lambda: plane.misbehave(None)).start()
    responses, why = fetch_pilot(plane.endpoint, Node(), Access(timeout=10))
    assert why is None
    assert responses


def test_core(recording) -> None:
    recorded = recording("healthy-scoped")
    with ControlPlane.of(recorded) as plane:
        assert fetch_core(plane.endpoint, MCP_TYPES, Access(timeout=10)) == recorded.core[""]
        plane.misbehave("hang")
        with pytest.raises(
            ReadError, match="VirtualService"
        ):  # the connection alone may take a second on a busy machine
            fetch_core(plane.endpoint, MCP_TYPES, Access(timeout=4))


def test_a_token_is_never_sent_in_the_clear(tmp_path) -> None:
    token = tmp_path / "token"
    token.write_text("secret-token")
    with pytest.raises(InputError, match="TLS only") as error:
        fetch_pilot("127.0.0.1:1", Node(), Access(token_file=token))
    assert "secret-token" not in str(error.value)
    with pytest.raises(InputError, match="CA file"):
        fetch_pilot("127.0.0.1:1", Node(), Access(tls=True, ca=tmp_path / "none"))


def test_pushes_reach_open_streams(plane, snapshot) -> None:
    fewer = worlds.expectation(ITEMS[:1]).tables
    before, _ = fetch_pilot(plane.endpoint, Node(), QUICK)
    plane.push(resources_of(worlds.responses(fewer)), resources_of(worlds.responses(fewer)))
    after, _ = fetch_pilot(plane.endpoint, Node(), QUICK)
    assert before != after
    result = audit(read(Sources(kube=snapshot.kube, ads=(plane.endpoint,))))
    assert [r.rule.ingress for r in result.of(Verdict.LOST)] == ["b"]


# --- the admin port ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "HTTP 403.*forward port 15000"),
        (404, "HTTP 404.*not Envoy's admin port"),
        (503, "HTTP 503.*look at its pod"),
    ],
)
def test_statuses_of_the_admin_port(snapshot, status: int, said: str) -> None:
    with FakeAdmin(snapshot.gateway["gateway-0"]) as admin:
        admin.status = status
        with pytest.raises(ReadError, match=said):
            fetch_gateway(admin.url, 2.0)


def test_a_gateway_without_stats_is_partial_and_still_judged(snapshot) -> None:
    with (
        FakeAdmin({"config_dump.json": worlds.config_dump(worlds.expectation(ITEMS[:1]).tables)}) as admin,
        ControlPlane.of(snapshot) as plane,
    ):
        found = read(Sources(kube=snapshot.kube, ads=(plane.endpoint,), gateways=(admin.url,)))
    gateway = next(v for v in found.views if v.name is ViewName.GATEWAY)
    assert gateway.state is State.PARTIAL
    assert "404" in (gateway.why or "")
    assert [r.rule.ingress for r in audit(found).lost] == ["b"]


def test_a_gateway_that_hangs(snapshot) -> None:
    with FakeAdmin(snapshot.gateway["gateway-0"]) as admin:
        admin.hang = True
        with pytest.raises(ReadError, match=r"no answer within 0\.5 s"):
            fetch_gateway(admin.url, 0.5)


def test_a_saved_config_dump(tmp_path, snapshot) -> None:
    for name, data in snapshot.gateway["gateway-0"].items():
        (tmp_path / name).write_bytes(data)
    pages, complaints = fetch_gateway(str(tmp_path / "config_dump.json"), 1.0)
    assert pages.keys() == snapshot.gateway["gateway-0"].keys()
    assert complaints == []
    with pytest.raises(ReadError, match=r"No such file"):
        fetch_gateway(str(tmp_path / "none.json"), 1.0)
    with pytest.raises(ReadError, match="cannot be reached"):
        fetch_gateway("http://127.0.0.1:1", 1.0)


def test_several_gateways_get_names_of_their_own(snapshot) -> None:
    with FakeAdmin(snapshot.gateway["gateway-0"]) as one, FakeAdmin(snapshot.gateway["gateway-0"]) as two:
        found = read(Sources(kube=snapshot.kube, gateways=(one.url, two.url, one.url)))
    assert len(found.gateway) == 3
    assert audit(replace(found, pilot={})).exit_code() == 0
