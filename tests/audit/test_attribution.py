"""Causes of a loss told apart, each beside a near miss that must not get its verdict."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests import worlds
from xdsaudit import Snapshot, audit
from xdsaudit.audit.causes.catalogue import CATALOGUE, find
from xdsaudit.model.verdict import Stage, Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress, ingress_list

ITEMS = [ingress("a", "foo.test", "/a"), ingress("b", "foo.test", "/b"), ingress("c", "bar.test", "/c")]
GOOD = worlds.expectation(ITEMS).tables
WITHOUT_B = {p: tuple(r for r in routes if r.name != "default/b") for p, routes in GOOD.items()}
WITHOUT_BAR = {p: r for p, r in GOOD.items() if p[1] != "bar.test"}


def one(snapshot: Snapshot, verdict: Verdict = Verdict.LOST):
    (found,) = audit(snapshot).of(verdict)
    return found


def test_delivery_without_a_reason() -> None:
    found = one(worlds.world(ITEMS, gateway=WITHOUT_B))
    assert (found.rule.ingress, found.stage, found.slug) == ("b", Stage.DELIVERY, "not-delivered")
    assert (found.last_seen, found.first_missing) == ("pilot", "gateway")


def test_disconnection_outranks_a_rejection_counter() -> None:
    pages = {"stats.json": worlds.stats(connected=0, **{"higress-rds-80.foo.test": 1})}
    assert one(worlds.world(ITEMS, gateway=WITHOUT_B, pages=pages)).slug == "gateway-disconnected"


def test_a_counter_beside_a_difference_is_a_rejection_and_alone_is_nothing() -> None:
    pages = {"stats.json": worlds.stats(**{"higress-rds-80.foo.test": 1})}
    result = audit(worlds.world(ITEMS, gateway=WITHOUT_B, pages=pages))
    assert [r.slug for r in result.lost] == ["envoy-rejected"]
    (finding,) = result.findings
    assert "culprit is not known" in finding.message
    healthy = audit(worlds.world(ITEMS, pages=pages))
    assert healthy.findings == ()
    assert healthy.exit_code() == 0


def test_disconnected_but_equal_is_a_warning() -> None:
    result = audit(worlds.world(ITEMS, pages={"stats.json": worlds.stats(connected=0)}))
    assert [(f.slug, f.severity.value) for f in result.findings] == [("gateway-disconnected", "warning")]
    assert result.exit_code() == 0


def test_scope_missing_in_the_gateway() -> None:
    assert one(worlds.world(ITEMS, gateway=WITHOUT_BAR)).slug == "scope-not-applied"


def test_scope_without_table_in_the_gateway() -> None:
    dump = json.loads(worlds.config_dump(GOOD))
    tables = dump["configs"][3]["dynamic_route_configs"]
    tables[:] = [t for t in tables if "bar.test" not in t["route_config"]["name"]]
    pages = {"config_dump.json": json.dumps(dump).encode()}
    assert one(worlds.world(ITEMS, pages=pages)).slug == "table-not-fetched"


def test_on_demand_is_dormant_not_lost() -> None:
    dump = json.loads(worlds.config_dump(GOOD))
    tables = dump["configs"][3]["dynamic_route_configs"]
    tables[:] = [t for t in tables if "bar.test" not in t["route_config"]["name"]]
    listener = dump["configs"][1]["dynamic_listeners"][0]["active_state"]["listener"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"] = [{"name": "envoy.filters.http.on_demand"}]
    result = audit(worlds.world(ITEMS, pages={"config_dump.json": json.dumps(dump).encode()}))
    assert [r.rule.ingress for r in result.of(Verdict.DORMANT)] == ["c"]
    assert result.exit_code() == 0


def test_on_demand_by_option() -> None:
    dump = json.loads(worlds.config_dump(GOOD))
    tables = dump["configs"][3]["dynamic_route_configs"]
    tables[:] = [t for t in tables if "bar.test" not in t["route_config"]["name"]]
    snapshot = worlds.world(ITEMS, pages={"config_dump.json": json.dumps(dump).encode()})
    result = audit(replace(snapshot, controller={**snapshot.controller, "on_demand_rds": True}))
    assert [r.rule.ingress for r in result.of(Verdict.DORMANT)] == ["c"]


def test_pilot_lacks_what_the_gateway_still_has() -> None:
    found = one(worlds.world(ITEMS, pilot=WITHOUT_B))
    assert found.stage is Stage.CONTROL_PLANE
    assert any("still serves" in line for line in found.evidence)


def test_no_filter_chain() -> None:
    items = [ingress("a", "foo.test", "/a", tls="cert"), ingress("b", "bar.test", "/b", tls="cert")]
    dump = json.loads(worlds.config_dump(worlds.expectation(items).tables))
    chains = dump["configs"][1]["dynamic_listeners"][1]["active_state"]["listener"]["filter_chains"]
    chains[:] = [c for c in chains if c["filter_chain_match"]["server_names"] != ["foo.test"]]
    assert one(worlds.world(items, pages={"config_dump.json": json.dumps(dump).encode()})).slug == "no-filter-chain"


def test_changed_names_the_field() -> None:
    other = {
        p: tuple(
            r._replace(cluster="outbound|80||x.default.svc.cluster.local") if r.name == "default/b" else r for r in rs
        )
        for p, rs in GOOD.items()
    }
    found = one(worlds.world(ITEMS, gateway=other), Verdict.CHANGED)
    assert found.stage is Stage.DELIVERY
    assert [(d.field, d.view) for d in found.fields] == [("cluster", "gateway")]


def test_extra_is_said_once_per_view() -> None:
    result = audit(worlds.world(ITEMS[:2], gateway=GOOD))
    assert {(e.view, e.route, e.match) for e in result.extra} == {
        ("gateway", "default/c", "path /c"),
        ("gateway", "default/c", "prefix /c/"),
    }
    assert result.exit_code() == 1


@pytest.mark.parametrize(("regex", "lost"), [("(?=x)", True), ("x(", True), ("x+", False)])
def test_a_regex_that_re2_refuses_is_the_culprit(regex: str, lost: bool) -> None:
    bad = ingress("bad", "bar.test", f"/{regex}", annotations={"nginx.ingress.kubernetes.io/use-regex": "true"})
    items = [*ITEMS, bad]
    kept = worlds.expectation(ITEMS).tables
    pages = {"stats.json": worlds.stats(**{"higress-rds-80.bar.test": 1} if lost else {})}
    found = one(worlds.world(items, gateway=kept, pages=pages))
    assert found.slug == ("envoy-rejected" if lost else "not-delivered")
    assert any("RE2" in line for line in found.evidence) is lost


# --- what could not be looked at --------------------------------------------------------------------------------------
def test_an_unread_gateway_leaves_rules_unknown_and_hides_no_loss() -> None:
    info = ViewInfo(ViewName.GATEWAY, "gateway-0", State.UNREAD, "no answer within 10 s")
    broken = audit(worlds.world(ITEMS, pilot=WITHOUT_B, views=(info,), gateway_pages={}))
    assert [r.rule.ingress for r in broken.lost] == ["b"]
    assert {r.rule.ingress for r in broken.of(Verdict.UNKNOWN)} == {"a", "c"}
    assert broken.exit_code() == 1
    assert audit(worlds.world(ITEMS, views=(info,), gateway_pages={})).exit_code() == 3


def test_one_unread_replica_of_several_is_a_gap_and_hides_nothing() -> None:
    info = ViewInfo(ViewName.GATEWAY, "gateway-1", State.UNREAD, "no answer within 10 s")
    result = audit(worlds.world(ITEMS, views=(info,)))
    assert {r.verdict for r in result.rules} == {Verdict.IN_SYNC}
    assert ("gateway-1", Verdict.UNKNOWN) in {(r.replica, r.verdict) for r in result.rules[0].replicas}
    assert result.exit_code() == 3
    assert [r.rule.ingress for r in audit(worlds.world(ITEMS, gateway=WITHOUT_B, views=(info,))).lost] == ["b"]


def test_a_partial_pilot_never_loses_a_rule() -> None:
    info = ViewInfo(ViewName.PILOT, "pilot-0", State.PARTIAL, "RDS unanswered")
    result = audit(worlds.world(ITEMS, pilot=WITHOUT_BAR, views=(info,)))
    assert result.lost == ()
    assert [r.rule.ingress for r in result.of(Verdict.UNKNOWN)] == ["c"]
    assert result.exit_code() == 3


def test_a_node_that_is_served_nothing_is_one_finding_not_many_losses() -> None:
    result = audit(worlds.world(ITEMS, pilot={}, gateway=GOOD))
    empty = audit(replace(worlds.world(ITEMS, pilot={}), pilot=audit_pilot_empty()))
    for found in (empty,):
        assert found.lost == ()
        assert [f.slug for f in found.findings] == ["node-served-nothing"]
        assert found.exit_code() == 3
    assert result.lost  # a listener without any table is an answer, and it lacks the rules


def audit_pilot_empty():
    from xdsaudit.model.snapshot import PilotCapture
    from xdsaudit.xds.pool import TYPES, message

    response = message("envoy.service.discovery.v3.DiscoveryResponse")
    empty = tuple(response(type_url=TYPES[s], version_info="1").SerializeToString() for s in ("CDS", "LDS"))
    return {"pilot-0": PilotCapture(empty)}


def test_only_ingresses_is_not_enough() -> None:
    result = audit(Snapshot(kube=worlds.kube(ITEMS)))
    assert {r.verdict for r in result.rules} == {Verdict.UNKNOWN}
    assert result.exit_code() == 3


def test_no_ingresses_is_not_enough() -> None:
    result = audit(replace(worlds.world(ITEMS), kube={}))
    assert result.rules == ()
    assert result.exit_code() != 0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("pilot", b"\xff\xff garbage"),
        ("gateway", b"{trunc"),
        ("gateway", b'{"kind": "PodList"}'),
        ("core", b"\x00\x01"),
    ],
)
def test_garbage_in_one_view_leaves_the_others(name: str, data: bytes) -> None:
    snapshot = worlds.world(ITEMS)
    if name == "pilot":
        snapshot = replace(snapshot, pilot={"pilot-0": replace(snapshot.pilot["pilot-0"], served=(data,))})
    elif name == "gateway":
        snapshot = replace(snapshot, gateway={"gateway-0": {"config_dump.json": data}})
    else:
        snapshot = replace(snapshot, core={"": (data,)})
    result = audit(snapshot)
    assert result.lost == ()
    (gap,) = result.gaps
    assert gap.name.value == name
    assert gap.why
    assert result.exit_code() == 3


def test_without_pilot_no_stage_is_named() -> None:
    found = one(replace(worlds.world(ITEMS, gateway=WITHOUT_B), pilot={}))
    assert (found.stage, found.slug, found.last_seen, found.first_missing) == (
        None,
        "differs-in-gateway",
        "ingress",
        "gateway",
    )
    other = {p: tuple(r._replace(cluster="outbound|80||x.y") for r in rs) for p, rs in GOOD.items()}
    changed = audit(replace(worlds.world(ITEMS, gateway=other), pilot={})).of(Verdict.CHANGED)
    assert {(r.stage, r.slug) for r in changed} == {(None, "differs-in-gateway")}


# --- age --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("grace", "verdict"), [(0.0, Verdict.LOST), (60.0, Verdict.PENDING)])
def test_grace(grace: float, verdict: Verdict) -> None:
    items = [ITEMS[0], ingress("b", "foo.test", "/b", created="2026-11-23T23:59:50Z")]
    without = {p: tuple(r for r in rs if r.name != "default/b") for p, rs in worlds.expectation(items).tables.items()}
    assert one(worlds.world(items, gateway=without, grace=grace), verdict).rule.ingress == "b"


def test_grace_does_not_hide_what_is_proven() -> None:
    items = [ITEMS[0], ingress("b", "foo.test", "/b", created="2026-11-23T23:59:50Z")]
    without = {p: tuple(r for r in rs if r.name != "default/b") for p, rs in worlds.expectation(items).tables.items()}
    pages = {"stats.json": worlds.stats(connected=0)}
    assert one(worlds.world(items, gateway=without, grace=60.0, pages=pages)).rule.ingress == "b"


# --- replicas ---------------------------------------------------------------------------------------------------------
def test_two_gateways_of_which_one_is_stale() -> None:
    snapshot = worlds.world(ITEMS)
    stale = {"config_dump.json": worlds.config_dump(WITHOUT_B), "stats.json": worlds.stats()}
    result = audit(replace(snapshot, gateway={**snapshot.gateway, "gateway-1": stale}))
    (lost,) = result.lost
    assert {(r.replica, r.verdict) for r in lost.replicas if r.view == "gateway"} == {
        ("gateway-0", Verdict.IN_SYNC),
        ("gateway-1", Verdict.LOST),
    }
    (finding,) = result.findings
    assert finding.slug == "replicas-disagree"
    assert "1 of 2 gateway replicas" in finding.message


# --- upstream ---------------------------------------------------------------------------------------------------------
def test_no_endpoints() -> None:
    dump = json.loads(worlds.config_dump(GOOD))
    name = "outbound|80||web.default.svc.cluster.local"
    dump["configs"][0]["dynamic_active_clusters"] = [{"cluster": {"name": name, "type": "EDS"}}]
    kind = "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump"
    dump["configs"].append({"@type": kind, "dynamic_endpoint_configs": [{"endpoint_config": {"cluster_name": name}}]})
    slices = ingress_list([], "EndpointSlice")
    snapshot = worlds.world(ITEMS, pages={"config_dump.json": json.dumps(dump).encode()})
    result = audit(replace(snapshot, kube={**snapshot.kube, "endpointslices": slices}))
    assert {r.slug for r in result.of(Verdict.NO_UPSTREAM)} == {"no-endpoints"}
    assert "EndpointSlices: none ready" in result.rules[0].evidence[0]


# --- codes ------------------------------------------------------------------------------------------------------------
def test_codes_are_unique_and_found_by_number_and_slug() -> None:
    assert len({c.code for c in CATALOGUE}) == len({c.slug for c in CATALOGUE}) == len(CATALOGUE)
    assert find("xa401") is find("stale-route-cache")
    assert find("nope") is None


# --- no alarm ---------------------------------------------------------------------------------------------------------
def _with_routes(change) -> Snapshot:
    """A world whose gateway's virtual host of foo.test is changed in place."""
    dump = json.loads(worlds.config_dump(GOOD))
    table = next(
        t["route_config"]
        for t in dump["configs"][3]["dynamic_route_configs"]
        if "foo.test" in t["route_config"]["name"]
    )
    change(table["virtual_hosts"][0]["routes"])
    return worlds.world(ITEMS, pages={"config_dump.json": json.dumps(dump).encode()})


