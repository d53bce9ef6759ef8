"""What proves what: each world is green or told otherwise by one detail, and its near miss differs in that detail alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests import worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B, WITHOUT_BAR
from tests.audit.test_replicas import CUT, SERVED, gateway, syncz
from xdsaudit import Audit, audit
from xdsaudit.audit.compare.view import foreign
from xdsaudit.audit.memory import Memory
from xdsaudit.model.route import MatchKey, Route
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.verdict import RuleVerdict, Stage, Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress

Json = dict[str, Any]
Change = Callable[[Json], None]
TABLES, SCOPES = 3, 2


def edited(change: Change, tables: worlds.Tables = GOOD) -> bytes:
    """A dump whose sections are changed in place."""
    dump = json.loads(worlds.config_dump(tables))
    change(dump["configs"])
    return json.dumps(dump).encode()


def with_dump(change: Change, items: list[Json] = ITEMS, tables: worlds.Tables | None = None, **pages: bytes) -> Audit:
    served = worlds.expectation(items).tables if tables is None else tables
    read = {"config_dump.json": edited(change, served), **{f"{k}.json": v for k, v in pages.items()}}
    return audit(worlds.world(items, pages=read))


def slugs(result: Audit) -> dict[str, str | None]:
    return {r.rule.ingress: r.slug for r in result.rules}


def of(result: Audit, name: str) -> RuleVerdict:
    return next(r for r in result.rules if r.rule.ingress == name)


# --- filter chains ----------------------------------------------------------------------------------------------------
SECURE = [ingress(n, f"{n}.test", f"/{n}", tls="cert") for n in ("one", "two")]


def chains(configs: Json, listener: int = 1) -> list[Json]:
    found: list[Json] = configs[1]["dynamic_listeners"][listener]["active_state"]["listener"]["filter_chains"]
    return found


@pytest.mark.parametrize("gone", ["one", "two"])
def test_a_tls_chain_leads_to_the_hosts_it_names_and_to_no_other(gone: str) -> None:
    def cut(configs: Json) -> None:
        chains(configs)[:] = [c for c in chains(configs) if c["filter_chain_match"]["server_names"] != [f"{gone}.test"]]

    result = with_dump(cut, SECURE)
    other = "two" if gone == "one" else "one"
    assert (of(result, gone).verdict, of(result, gone).slug) == (Verdict.LOST, "no-filter-chain")
    assert of(result, other).verdict is Verdict.IN_SYNC
    assert with_dump(lambda _: None, SECURE).exit_code() == 0


def test_a_tls_chain_without_server_names_leads_to_every_host() -> None:
    def one_for_all(configs: Json) -> None:
        del chains(configs)[1:]
        chains(configs)[0]["filter_chain_match"]["server_names"] = []

    assert with_dump(one_for_all, SECURE).exit_code() == 0


def test_a_draining_listener_leads_nowhere() -> None:
    def draining(configs: Json) -> None:
        listener = configs[1]["dynamic_listeners"][1]
        listener["draining_state"] = listener.pop("active_state")

    result = with_dump(draining, SECURE)
    assert {r.verdict for r in result.rules} == {Verdict.LOST}


# --- tables without routes --------------------------------------------------------------------------------------------
def of_host(configs: Json, host: str) -> Json:
    return next(
        t["route_config"] for t in configs[TABLES]["dynamic_route_configs"] if host in t["route_config"]["name"]
    )


def hole(configs: Json, name: str = "blackhole:80") -> None:
    of_host(configs, "bar.test")["virtual_hosts"] = [{"name": name, "domains": ["*"], "routes": []}]


def test_a_blackhole_table_of_a_dotted_host_is_called_one() -> None:
    found = of(with_dump(hole), "c")
    assert found.verdict is Verdict.LOST
    assert any("blackhole table" in line for line in found.evidence)
    other = of(with_dump(lambda configs: hole(configs, "allow_any")), "c")
    assert other.verdict is Verdict.LOST
    assert not any("blackhole" in line for line in other.evidence)


def test_pilots_blackhole_of_a_dotted_host_is_its_cause() -> None:
    def pilot(name: str) -> RuleVerdict:
        table = worlds.plain_table((80, "bar.test"), ())
        table["virtual_hosts"] = [{"name": name, "domains": ["*"], "routes": []}]
        return of(audit(replace(worlds.world(ITEMS), pilot={"pilot-0": PilotCapture(with_table(table))})), "c")

    assert (pilot("blackhole:80").code, pilot("blackhole:80").slug) == ("XA403", "blackhole-table")
    assert pilot("allow_any").slug == "lost-in-control-plane"


def with_table(table: Json) -> tuple[bytes, ...]:
    """What a pilot that serves GOOD answers, with this route table in the place of the one of its name."""
    from google.protobuf import json_format

    from xdsaudit.xds.pool import TYPES, message, pool

    resource = json_format.ParseDict(
        table, message(TYPES["RDS"].rpartition("/")[2])(), descriptor_pool=pool()
    ).SerializeToString()
    last = message("envoy.service.discovery.v3.DiscoveryResponse")(version_info="2", nonce="n", type_url=TYPES["RDS"])
    last.resources.add(type_url=TYPES["RDS"], value=resource)
    return (*SERVED, last.SerializeToString())


def test_on_demand_of_one_listener_among_several_makes_hosts_dormant() -> None:
    def lazy(configs: Json) -> None:
        manager = chains(configs, 0)[0]["filters"][0]["typed_config"]
        manager["http_filters"] = [{"name": "envoy.filters.http.on_demand"}]

    def unfetched(configs: Json) -> None:
        tables = configs[TABLES]["dynamic_route_configs"]
        tables[:] = [t for t in tables if "80.one.test" not in t["route_config"]["name"]]

    def both(configs: Json) -> None:
        lazy(configs)
        unfetched(configs)

    items = [ingress("one", "one.test", "/a"), *SECURE[1:]]
    assert of(with_dump(both, items), "one").verdict is Verdict.DORMANT
    assert of(with_dump(unfetched, items), "one").slug == "table-not-fetched"


# --- core -------------------------------------------------------------------------------------------------------------
def test_core_that_leads_elsewhere_is_changed_at_translation(recording: Any) -> None:
    snapshot = recording("healthy-scoped")

    def told(old: bytes, new: bytes) -> set[str]:
        assert len(old) == len(new)
        core = {"": tuple(answer.replace(old, new) for answer in snapshot.core[""])}
        changed = audit(replace(snapshot, core=core)).of(Verdict.CHANGED)
        assert all(r.stage is Stage.TRANSLATION and r.first_missing == "core" for r in changed)
        assert all(f.field == "cluster" and new.decode() in str(f.actual) for r in changed for f in r.fields)
        return {r.rule.ingress for r in changed}

    assert told(b"app-10059.shop.svc", b"app-1005x.shop.svc") == {"app-10059"}
    assert told(b"nothing-of-this-name", b"nothing-of-that-name") == set()


def test_core_without_a_host_has_lost_its_rules_at_translation_whoever_still_serves_them(recording: Any) -> None:
    snapshot = recording("healthy-scoped")
    core = {"": tuple(answer.replace(b"hash.shop.test", b"hash.shop.none") for answer in snapshot.core[""])}
    before = {r.rule for r in audit(snapshot).lost}
    lost = [r for r in audit(replace(snapshot, core=core)).lost if r.rule not in before]
    assert [(r.rule.ref, r.stage, r.first_missing) for r in lost] == [("shop/hashed", Stage.TRANSLATION, "core")]


# --- whose proof counts -----------------------------------------------------------------------------------------------
def two_gateways(views: tuple[ViewInfo, ...]) -> RuleVerdict:
    """Both lack c, one wholly and one in part; the second alone is connected to the pilot that was read."""
    part = {p: tuple(r for n, r in enumerate(rs) if p[1] != "bar.test" or n) for p, rs in GOOD.items()}
    capture = PilotCapture(SERVED, None, {"syncz.json": syncz("gw-1")})
    gateways = {"gw-0": gateway("gw-0", WITHOUT_BAR), "gw-1": gateway("gw-1", part)}
    return of(audit(replace(worlds.world(ITEMS), pilot={"pilot-0": capture}, gateway=gateways, views=views)), "c")


def test_a_gateway_of_an_unread_pilot_tells_no_cause() -> None:
    unread = ViewInfo(ViewName.PILOT, "pilot-1", State.UNREAD, "no answer")
    assert (two_gateways((unread,)).stage, two_gateways((unread,)).slug) == (Stage.DELIVERY, "not-delivered")
    assert (two_gateways(()).stage, two_gateways(()).slug) == (Stage.DELIVERY, "scope-not-applied")


def test_a_rejecting_gateway_is_fed_whichever_pilot_serves_it() -> None:
    unread = ViewInfo(ViewName.PILOT, "pilot-1", State.UNREAD, "no answer")
    refusing = {**gateway("gw-0", WITHOUT_B), "stats.json": worlds.stats(**{"higress-rds-80.foo.test": 1})}

    def slug(pages: dict[str, bytes]) -> str | None:
        return of(audit(replace(worlds.world(ITEMS), gateway={"gw-0": pages}, views=(unread,))), "b").slug

    assert slug(refusing) == "envoy-rejected"
    assert slug(gateway("gw-0", WITHOUT_B)) == "differs-in-gateway"


def rejected(node: str, *pilots: tuple[bytes, ...]) -> str | None:
    """What a gateway's loss is called where the first of these pilots counts a rejection by this node."""
    metric = f'pilot_xds_rds_reject{{err="Internal",node="{node}.higress-system"}} 1\n'.encode()
    captures = {
        f"pilot-{n}": PilotCapture(served, None, {"metrics.txt": b"" if n else metric})
        for n, served in enumerate(pilots)
    }
    return of(
        audit(replace(worlds.world(ITEMS), pilot=captures, gateway={"gw-0": gateway("gw-0", WITHOUT_B)})), "b"
    ).slug


