"""Verdicts one by one: what each detail of a view decides, told apart from the detail beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests import worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B
from tests.audit.test_codes import CANARIES, SECURE, bridged, secret
from tests.audit.test_proof import BAD, chains, edited, of, of_host, slugs, with_dump
from tests.audit.test_replicas import SERVED, gateway
from xdsaudit import Audit, Snapshot, audit
from xdsaudit.audit.compare.align import Comparer, align
from xdsaudit.audit.memory import Memory
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.model.route import MatchKey, Route
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.verdict import Stage, Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress, ingress_list, service
from xdsaudit.xds.pool import TYPES, message

Json = dict[str, Any]
BOTH = [ITEMS[0], ingress("s", "safe.test", "/s", tls="cert")]
GATEWAY_UNREAD = ViewInfo(ViewName.GATEWAY, "gateway-0", State.UNREAD, "no answer")


# --- listeners --------------------------------------------------------------------------------------------------------
def warming(configs: Json, number: int, *, old: bool = False) -> None:
    listener = configs[1]["dynamic_listeners"][number]
    listener["warming_state"] = listener.pop("active_state")
    if old:
        listener["draining_state"] = listener["warming_state"]


def test_a_warming_listener_makes_the_rules_of_its_own_port_wait() -> None:
    secure = with_dump(lambda configs: warming(configs, 1), BOTH)
    assert (of(secure, "s").verdict, of(secure, "s").slug) == (Verdict.PENDING, "listener-warming")
    assert of(secure, "a").verdict is Verdict.IN_SYNC
    plain = with_dump(lambda configs: warming(configs, 0), BOTH)  # a rule with TLS is served in plain text too
    assert {r.verdict for r in plain.rules} == {Verdict.PENDING}


def test_a_listener_whose_old_self_is_draining_still_waits() -> None:
    assert of(with_dump(lambda configs: warming(configs, 1, old=True), BOTH), "s").verdict is Verdict.PENDING


def test_nothing_listens_on_one_port_and_all_is_well_on_the_other() -> None:
    def deaf(configs: Json) -> None:
        del configs[1]["dynamic_listeners"][1]

    result = with_dump(deaf, BOTH)
    assert slugs(result) == {"a": None, "s": "nothing-listens"}


# --- what a gateway's own Envoy drops -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "dropped"),
    [
        (lambda action: action["weighted_clusters"].pop("inline_cluster_specifier_plugin"), True),
        (lambda action: action.pop("timeout"), False),
        (
            lambda action: action["weighted_clusters"]["inline_cluster_specifier_plugin"]["extension"].update(name="x"),
            False,
        ),
    ],
    ids=["its field", "another field", "its field with another value"],
)
def test_only_absent_fields_of_higress_own_are_called_unknown_to_envoy(
    change: Callable[[Json], Any], dropped: bool
) -> None:
    def each(configs: Json) -> None:
        for route in of_host(configs, "foo.test")["virtual_hosts"][0]["routes"]:
            change(route["route"])

    urls = [{"type_urls": ["envoy.extensions.filters.http.router.v3.Router"]}]
    info = json.dumps({"node": {"extensions": urls}}).encode()
    result = with_dump(each, CANARIES, server_info=info, stats=worlds.stats())
    assert result.of(Verdict.CHANGED)
    assert all((r.slug == "field-unknown-to-envoy") is dropped for r in result.of(Verdict.CHANGED))


# --- rejections -------------------------------------------------------------------------------------------------------
COUNTED = worlds.stats(**{"higress-rds-80.foo.test": 1})
HASHED = [ingress("a", "foo.test", "/a", annotations={"higress.io/upstream-hash-by": "$host"}), *ITEMS[1:]]


def test_a_cluster_that_differs_is_no_rejected_table() -> None:
    def policy(configs: Json) -> None:
        configs[0]["dynamic_active_clusters"][0]["cluster"]["lb_policy"] = "RANDOM"

    def timeout(configs: Json) -> None:
        of_host(configs, "foo.test")["virtual_hosts"][0]["routes"][0]["route"]["timeout"] = "7s"

    assert {r.slug for r in with_dump(policy, HASHED, stats=COUNTED).of(Verdict.CHANGED)} == {"not-delivered"}
    assert {r.slug for r in with_dump(timeout, HASHED, stats=COUNTED).of(Verdict.CHANGED)} == {"envoy-rejected"}


def test_a_gateway_that_is_not_connected_is_not_said_to_reject() -> None:
    alone = worlds.stats(connected=0, **{"higress-rds-80.foo.test": 1})
    result = audit(worlds.world(ITEMS, gateway=WITHOUT_B, pages={"stats.json": alone}))
    assert {f.slug for f in result.findings} == {"gateway-disconnected"}


def test_a_culprit_of_nobody_is_named_by_its_route() -> None:
    """Pilot serves a route of no Ingress that no Envoy takes; the rule that it holds back has no one to blame."""
    full = worlds.expectation([*ITEMS, BAD]).tables
    snapshot = worlds.world(ITEMS, pilot=full, gateway=WITHOUT_B)
    found = of(audit(snapshot), "b")
    assert (found.slug, found.by) == ("envoy-rejected", None)
    assert any("default/bad" in line for line in found.evidence)


def test_the_culprit_of_a_rejection_is_not_blamed_for_other_losses() -> None:
    def erring(configs: Json) -> None:
        configs[1]["dynamic_listeners"][0]["error_state"] = {"details": "bad chain"}

    items = [*ITEMS, BAD]
    full = worlds.expectation(items).tables
    kept = {
        p: tuple(r for r in rs if r.name not in ("default/b", "default/bad"))
        for p, rs in full.items()
        if p[1] != "bar.test"
    }
    result = audit(worlds.world(items, pages={"config_dump.json": edited(erring, kept), "stats.json": COUNTED}))
    assert of(result, "b").by == of(result, "bad").rule
    assert (of(result, "c").slug, of(result, "c").by) == ("listener-rejected", None)


# --- replicas and gaps ------------------------------------------------------------------------------------------------
def test_a_replica_that_was_not_read_to_the_end_lacks_nothing() -> None:
    info = ViewInfo(ViewName.PILOT, "pilot-0", State.PARTIAL, "RDS unanswered")
    found = of(audit(worlds.world(ITEMS, pilot=WITHOUT_B, gateway=WITHOUT_B, views=(info,))), "b")
    assert found.verdict is Verdict.LOST
    assert {r.view: r.verdict for r in found.replicas} == {"pilot": Verdict.UNKNOWN, "gateway": Verdict.LOST}


def test_a_lost_rule_tells_no_fields_that_another_replica_changed() -> None:
    changed = {p: tuple(r._replace(cluster="x") if r.name == "default/b" else r for r in rs) for p, rs in GOOD.items()}
    gateways = {"gw-0": gateway("gw-0", WITHOUT_B), "gw-1": gateway("gw-1", changed)}
    found = of(audit(replace(worlds.world(ITEMS), gateway=gateways)), "b")
    assert (found.verdict, found.fields) == (Verdict.LOST, ())
    assert [r.verdict for r in found.replicas if r.view == "gateway"] == [Verdict.LOST, Verdict.CHANGED]


def test_without_the_ingresses_no_route_is_called_extra() -> None:
    assert audit(replace(worlds.world(ITEMS), kube={})).extra == ()
    assert audit(replace(worlds.world(ITEMS), kube=worlds.kube([]))).extra


def test_ingresses_alone_are_not_enough_even_where_there_are_none() -> None:
    assert not audit(Snapshot(kube=worlds.kube([]))).enough
    assert audit(replace(worlds.world([]), pilot={"pilot-0": PilotCapture(SERVED)}, gateway={})).enough


# --- age --------------------------------------------------------------------------------------------------------------
YOUNG = "2026-11-23T23:59:50Z"


def test_a_rule_without_any_time_is_old() -> None:
    def verdict(created: str | None) -> Verdict:
        item = ingress("b", "foo.test", "/b", created=created or YOUNG)
        if created is None:
            item["metadata"].pop("creationTimestamp")
        items = [ITEMS[0], item]
        return of(audit(worlds.world(items, gateway=WITHOUT_B, grace=60.0)), "b").verdict

    assert (verdict(YOUNG), verdict(None)) == (Verdict.PENDING, Verdict.LOST)


def test_no_grace_for_a_refused_listener_or_a_stale_one() -> None:
    items = [ingress("a", "foo.test", "/a", tls="cert", created=YOUNG), ingress("b", "bar.test", "/b", tls="cert")]
    full = worlds.expectation(items).tables

    def erring(configs: Json) -> None:
        configs[1]["dynamic_listeners"][1]["error_state"] = {"details": "bad chain"}
        chains(configs)[:] = [c for c in chains(configs) if c["filter_chain_match"]["server_names"] != ["foo.test"]]

    refused = audit(worlds.world(items, grace=60.0, pages={"config_dump.json": edited(erring, full)}))
    assert (of(refused, "a").verdict, of(refused, "a").slug) == (Verdict.LOST, "listener-rejected")
    plain = worlds.responses({p: r for p, r in full.items() if p != (443, "foo.test")})
    whole = worlds.responses(full)
    capture = PilotCapture((whole[0], plain[1], *whole[2:]), whole)
    stale = audit(replace(worlds.world(items, grace=60.0), pilot={"pilot-0": capture}))
    assert (of(stale, "a").verdict, of(stale, "a").slug) == (Verdict.LOST, "stale-listener-cache")


# --- upstream ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("gone", ["one", "to1", "to2"])
def test_a_share_of_the_weight_that_leads_to_no_cluster_is_no_upstream(gone: str) -> None:
    served = worlds.expectation(CANARIES).tables
    names = sorted({c["name"] for rs in served.values() for r in rs for c in r.fields["weighted_clusters"]["clusters"]})
    assert len(names) == 3

    def clusters(*left: str) -> Audit:
        def change(configs: Json) -> None:
            configs[0]["dynamic_active_clusters"] = [{"cluster": {"name": n, "type": "STATIC"}} for n in left]

        return with_dump(change, CANARIES)

    assert clusters(*names).exit_code() == 0
    result = clusters(*(n for n in names if f"|{gone}." not in n))
    assert {(r.verdict, r.slug) for r in result.rules} == {(Verdict.NO_UPSTREAM, "cluster-absent")}


def test_where_clusters_were_not_read_none_is_absent() -> None:
    response = message("envoy.service.discovery.v3.DiscoveryResponse")
    answers = tuple(data for data in SERVED if response.FromString(data).type_url != TYPES["CDS"])
    result = audit(replace(worlds.world(ITEMS), pilot={"pilot-0": PilotCapture(answers)}, gateway={}))
    assert {r.verdict for r in result.rules} == {Verdict.IN_SYNC}


def test_a_route_whose_cluster_its_registry_alone_tells_is_judged_by_the_one_it_has() -> None:
    nacos = {"name": "n", "type": "nacos2", "domain": "nacos.test", "port": 8848}
    meta = {"name": "default", "namespace": "higress-system"}
    bridge = ingress_list([{"kind": "McpBridge", "metadata": meta, "spec": {"registries": [nacos]}}], "McpBridge")
    items = [bridged("default", "web.group.public.nacos")]
    snapshot = worlds.world(items)
    lists = {**snapshot.kube, "mcpbridges": bridge}

    def upstream(*, kept: bool) -> Verdict:
        def change(configs: Json) -> None:
            for route in of_host(configs, "a.test")["virtual_hosts"][0]["routes"]:
                route["route"]["cluster"] = "outbound|8080||web.group.public.nacos"
            name = "outbound|8080||web.group.public.nacos" if kept else "outbound|80||other"
            configs[0]["dynamic_active_clusters"] = [{"cluster": {"name": name, "type": "STATIC"}}]

        dump = {"config_dump.json": edited(change, worlds.expectation(items).tables), "stats.json": worlds.stats()}
        result = audit(replace(snapshot, kube=lists, pilot={}, gateway={"gateway-0": dump}))
        return of(result, "a").verdict

    assert (upstream(kept=True), upstream(kept=False)) == (Verdict.IN_SYNC, Verdict.NO_UPSTREAM)


# --- what a controller cannot see -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("version", "watched", "mirrored"), [("2.0.7", "default", True), ("2.1.0", "default", False), ("2.1.0", "", True)]
)
def test_from_2_1_on_a_controller_sees_the_services_of_its_namespace_alone(
    version: str, watched: str, mirrored: bool
) -> None:
    """A mirror to another namespace: the controller that does not see it makes none, and none is missed."""
    notes = {"higress.io/mirror-target-service": "other/web"}
    snapshot = worlds.world([ingress("m", "a.test", "/m", annotations=notes)])
    lists = {
        **snapshot.kube,
        "services": ingress_list([service("web"), service("web", namespace="other")], "Service"),
    }
    controller = {**snapshot.controller, "version": version, "watch_namespace": watched}
    found = of(audit(replace(snapshot, kube=lists, controller=controller)), "m")
    assert found.verdict is (Verdict.CHANGED if mirrored else Verdict.IN_SYNC)


@pytest.mark.parametrize(
    ("version", "watched", "told"),
    [("2.0.7", "default", False), ("2.1.0", "default", True), ("2.1.0", "", False)],
)
def test_a_bridge_that_the_controller_does_not_see_is_why_its_cluster_is_absent(
    version: str, watched: str, told: bool
) -> None:
    meta = {"name": "default", "namespace": "higress-system"}
    registry = {"name": "ext", "type": "dns", "domain": "ext.test", "port": 443}
    bridge = ingress_list([{"kind": "McpBridge", "metadata": meta, "spec": {"registries": [registry]}}], "McpBridge")
    items = [bridged("default", "ext.dns:443"), ITEMS[0]]

    def empty(configs: Json) -> None:
        clusters = configs[0]["dynamic_active_clusters"]
        clusters[:] = [c for c in clusters if "ext.dns" not in c["cluster"]["name"]]

    snapshot = worlds.world(items, pages={"config_dump.json": edited(empty, worlds.expectation(items).tables)})
    controller = {**snapshot.controller, "version": version, "watch_namespace": watched}
    result = audit(replace(snapshot, kube={**snapshot.kube, "mcpbridges": bridge}, controller=controller))
    (found,) = [r for r in result.rules if r.rule.host == "a.test"]
    assert (found.verdict, found.slug) == (Verdict.NO_UPSTREAM, "cluster-absent")
    assert ("watches the namespace default alone and sees no McpBridge" in found.evidence[0]) is told
    assert next(r for r in result.rules if r.rule.host == "foo.test").verdict is Verdict.IN_SYNC


# --- memory -----------------------------------------------------------------------------------------------------------
def test_what_was_in_sync_is_not_so_for_an_audit_that_remembers_when_nobody_can_tell_any_more() -> None:
    memory = Memory()
    healthy = worlds.world(BOTH)
    waits = worlds.world(
        BOTH, pages={"config_dump.json": edited(lambda c: warming(c, 1), worlds.expectation(BOTH).tables)}
    )
    blind = replace(healthy, gateway={}, views=(GATEWAY_UNREAD,))
    for snapshot, verdict in (
        (healthy, Verdict.IN_SYNC),
        (waits, Verdict.PENDING),
        (healthy, Verdict.IN_SYNC),
        (blind, Verdict.UNKNOWN),
        (healthy, Verdict.IN_SYNC),
    ):
        assert of(audit(snapshot, memory=memory), "s").verdict is verdict


def test_a_certificate_expires_for_an_audit_that_remembers_too() -> None:
    change = secret(("foo.test",), days=90)
    memory = Memory()
    snapshot = worlds.world(SECURE, pages={"config_dump.json": edited(change, worlds.expectation(SECURE).tables)})
    assert audit(snapshot, memory=memory).exit_code() == 0
    later = audit(replace(snapshot, captured_at="2027-11-24T00:00:00Z"), memory=memory)
    assert {r.slug for r in later.rules} == {"certificate-expired"}


# --- pairing ----------------------------------------------------------------------------------------------------------
KEY = MatchKey("prefix", "/")


def paired(*served: tuple[str, str]) -> list[int | None]:
    """Two routes of one key are expected, each with a name and a cluster."""
    expected = [ExpectedRoute(KEY, "one", {}, "x", (0,)), ExpectedRoute(KEY, "two", {}, "y", (1,))]
    return align(expected, [Route(KEY, name, {}, cluster) for name, cluster in served], Comparer()).pairs


def test_of_equal_keys_the_equal_pair_first_then_names_then_their_order() -> None:
    assert paired(("two", "y"), ("one", "x")) == [1, 0]
    assert paired(("two", "y"), ("one", "other")) == [1, 0]
    assert paired(("one", "other"), ("one", "x")) == [1, 0]
    assert paired(("a", "y"), ("b", "x")) == [0, 1]
    assert paired(("two", "x")) == [None, 0]
    assert paired(("a", "x")) == [0, None]


# --- how a view was read ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "replica", "verdict"),
    [
        (ViewName.PILOT, "pilot-0", Verdict.UNKNOWN),
        (ViewName.PILOT, "pilot-1", Verdict.LOST),
        (ViewName.GATEWAY, "pilot-0", Verdict.LOST),
    ],
)
def test_only_the_view_that_was_not_read_to_the_end_may_hold_more(
    name: ViewName, replica: str, verdict: Verdict
) -> None:
    info = ViewInfo(name, replica, State.PARTIAL, "not to the end")
    assert of(audit(worlds.world(ITEMS, pilot=WITHOUT_B, views=(info,))), "b").verdict is verdict


def test_a_dump_of_which_a_part_was_not_asked_for_still_lacks_a_route() -> None:
    info = ViewInfo(ViewName.GATEWAY, "gateway-0", State.PARTIAL, "stats were not read")
    assert of(audit(worlds.world(ITEMS, gateway=WITHOUT_B, views=(info,))), "b").verdict is Verdict.LOST


def test_without_a_gateway_the_pilot_is_asked_who_answers() -> None:
    full = dict(GOOD)
    stranger = full[80, "foo.test"][0]._replace(key=MatchKey("prefix", "/b"), name="default/z")
    full[80, "foo.test"] = (stranger, *full[80, "foo.test"])
    alone = audit(worlds.world(ITEMS, pilot=full, gateway_pages={}))
    assert of(alone, "b").verdict is Verdict.SHADOWED
    assert of(audit(worlds.world(ITEMS, pilot=full)), "b").verdict is Verdict.IN_SYNC


def test_objects_beside_ingresses_that_cannot_be_read_are_a_gap() -> None:
    snapshot = worlds.world(ITEMS)
    result = audit(replace(snapshot, kube={**snapshot.kube, "services": b"{trunc"}))
    (gap,) = result.gaps
    assert (gap.name, gap.state) == (ViewName.INGRESS, State.PARTIAL)
    assert "services" in str(gap.why)
    assert result.exit_code() == 3


def test_pages_of_a_gateway_without_its_dump_are_a_gap_with_its_reason() -> None:
    result = audit(replace(worlds.world(ITEMS), gateway={"gw-0": {"stats.json": worlds.stats()}}))
    (gap,) = result.gaps
    assert (gap.name, gap.state) == (ViewName.GATEWAY, State.UNREAD)
    assert "config_dump" in str(gap.why)
    assert "please report" not in str(gap.why)


# --- what must never turn into "in sync" ------------------------------------------------------------------------------
def test_a_warming_listener_with_plain_and_tls_chains_makes_the_rules_of_both_wait() -> None:
    def mixed(configs: Json) -> None:
        plain, secure = configs[1]["dynamic_listeners"]
        chains_of = secure["active_state"]["listener"]["filter_chains"]
        chains_of.append({**plain["active_state"]["listener"]["filter_chains"][0], "name": "plain"})
        warming(configs, 1)

    assert of(with_dump(mixed, BOTH), "s").verdict is Verdict.PENDING


def test_a_rule_of_which_no_route_is_expected_is_unknown_and_never_in_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(audit(worlds.world(ITEMS)), "a").verdict is Verdict.IN_SYNC
    monkeypatch.setattr("xdsaudit.audit.verdicts.Ports.of", lambda *_: set())
    lone = of(audit(worlds.world(ITEMS)), "a")
    assert (lone.verdict, lone.slug) == (Verdict.UNKNOWN, "not-modelled")


def test_an_audit_without_the_ingresses_proves_nothing_whatever_else_was_read() -> None:
    whole = worlds.world(ITEMS)
    assert audit(whole).enough
    assert not audit(replace(whole, kube={k: v for k, v in whole.kube.items() if k != "ingresses"})).enough


def test_core_that_lacks_one_route_of_a_host_lacks_it_for_an_audit_that_remembers(recording: Any) -> None:
    snapshot = recording("healthy-scoped")
    short = [answer.replace(b"\x06/10059", b"\x06/1005x") for answer in snapshot.core[""]]
    memory = Memory()
    for n in range(3):  # another host moves, so that the view is judged again
        core = {"": tuple(answer.replace(b"hash.shop.test", b"has%d.shop.test" % n) for answer in short)}
        again = replace(snapshot, core=core)
        lost = [(r.rule.ingress, r.stage) for r in audit(again, memory=memory).lost]
        assert ("app-10059", Stage.TRANSLATION) in lost