def _origin(name: str) -> dict[str, object]:
    path = f"/apis/networking.istio.io/v1alpha3/namespaces/mine/virtual-service/{name}"
    return {"filter_metadata": {"istio": {"config": path}}}


@pytest.mark.parametrize(("name", "extra"), [("handmade", 0), ("istio-autogenerated-k8s-ingress-x", 1)])
def test_routes_of_other_origins_are_said_once_and_never_extra(name: str, extra: int) -> None:
    route = {"match": {"prefix": "/own"}, "name": "own", "route": {"cluster": "c"}, "metadata": _origin(name)}
    result = audit(_with_routes(lambda routes: routes.insert(0, route)))
    assert len(result.extra) == extra
    assert [f.slug for f in result.findings] == ([] if extra else ["other-origin"])
    assert result.exit_code() == extra


@pytest.mark.parametrize(
    ("name", "verdict"), [("envoy.filters.http.lua", Verdict.IN_SYNC), ("envoy.filters.http.rbac", Verdict.CHANGED)]
)
def test_a_filter_that_no_annotation_makes_is_nobodys_rule(name: str, verdict: Verdict) -> None:
    config = {name: {"@type": "type.googleapis.com/x.Y"}}
    result = audit(_with_routes(lambda routes: routes[0].update(typed_per_filter_config=config)))
    assert result.of(verdict)
    assert bool(result.of(Verdict.CHANGED)) is (verdict is Verdict.CHANGED)