def test_the_metrics_of_one_pilot_of_two_prove_a_rejection() -> None:
    assert rejected("gw-0", SERVED, SERVED) == "envoy-rejected"
    assert rejected("gw-1", SERVED, SERVED) == "not-delivered"


def test_what_a_pilot_lacks_too_is_no_rejection() -> None:
    assert rejected("gw-0", SERVED, CUT) == "lost-in-control-plane"


@pytest.mark.parametrize("number", [0, 1])
def test_the_error_of_either_listener_explains_what_no_chain_leads_to(number: int) -> None:
    def erring(configs: Json) -> None:
        configs[1]["dynamic_listeners"][number]["error_state"] = {"details": "bad chain"}
        chains(configs)[:] = [c for c in chains(configs) if c["filter_chain_match"]["server_names"] != ["one.test"]]

    assert of(with_dump(erring, SECURE), "one").slug == "listener-rejected"


def test_a_rejection_holds_what_it_explains_and_nothing_else() -> None:
    def erring(configs: Json) -> None:
        configs[1]["dynamic_listeners"][0]["error_state"] = {"details": "bad chain"}

    lacking = {p: r for p, r in WITHOUT_B.items() if p[1] != "bar.test"}
    counter = worlds.stats(**{"higress-rds-80.foo.test": 1})
    result = with_dump(erring, tables=lacking, stats=counter)
    assert slugs(result) == {"a": None, "b": "envoy-rejected", "c": "listener-rejected"}
    (finding,) = [f for f in result.findings if f.slug == "envoy-rejected"]
    assert "1 rule on 1 host" in finding.message