def test_kinds_that_were_not_read_raise_no_alarm() -> None:
    notes = {"higress.io/upstream-hash-by": "$host", "higress.io/mirror-target-service": "web"}
    items = [ingress("a", "foo.test", "/a", annotations=notes)]
    full = worlds.world(items)
    assert audit(full).exit_code() == 0
    bare = audit(replace(full, kube={"ingresses": full.kube["ingresses"]}))
    assert bare.of(Verdict.CHANGED, Verdict.LOST) == ()
    assert bare.extra == ()


def test_certificates_by_domain_that_were_not_read_open_the_https_place() -> None:
    item = ingress("a", "x.foo.test", "/a", tls="cert")
    served = worlds.expectation([item]).tables
    item["spec"]["tls"] = [{"hosts": ["*.foo.test"]}]
    full = worlds.world([item], pilot=served, gateway=served)
    assert audit(full).exit_code() == 0
    config = {"metadata": {"name": "other"}}
    assert audit(replace(full, kube={**full.kube, "configmaps": ingress_list([config], "ConfigMap")})).extra


# --- beside routes ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("notes", "field", "expected"),
    [
        ({"higress.io/backend-protocol": "GRPC"}, "cluster.http2", True),
        ({"higress.io/backend-protocol": "https"}, "cluster.tls", True),
        ({"higress.io/load-balance": "round_robin"}, "cluster.lb_policy", "ROUND_ROBIN"),
        ({"higress.io/upstream-hash-by": "$nonsense"}, "cluster.lb_policy", "ROUND_ROBIN"),
    ],
)
def test_policies_of_clusters(notes: dict[str, str], field: str, expected: object) -> None:
    items = [ingress("a", "foo.test", "/a", annotations=notes), ingress("b", "foo.test", "/b", service="other")]
    found = one(worlds.world(items), Verdict.CHANGED)
    assert found.rule.ingress == "a"
    assert {(d.field, d.expected) for d in found.fields} == {(field, expected)}
    assert found.stage is Stage.CONTROL_PLANE


@pytest.mark.parametrize(
    "notes",
    [
        {"higress.io/load-balance": "nope"},
        {"higress.io/load-balance": "PASSTHROUGH"},
        {"higress.io/backend-protocol": "HTTP"},
    ],
)
def test_policies_that_ask_for_nothing(notes: dict[str, str]) -> None:
    assert audit(worlds.world([ingress("a", "foo.test", "/a", annotations=notes)])).exit_code() == 0


def test_a_gateway_with_another_certificate() -> None:
    items = [ingress("a", "foo.test", "/a", tls="new")]
    dump = json.loads(worlds.config_dump(worlds.expectation(items).tables))
    listener = dump["configs"][1]["dynamic_listeners"][1]["active_state"]["listener"]
    tls = listener["filter_chains"][0]["transport_socket"]["typed_config"]

    def changed(secret: str) -> int:
        tls["common_tls_context"] = {
            "tls_certificate_sds_secret_configs": [{"name": f"kubernetes-ingress://Kubernetes/default/{secret}"}]
        }
        result = audit(worlds.world(items, pages={"config_dump.json": json.dumps(dump).encode()}))
        assert all(d.field == "tls.secret" for r in result.of(Verdict.CHANGED) for d in r.fields)
        return len(result.of(Verdict.CHANGED))

    assert (changed("old"), changed("new"), changed("new-cacert")) == (1, 0, 0)


@pytest.mark.parametrize(("index", "field"), [(2, "destination_rule"), (4, "service_entry")])
def test_objects_that_core_lacks_are_translation_losses(recording, index: int, field: str) -> None:
    snapshot = recording("healthy-scoped")
    answers = snapshot.core[""]
    result = audit(replace(snapshot, core={"": tuple(a for n, a in enumerate(answers) if n != index)}))
    changed = result.of(Verdict.CHANGED)
    assert {r.stage for r in changed} == {Stage.TRANSLATION}
    assert {d.field for r in changed for d in r.fields} == {field}