# --- culprits ---------------------------------------------------------------------------------------------------------
REGEX = {"nginx.ingress.kubernetes.io/use-regex": "true"}
BAD = ingress("bad", "foo.test", "/(?=x)", annotations=REGEX)


def test_what_the_gateway_runs_already_is_not_the_culprit() -> None:
    items = [*ITEMS, BAD]
    full = worlds.expectation(items).tables

    def without(*names: str) -> Audit:
        kept = {p: tuple(r for r in rs if r.name not in names) for p, rs in full.items()}
        return audit(worlds.world(items, gateway=kept))

    both = without("default/b", "default/bad")
    assert slugs(both)["b"] == "envoy-rejected"
    assert of(both, "b").by == of(both, "bad").rule
    running = without("default/b")
    assert slugs(running)["b"] == "not-delivered"
    assert of(running, "b").by is None


# --- what nobody expected ---------------------------------------------------------------------------------------------
def strangers(count: int) -> Audit:
    def insert(configs: Json) -> None:
        path = "/apis/networking.istio.io/v1alpha3/namespaces/mine/virtual-service/handmade"
        meta = {"filter_metadata": {"istio": {"config": path}}}
        routes = of_host(configs, "foo.test")["virtual_hosts"][0]["routes"]
        for n in range(count):
            routes.insert(
                0, {"match": {"prefix": f"/own{n}"}, "name": "own", "route": {"cluster": "c"}, "metadata": meta}
            )

    return with_dump(insert)


@pytest.mark.parametrize(("count", "said"), [(1, "1 route come"), (3, "3 routes come")])
def test_routes_of_another_origin_are_counted(count: int, said: str) -> None:
    (finding,) = strangers(count).findings
    assert finding.message.startswith(said)


WILD = [ingress("wild", "*.test", ("/", "Prefix"), service="wild"), ITEMS[0]]


def merged(*, first: bool, name: str = "default/wild", merge: bool = True) -> Audit:
    """A gateway in which the route of a wildcard host was copied to a host below it."""
    tables = dict(worlds.expectation(WILD).tables)
    copy = tables[80, "*.test"][0]._replace(name=name)
    own = tables[80, "foo.test"]
    tables[80, "foo.test"] = (copy, *own) if first else (*own, copy)
    snapshot = worlds.world(WILD, pilot=tables, gateway=tables)
    return audit(replace(snapshot, controller={**snapshot.controller, "host_rds_merge_subset": merge}))


def test_copies_of_a_wildcard_hosts_routes_are_nobodys_extra() -> None:
    assert merged(first=False).extra == ()
    assert merged(first=False).exit_code() == 0
    assert merged(first=False, merge=False).extra
    assert merged(first=False, name="default/other").extra


def test_a_copy_that_stands_before_a_hosts_own_routes_takes_their_requests() -> None:
    result = merged(first=True)
    found = of(result, "a")
    assert (found.verdict, found.by) == (Verdict.SHADOWED, of(result, "wild").rule)
    assert of(merged(first=True, merge=False), "a").by is None
    assert of(merged(first=False), "a").verdict is Verdict.IN_SYNC


# --- a part of a rule -------------------------------------------------------------------------------------------------
def stranger(at: int | None, prefix: str, cluster: str | None = "c") -> Audit:
    """A route of nobody, at a place among those of foo.test."""

    def insert(configs: Json) -> None:
        routes = of_host(configs, "foo.test")["virtual_hosts"][0]["routes"]
        own = next(r for r in routes if r["name"] == "default/b" and "prefix" in r["match"])
        action = own["route"] if cluster is None else {"cluster": cluster}
        route = {"match": {"prefix": prefix}, "name": "default/gone", "route": action}
        routes.insert(len(routes) if at is None else at, route)

    return with_dump(insert)


def test_a_stranger_that_takes_a_part_of_a_rules_requests_changes_it() -> None:
    found = of(stranger(0, "/b/"), "b")
    assert (found.verdict, [f.field for f in found.fields]) == (Verdict.CHANGED, ["order"])
    assert found.fields[0].actual == "default/gone prefix /b/"
    assert any("/b/" in line and "must be answered by default/b foo.test/b" in line for line in found.evidence)
    assert of(stranger(0, "/b/"), "a").verdict is Verdict.IN_SYNC


@pytest.mark.parametrize(
    ("at", "prefix", "cluster"),
    [(None, "/b/", "c"), (0, "/bb/", "c"), (0, "/b/", None)],
    ids=["behind it", "beside it", "to the same backend"],
)
def test_a_stranger_that_takes_nothing_from_a_rule_does_not_change_it(
    at: int | None, prefix: str, cluster: str | None
) -> None:
    assert of(stranger(at, prefix, cluster), "b").verdict is Verdict.IN_SYNC


@pytest.mark.parametrize("merge", [True, False])
def test_a_copy_that_takes_a_part_of_a_rules_requests_is_what_merging_means(merge: bool) -> None:
    items = [ingress("wild", "*.test", "/a", service="wild"), ingress("a", "foo.test", "/a")]
    tables = dict(worlds.expectation(items).tables)
    (part,) = [r for r in tables[80, "*.test"] if r.key.kind == "prefix"]
    tables[80, "foo.test"] = (part, *tables[80, "foo.test"])
    snapshot = worlds.world(items, pilot=tables, gateway=tables)
    found = of(audit(replace(snapshot, controller={**snapshot.controller, "host_rds_merge_subset": merge})), "a")
    assert found.verdict is (Verdict.IN_SYNC if merge else Verdict.CHANGED)


# --- memory -----------------------------------------------------------------------------------------------------------
def swapped(configs: Json) -> None:
    routes = of_host(configs, "foo.test")["virtual_hosts"][0]["routes"]
    routes.insert(0, {"match": {"prefix": "/b/"}, "name": "default/gone", "route": {"cluster": "c"}})


def led_elsewhere(configs: Json) -> None:
    of_host(configs, "foo.test")["virtual_hosts"][0]["routes"][0]["route"]["cluster"] = "elsewhere"


def taken_whole(configs: Json) -> None:
    routes = of_host(configs, "foo.test")["virtual_hosts"][0]["routes"]
    routes.insert(0, {"match": {"prefix": "/b"}, "name": "default/gone", "route": {"cluster": "c"}})


def one_less(configs: Json) -> None:
    del of_host(configs, "foo.test")["virtual_hosts"][0]["routes"][0]


@pytest.mark.parametrize("change", [swapped, led_elsewhere, taken_whole, one_less, hole], ids=lambda c: c.__name__)
def test_what_was_wrong_once_is_as_wrong_to_an_audit_that_remembers(change: Change) -> None:
    snapshot = worlds.world(ITEMS, pages={"config_dump.json": edited(change)})
    fresh, memory = audit(snapshot), Memory()
    assert any(r.verdict is not Verdict.IN_SYNC for r in fresh.rules)
    for n in range(3):
        again = replace(snapshot, captured_at=f"2026-11-24T00:00:0{n}Z")
        assert audit(again, memory=memory).rules == fresh.rules
        healthy = worlds.world(ITEMS, captured_at=f"2026-11-24T00:01:0{n}Z")
        assert audit(healthy, memory=memory).exit_code() == 0


def test_a_core_that_leads_elsewhere_does_so_to_an_audit_that_remembers(recording: Any) -> None:
    snapshot = recording("healthy-scoped")
    core = {"": tuple(a.replace(b"app-10059.shop.svc", b"app-1005x.shop.svc") for a in snapshot.core[""])}
    memory = Memory()
    for n in range(3):
        again = replace(snapshot, core=core, captured_at=f"2026-11-24T00:00:0{n}Z")
        assert [r.rule.ingress for r in audit(again, memory=memory).of(Verdict.CHANGED)] == ["app-10059"]


@pytest.mark.parametrize(
    ("origin", "stranger_"),
    [
        ("mine/virtual-service/handmade", "mine/handmade"),
        ("x/namespaces/mine/virtual-service/handmade", "mine/handmade"),
        ("mine/virtual-service/istio-autogenerated-k8s-ingress-x", ""),
        ("virtual-service/handmade", ""),
        ("", ""),
    ],
)
def test_the_object_that_a_route_was_made_of_is_read_from_its_origin(origin: str, stranger_: str) -> None:
    assert foreign(Route(MatchKey("prefix", "/"), "x", {}, None, origin=origin)) == stranger_


@pytest.mark.parametrize(
    ("of_base", "of_canary", "culprit"),
    [
        ({}, {"higress.io/request-header-control-add": "x-a 100%"}, "canary"),
        ({"higress.io/request-header-control-add": "x-a 100%"}, {}, "base"),
        ({"higress.io/timeout": "-3"}, {"higress.io/request-header-control-add": "x-a b"}, "base"),
    ],
    ids=["the canary's header", "the base's header", "the base's timeout"],
)
def test_the_culprit_is_the_canary_where_the_base_alone_would_be_taken(
    of_base: dict[str, str], of_canary: dict[str, str], culprit: str
) -> None:
    notes = {f"nginx.ingress.kubernetes.io/{k}": v for k, v in (("canary", "true"), ("canary-weight", "30"))}
    items = [
        ingress("base", "foo.test", "/x", annotations=of_base, service="one"),
        ingress("canary", "foo.test", "/x", annotations={**notes, **of_canary}, service="two"),
        ITEMS[1],
    ]
    kept = {p: tuple(r for r in rs if r.name == "default/b") for p, rs in worlds.expectation(items).tables.items()}
    result = audit(worlds.world(items, gateway=kept))
    (finding,) = [f for f in result.findings if f.slug == "envoy-rejected"]
    assert finding.by is not None
    assert finding.by.ingress == culprit
    held = {r.rule.ingress: r.by.ingress if r.by else None for r in result.lost}
    assert held == {name: None if name == culprit else culprit for name in ("base", "canary")}
