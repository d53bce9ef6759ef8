"""Plugins along the pipeline: where each is lost or changed, what that breaks, and what must stay silent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import plugin_worlds, worlds
from tests.plugin_worlds import rule, wasm
from xdsaudit import Audit, Stage, Verdict, audit, redact
from xdsaudit.audit.memory import Memory
from xdsaudit.audit.questions.explain import explain_request
from xdsaudit.audit.questions.narrow import Scope, narrow
from xdsaudit.audit.questions.precheck import Batch, check_batch
from xdsaudit.audit.questions.suppress import by_code, since
from xdsaudit.audit.requests.request import parse_request
from xdsaudit.audit.verdicts import judged
from xdsaudit.ingress.objects import KubeObjects, read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.plugin_verdict import PluginVerdict
from xdsaudit.model.verdict import Origin, Severity
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.explanation import explanation_object, explanation_text
from xdsaudit.report.json import to_object
from xdsaudit.testing import ingress, ingress_list
from xdsaudit.xds.session import AdsSession, Node

SECRET = "s3cret-credential-1"
AUTH = wasm(
    "auth",
    phase="AUTHN",
    defaultConfig={"credential": SECRET},
    matchRules=[rule({"n": 1}, ingress="default/a"), rule({"n": 2}, domain="bar.test")],
)
LOG = wasm("log", failStrategy="FAIL_OPEN", defaultConfig={"level": "info"})
OBJECTS = [AUTH, LOG]
GOOD = plugin_worlds.served(OBJECTS)
WITHOUT = {n: p for n, p in GOOD.items() if "auth" not in n}


def only(result: Audit, name: str = "auth") -> PluginVerdict:
    (found,) = [p for p in result.plugins if p.name == name]
    return found


def said(**cut: Any) -> PluginVerdict:
    return only(audit(plugin_worlds.world(OBJECTS, **cut)))


def edited(**spec: Any) -> dict[str, Any]:
    """AUTH as it was when it said otherwise, with LOG."""
    return plugin_worlds.served([{**AUTH, "spec": {**AUTH["spec"], **spec}}, LOG])


@pytest.mark.parametrize("version", ["2.0.1", "2.0.4", "2.1.9", "2.2.1"])
@pytest.mark.parametrize("local", [True, False])
def test_a_world_that_serves_its_plugins_is_in_sync_whether_or_not_an_agent_rewrites_them(
    version: str, local: bool
) -> None:
    result = audit(plugin_worlds.world(OBJECTS, version=version, local=local))
    assert [p.verdict for p in result.plugins] == [Verdict.IN_SYNC] * 2
    assert result.findings == ()
    assert result.exit_code() == 0


@pytest.mark.parametrize(
    ("cut", "stage", "slug", "last", "first"),
    [
        ({"core": WITHOUT, "pilot": WITHOUT, "gateway": WITHOUT, "slots": WITHOUT}, Stage.TRANSLATION, "plugin-not-translated", "ingress", "core"),
        ({"core": GOOD, "pilot": WITHOUT, "gateway": WITHOUT, "slots": WITHOUT}, Stage.PILOT, "plugin-not-generated", "core", "pilot"),
        ({"pilot": WITHOUT, "gateway": WITHOUT, "slots": WITHOUT}, Stage.CONTROL_PLANE, "plugin-not-generated", "ingress", "pilot"),
        ({"pilot": WITHOUT, "pilot_slots": GOOD}, Stage.CONTROL_PLANE, "plugin-not-generated", "ingress", "pilot"),
        ({"gateway": WITHOUT, "slots": WITHOUT}, Stage.DELIVERY, "plugin-not-delivered", "pilot", "gateway"),
        ({"gateway": WITHOUT}, Stage.DELIVERY, "plugin-not-delivered", "pilot", "gateway"),
        ({"gateway": WITHOUT, "rejected": GOOD}, Stage.DELIVERY, "plugin-config-rejected", "pilot", "gateway"),
        ({"gateway": WITHOUT, "connected": 0}, Stage.DELIVERY, "gateway-disconnected", "pilot", "gateway"),
    ],
)  # fmt: skip
def test_a_plugin_is_lost_at_the_edge_before_the_first_view_that_lacks_it(
    cut: Any, stage: Stage, slug: str, last: str, first: str
) -> None:
    found = said(**cut)
    assert (found.verdict, found.stage, found.slug) == (Verdict.LOST, stage, slug)
    assert (found.last_seen, found.first_missing) == (last, first)
    assert {(r.verdict, r.stage, r.slug) for r in found.rules} == {(Verdict.LOST, stage, slug)}


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"defaultConfig": {"credential": "s3cret-credential-0"}}, {"config.credential"}),
        ({"defaultConfig": {"credential": SECRET, "more": [1]}}, {"config.more"}),
        ({"pluginName": "other"}, {"root_id"}),
        ({"failStrategy": "FAIL_OPEN"}, {"fail_open"}),
        ({"matchRules": [AUTH["spec"]["matchRules"][0]]}, set()),
        ({"matchRules": [rule({"n": 9}, ingress="default/a"), AUTH["spec"]["matchRules"][1]]}, {"matchRules[0].n"}),
        ({"matchRules": [*AUTH["spec"]["matchRules"], rule(domain="x.test")]}, {"matchRules"}),
        ({"matchRules": AUTH["spec"]["matchRules"][::-1]}, {"matchRules[0].order", "matchRules[1].order"}),
    ],
)
def test_a_gateway_that_runs_an_older_plugin_is_told_field_by_field(spec: Any, fields: set[str]) -> None:
    found = said(gateway=edited(**spec), local=False)
    assert found.verdict is Verdict.CHANGED
    assert found.stage is Stage.DELIVERY
    assert {d.field for d in found.fields} == fields
    assert "s3cret" not in str(found)


def test_another_local_file_is_a_change_and_a_file_in_place_of_an_image_is_what_agents_make_of_it() -> None:
    here, there = (wasm("auth", url=f"file:///{n}.wasm") for n in ("here", "there"))
    assert only(audit(plugin_worlds.world([here]))).verdict is Verdict.IN_SYNC
    found = only(audit(plugin_worlds.world([here], gateway=plugin_worlds.served([there]), local=False)))
    assert [(d.field, d.actual) for d in found.fields] == [("code", "/there.wasm")]


def test_a_match_rule_that_is_not_there_is_lost_and_the_others_are_in_sync() -> None:
    found = said(gateway=edited(matchRules=[AUTH["spec"]["matchRules"][0]]))
    assert found.verdict is Verdict.CHANGED
    assert [r.verdict for r in found.rules] == [Verdict.IN_SYNC, Verdict.LOST]


def test_another_order_of_filters_is_a_change_at_both_plugins() -> None:
    turned = dict(reversed(GOOD.items()))
    result = audit(plugin_worlds.world(OBJECTS, slots=turned))
    assert {p.verdict for p in result.plugins} == {Verdict.CHANGED}
    assert {d.field for p in result.plugins for d in p.fields} == {"order"}
    assert any("higress-system.log before higress-system.auth" in line for line in only(result).evidence)


def test_the_time_that_pilot_stamps_into_the_environment_is_no_difference_and_a_variable_is() -> None:
    variable = {"vmConfig": {"env": [{"name": "MODE", "valueFrom": "INLINE", "value": "x"}]}}
    objects = [wasm("auth", **variable)]
    assert only(audit(plugin_worlds.world(objects))).verdict is Verdict.CHANGED  # the builder's agent drops it
    assert only(audit(plugin_worlds.world(objects, local=False))).verdict is Verdict.IN_SYNC


def test_an_allow_all_filter_in_place_of_a_plugin_is_a_change() -> None:
    snapshot = plugin_worlds.world(OBJECTS)
    dump = json.loads(snapshot.gateway["gateway-0"]["config_dump.json"])
    rbac = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
    (mine,) = [e for e in dump["configs"][-1]["ecds_filters"] if e["ecds_filter"]["name"] == "higress-system.log"]
    mine["ecds_filter"]["typed_config"] = {"@type": rbac}
    pages = {**snapshot.gateway["gateway-0"], "config_dump.json": json.dumps(dump).encode()}
    found = only(audit(replace(snapshot, gateway={"gateway-0": pages})), "log")
    assert found.verdict is Verdict.CHANGED
    assert [(d.field, d.actual) for d in found.fields] == [("type", "RBAC")]


OLDER = edited(defaultConfig={"credential": "older"})


def test_a_plugin_younger_than_the_grace_period_is_pending_whatever_old_counters_say() -> None:
    young = {**AUTH, "metadata": {**AUTH["metadata"], "creationTimestamp": "2026-11-23T23:59:55Z"}}
    assert only(audit(plugin_worlds.world([young], gateway={}, grace=15.0))).verdict is Verdict.PENDING
    # It was rejected before, and has just been healed: its code is being fetched.
    healing = audit(plugin_worlds.world([young], gateway=OLDER, grace=15.0, rejected=GOOD))
    assert (only(healing).verdict, healing.findings) == (Verdict.PENDING, ())
    broken = audit(plugin_worlds.world([young], gateway={}, grace=15.0, rejected=GOOD))
    assert only(broken).verdict is Verdict.PENDING
    assert [f.slug for f in broken.findings] == ["plugin-config-rejected"]  # requests get 500 all the same
    assert only(audit(plugin_worlds.world([young], gateway={}, grace=15.0, connected=0))).verdict is Verdict.LOST
    assert only(audit(plugin_worlds.world([AUTH], gateway={}, grace=15.0))).verdict is Verdict.LOST


def test_a_rejection_names_the_one_plugin_that_never_ran_and_not_those_it_holds_back() -> None:
    new = wasm("new", phase="AUTHN", priority=-1)
    old = edited(defaultConfig={"credential": "older"})
    result = audit(plugin_worlds.world([AUTH, LOG, new], gateway=old, rejected=[*GOOD, "higress-system.new"]))
    (finding,) = result.findings
    assert finding.slug == "plugin-config-rejected"
    assert "because of higress-system/new: 2 plugins are held back; requests of 2 rules get 500" in finding.message
    assert only(result).by == "higress-system/new"
    assert only(result, "new").by is None
    assert {r.slug for r in result.rules} == {"plugin-without-configuration"}


def test_counters_of_a_rejection_that_was_healed_prove_nothing() -> None:
    result = audit(plugin_worlds.world(OBJECTS, rejected=GOOD))
    assert result.findings == ()
    assert result.exit_code() == 0


def test_one_of_two_gateways_behind_is_the_only_one_named() -> None:
    snapshot = plugin_worlds.world(OBJECTS)
    behind = plugin_worlds.world(OBJECTS, gateway=WITHOUT).gateway["gateway-0"]
    result = audit(replace(snapshot, gateway={**snapshot.gateway, "gateway-1": behind}))
    found = only(result)
    assert {(r.replica, r.verdict) for r in found.replicas if r.view == "gateway"} == {
        ("gateway-0", Verdict.IN_SYNC),
        ("gateway-1", Verdict.LOST),
    }
    assert all("gateway-1" in line for r in result.rules for line in r.evidence)


def test_a_filter_without_configuration_breaks_the_rules_of_its_own_chain_alone() -> None:
    items = [ingress("a", "foo.test", "/a", tls="cert"), ingress("b", "bar.test", "/b")]
    snapshot = plugin_worlds.world(OBJECTS, items=items)
    dump = json.loads(snapshot.gateway["gateway-0"]["config_dump.json"])
    dump["configs"][-1]["ecds_filters"] = [
        e for e in dump["configs"][-1]["ecds_filters"] if "log" in e["ecds_filter"]["name"]
    ]
    plain = dump["configs"][1]["dynamic_listeners"][0]["active_state"]["listener"]["filter_chains"][0]
    plain["filters"][0]["typed_config"]["http_filters"] = plugin_worlds.filters(WITHOUT)
    pages = {**snapshot.gateway["gateway-0"], "config_dump.json": json.dumps(dump).encode()}
    result = audit(replace(snapshot, gateway={"gateway-0": pages}))
    assert {r.rule.ref: r.slug for r in result.rules} == {
        "default/a": "plugin-without-configuration",
        "default/b": None,
    }


def test_a_view_that_does_not_tell_of_plugins_is_not_one_that_lacks_them() -> None:
    snapshot = plugin_worlds.world(OBJECTS)
    dump = json.loads(snapshot.gateway["gateway-0"]["config_dump.json"])
    del dump["configs"][-1]
    blind = {**snapshot.gateway["gateway-0"], "config_dump.json": json.dumps(dump).encode()}
    found = only(audit(replace(snapshot, gateway={"gateway-0": blind})))
    assert (found.verdict, found.slug) == (Verdict.UNKNOWN, "unreadable")
    unread = ViewInfo(ViewName.GATEWAY, "gateway-0", State.UNREAD, "no answer")
    assert only(audit(replace(snapshot, gateway={}, views=(unread,)))).verdict is Verdict.UNKNOWN
    capture = snapshot.pilot["pilot-0"]
    no_ecds = replace(capture, served=capture.served[:-1])
    assert only(audit(replace(snapshot, pilot={"pilot-0": no_ecds}))).verdict is Verdict.IN_SYNC


def test_a_plugin_whose_object_was_deleted_is_told_where_it_is_left_over() -> None:
    result = audit(plugin_worlds.world([LOG], gateway=GOOD, slots=GOOD))
    (finding,) = result.findings
    assert (finding.slug, finding.severity) == ("plugin-unexplained", Severity.ERROR)
    assert "gateway gateway-0 still holds the plugin higress-system/auth" in finding.message
    registry = audit(plugin_worlds.world([LOG], pilot=GOOD, gateway=GOOD, slots=GOOD))
    assert [(f.slug, f.severity) for f in registry.findings] == [("plugin-unexplained", Severity.INFO)]
    assert registry.exit_code() == 0


def test_what_a_refused_plugin_left_behind_is_said_of_it_and_unexplained_nowhere() -> None:
    refused = wasm("auth", matchRules=[rule()])
    result = audit(plugin_worlds.world([refused, LOG], pilot=GOOD, gateway=GOOD, slots=GOOD))
    found = only(result)
    assert found.verdict is Verdict.REFUSED
    assert any("still has what was served of it before" in line for line in found.evidence)
    assert result.findings == ()


@pytest.mark.parametrize(
    ("rules", "by"),
    [
        ([rule(domain="*"), rule(ingress="default/a")], [None, 0]),
        ([rule(domain="*.test"), rule(domain="foo.test")], [None, 0]),
        ([rule(domain="foo.test"), rule(domain="*.test")], [None, None]),
        ([rule(domain="foo*"), rule(domain="foo.test")], [None, 0]),
        ([rule(ingress="default/a"), rule(ingress="default/a")], [None, 0]),
        ([rule(ingress="default/a"), rule(ingress=["default/a", "default/b"])], [None, None]),
        (
            [rule(ingress="default/a"), rule(ingress="default/b"), rule(ingress=["default/b", "default/a"])],
            [None, None, 1],
        ),
        ([rule(ingress="default/a", service="x"), rule(ingress="default/a")], [None, None]),
        ([rule(domain="bar.test"), rule(ingress="default/a")], [None, None]),
        ([rule(domain="foo.test", configDisable=True), rule(ingress="default/a")], [None, None]),
        ([rule(service="s:80"), rule(service="s:80")], [None, 0]),
        ([rule(service="s:80"), rule(ingress="default/a")], [None, None]),
    ],
)
def test_a_match_rule_is_unreachable_where_those_before_it_take_all_its_requests(
    rules: Any, by: list[int | None]
) -> None:
    found = only(audit(plugin_worlds.world([wasm("auth", matchRules=rules)])))
    assert [r.by for r in found.rules] == by
    assert [r.verdict is Verdict.SHADOWED for r in found.rules] == [n is not None for n in by]


@pytest.mark.parametrize(
    ("condition", "slug"),
    [
        ({"ingress": "default/a"}, None),
        ({"ingress": "default/none"}, "plugin-rule-dangling"),
        ({"ingress": ["default/a", "default/none"]}, "plugin-rule-dangling"),
        ({"ingress": "b"}, "plugin-rule-wrong-namespace"),
        ({"ingress": "sys"}, None),
        ({"ingress": "higress-system/sys"}, "plugin-rule-wrong-namespace"),
        ({"domain": "foo.test"}, None),
        ({"domain": "x.wild.test"}, None),
        ({"domain": "*.test"}, None),
        ({"domain": "foo.test:80"}, "plugin-rule-dangling"),
        ({"domain": "foo*"}, None),
        ({"domain": "other.test"}, "plugin-rule-dangling"),
        ({"service": "web.default.svc.cluster.local"}, None),
        ({"service": "web.default.svc.cluster.local:80"}, None),
        ({"service": "web.default.svc.cluster.local:81"}, "plugin-rule-dangling"),
    ],
)
def test_a_condition_that_names_nothing_is_a_warning_and_no_loss(condition: Any, slug: str | None) -> None:
    items = [
        *plugin_worlds.ITEMS,
        ingress("w", "*.wild.test", "/w"),
        ingress("sys", "foo.test", "/s", namespace="higress-system"),
    ]
    result = audit(plugin_worlds.world([wasm("auth", matchRules=[rule(**condition)])], items=items))
    assert [f.slug for f in result.findings] == ([slug] if slug else [])
    assert {f.severity for f in result.findings} <= {Severity.WARNING}
    (found,) = only(result).rules
    dead = slug is not None and not isinstance(condition.get("ingress"), list)
    assert found.verdict is (Verdict.DORMANT if dead else Verdict.IN_SYNC)
    rules = [r for r in result.rules if r.rule.ingress != "sys"]
    assert {r.verdict for r in rules} == {Verdict.IN_SYNC}


def test_no_domain_dangles_where_some_host_takes_all() -> None:
    items = [*plugin_worlds.ITEMS, ingress("any", None, "/any")]
    assert (
        audit(plugin_worlds.world([wasm("auth", matchRules=[rule(domain="nobody.test")])], items=items)).findings == ()
    )


CONFIGS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab1/é", max_size=14),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["token", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=6,
)
MATCHES = st.builds(
    rule,
    st.dictionaries(st.sampled_from(["x", "y"]), CONFIGS, max_size=2),
    ingress=st.lists(st.sampled_from(["default/a", "default/b", "a", "none"]), min_size=1, max_size=2),
    configDisable=st.booleans(),
)
PLUGINS = st.lists(
    st.builds(
        wasm,
        st.sampled_from(["a", "b", "c", "d"]),
        defaultConfig=st.none() | st.dictionaries(st.sampled_from(["p", "secret"]), CONFIGS, max_size=2),
        matchRules=st.lists(MATCHES, max_size=3),
        phase=st.sampled_from([None, "AUTHN", "AUTHZ", "STATS"]),
        priority=st.none() | st.integers(-2, 2),
        failStrategy=st.sampled_from([None, "FAIL_OPEN"]),
        defaultConfigDisable=st.booleans(),
    ),
    max_size=4,
    unique_by=lambda p: p["metadata"]["name"],
)


@given(PLUGINS, st.sampled_from(["2.0.1", "2.1.9"]))
def test_random_plugins_that_are_served_as_written_are_never_lost_changed_or_unexplained(
    objects: Any, version: str
) -> None:
    snapshot = plugin_worlds.world(objects, version=version, core=None)
    result = audit(snapshot)
    bad = {Verdict.LOST, Verdict.CHANGED, Verdict.UNKNOWN, Verdict.PENDING, Verdict.REFUSED}
    assert not bad & {v for p in result.plugins for v in p.verdicts}
    assert {f.slug for f in result.findings} <= {"plugin-rule-dangling", "plugin-rule-wrong-namespace"}
    assert audit(redact(snapshot)) == result


@given(PLUGINS, PLUGINS)
def test_redaction_changes_no_verdict_and_leaves_no_value_behind(wanted: Any, run: Any) -> None:
    """Whatever a gateway runs in place of what is asked for, the redacted snapshot is judged alike, and redacting twice is once."""
    held = plugin_worlds.served(run)
    snapshot = plugin_worlds.world(wanted, gateway=held, slots=held, rejected=held)
    clean = redact(snapshot)
    assert audit(clean) == audit(snapshot)
    assert redact(clean) == clean


def test_no_value_of_a_configuration_is_in_a_redacted_snapshot_or_an_audit() -> None:
    planted = ["S3cret-Password-1", "tok_123456789012", "pass-word"]
    objects = [
        wasm(
            "auth",
            defaultConfig={"consumers": [{"credential": planted[0], "pin": 4711}], "deep": {"token": planted[1]}},
            matchRules=[rule({"w": planted[2]}, ingress="default/a")],
        )
    ]
    items = [
        ingress("a", "foo.test", "/a", annotations={"higress.io/request-header-control-add": f"X-Any {planted[1]}"})
    ]
    snapshot = plugin_worlds.world(
        objects, items=items, core=plugin_worlds.served(objects), gateway=plugin_worlds.served([wasm("auth")])
    )
    text = repr(redact(snapshot)) + repr(audit(snapshot))
    for each in (*planted, "4711"):
        assert each not in text
    assert "redacted:" in text
    assert "_match_route_" in text


def test_gateways_and_pilots_without_a_list_of_wasm_plugins_still_tell_of_what_breaks_requests() -> None:
    snapshot = plugin_worlds.world(OBJECTS, gateway=WITHOUT, rejected=GOOD)
    kube = {k: v for k, v in snapshot.kube.items() if k != "wasmplugins"}
    result = audit(replace(snapshot, kube=kube))
    assert result.plugins == ()
    assert {r.slug for r in result.rules} == {"plugin-without-configuration"}
    assert [f.slug for f in result.findings] == ["plugin-config-rejected"]


def test_worlds_without_plugins_say_nothing_of_them() -> None:
    result = audit(worlds.world(plugin_worlds.ITEMS))
    assert (result.plugins, result.findings, result.exit_code()) == ((), (), 0)
    assert not any("plugin" in note for note in result.notes)


def test_narrowing_keeps_the_plugins_that_name_an_ingress_in_scope() -> None:
    snapshot = plugin_worlds.world(OBJECTS)
    result = audit(snapshot)
    assert [p.name for p in narrow(result, snapshot, Scope(ingresses=frozenset({"default/a"}))).plugins] == ["auth"]
    assert narrow(result, snapshot, Scope(ingresses=frozenset({"default/b"}))).plugins == ()
    assert len(narrow(result, snapshot, Scope()).plugins) == 2


def test_codes_and_a_baseline_hide_plugins_as_they_hide_rules() -> None:
    result = audit(plugin_worlds.world(OBJECTS, gateway=WITHOUT))
    assert [p.name for p in by_code(result, skip=["XA620"]).plugins] == ["log"]
    before = to_object(result)
    assert [p.name for p in since(result, before).plugins] == ["log"]
    assert since(result, before).exit_code() == 0
    del before["plugins"]  # an earlier version's report
    assert [p.name for p in since(result, before).plugins] == ["auth", "log"]


def wanting(mine: list[Any], *api: Any, **cut: Any) -> Audit:
    """What an audit says where a manifest asks for these and the API holds those."""
    manifest = {"wasmplugins": ingress_list(mine, "WasmPlugin")}
    return audit(replace(plugin_worlds.world(api, **cut), manifest=manifest))


def test_a_plugin_that_the_api_lacks_is_lost_at_apply_with_its_file() -> None:
    result = wanting([AUTH], LOG)
    found = only(result)
    assert (found.verdict, found.stage, found.slug) == (Verdict.LOST, Stage.APPLY, "not-applied")
    assert only(result, "log").verdict is Verdict.IN_SYNC
    origins = {("wasmplugin/higress-system/auth", "", ""): Origin("auth.yaml", 3)}
    snapshot = replace(
        plugin_worlds.world([LOG]), manifest={"wasmplugins": ingress_list([AUTH], "WasmPlugin")}, origins=origins
    )
    assert only(audit(snapshot)).evidence[0] == "auth.yaml:3 asks for it"


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"defaultConfig": {"credential": "s3cret-credential-9"}}, {"config.credential"}),
        ({"priority": 7}, {"priority"}),
        ({"matchRules": AUTH["spec"]["matchRules"][:1]}, {"matchRules"}),
        ({"matchRules": [*AUTH["spec"]["matchRules"], rule(domain="x.test")]}, {"matchRules[2]"}),
        ({"defaultConfigDisable": True, "matchRules": []}, {"spec"}),
    ],
)
def test_a_plugin_that_the_api_holds_otherwise_is_changed_at_apply(spec: Any, fields: set[str]) -> None:
    mine = {**AUTH, "spec": {**AUTH["spec"], **spec}}
    found = only(wanting([mine], AUTH))
    assert (found.verdict, found.stage, found.slug) == (Verdict.CHANGED, Stage.APPLY, "applied-differently")
    assert {d.field for d in found.fields} == fields
    assert "s3cret" not in str(found)


def test_what_the_api_adds_to_a_plugin_is_no_difference() -> None:
    held = {
        **AUTH,
        "metadata": {**AUTH["metadata"], "uid": "1"},
        "spec": {**AUTH["spec"], "imagePullPolicy": "UNSPECIFIED_POLICY"},
    }
    assert only(wanting([AUTH], held)).verdict is Verdict.IN_SYNC


def test_an_api_whose_plugins_could_not_be_listed_lacks_none() -> None:
    snapshot = plugin_worlds.world([AUTH])
    kube = {k: v for k, v in snapshot.kube.items() if k != "wasmplugins"}
    result = audit(replace(snapshot, kube=kube, manifest={"wasmplugins": ingress_list([AUTH], "WasmPlugin")}))
    assert [p.verdict for p in result.plugins] == [Verdict.UNKNOWN]


def actions(url: str, *objects: Any, **cut: Any) -> list[tuple[str, bool | None, int | None]]:
    world, result = judged(plugin_worlds.world(objects, **cut))
    return [
        (a.plugin.partition("/")[2], a.acts, a.rule) for a in explain_request(world, result, parse_request(url)).plugins
    ]


@pytest.mark.parametrize(
    ("rules", "default", "expected"),
    [
        ([rule({"n": 1}, ingress="default/a")], None, (True, 0)),
        ([rule({"n": 1}, ingress="default/b")], None, (False, None)),
        ([rule({"n": 1}, ingress="default/b")], {"d": 1}, (True, None)),
        ([rule({"n": 1}, domain="*.test")], None, (True, 0)),
        ([rule({"n": 1}, domain="bar*"), rule({"n": 2}, domain="foo*")], None, (True, 1)),
        ([rule({"n": 1}, service="web.default.svc.cluster.local:80")], None, (True, 0)),
        ([rule({"n": 1}, service="web.default.svc.cluster.local:81")], None, (False, None)),
        ([rule({"n": 1}, ingress="default/a", service="other")], None, (False, None)),
        ([rule({"n": 1}, ingress="default/a", configDisable=True), rule({"n": 2}, domain="foo.test")], None, (True, 1)),
        ([], None, (True, None)),
    ],
)
def test_explain_tells_which_match_rule_a_request_meets(rules: Any, default: Any, expected: Any) -> None:
    plugin = wasm("auth", defaultConfig=default, matchRules=rules)
    assert actions("http://foo.test/a", plugin) == [("auth", *expected)]


def test_explain_lists_plugins_in_the_order_of_their_filters_and_names_keys_alone() -> None:
    world, result = judged(plugin_worlds.world([LOG, AUTH]))
    found = explain_request(world, result, parse_request("http://foo.test/a"))
    assert [a.plugin for a in found.plugins] == ["higress-system/auth", "higress-system/log"]
    assert [a.keys for a in found.plugins] == [("n",), ("level",)]
    text = explanation_text(found)
    assert "1. higress-system/auth acts by matchRules[0] (route default/a), with n" in text
    assert SECRET not in text
    assert explanation_object(found)["plugins"][1]["keys"] == ["level"]


def test_explain_tells_of_a_plugin_that_answers_500_and_of_one_that_is_passed_by() -> None:
    world, result = judged(plugin_worlds.world(OBJECTS, gateway={}))
    said = {a.plugin: a.said for a in explain_request(world, result, parse_request("http://foo.test/a")).plugins}
    assert said["higress-system/auth"].endswith("500")
    assert "passes without it" in said["higress-system/log"]


def checked(*objects: Any, live: Any = None) -> list[str]:
    lists = {**worlds.kube(plugin_worlds.ITEMS), "wasmplugins": ingress_list(objects, "WasmPlugin")}
    mine, _ = read_objects(lists)
    origins = {(f"wasmplugin/{p.ref}", "", ""): Origin("p.yaml", 1) for p in mine.plugins or ()}
    found = check_batch(Batch(mine, origins, {}, "2026-11-24T00:00:00Z"), live, Profile(version=(2, 1, 9)))
    assert all(f.at == Origin("p.yaml", 1) for f in found.findings if f.slug.startswith("plugin"))
    return [f.slug for f in found.findings if f.slug.startswith("plugin")]


@pytest.mark.parametrize(
    ("plugin", "slugs"),
    [
        (AUTH, []),
        (wasm("auth", "shop"), ["plugin-elsewhere"]),
        (wasm("auth", matchRules=[rule()]), ["plugin-rule-without-condition"]),
        (wasm("auth", pluginConfig={}, matchRules=[rule(domain="x")]), ["plugin-rules-ignored"]),
        (wasm("auth", matchRules=[rule(domain="foo.test"), rule(ingress="default/a")]), ["plugin-rule-unreachable"]),
        (wasm("auth", matchRules=[rule(ingress="a")]), ["plugin-rule-wrong-namespace"]),
        (wasm("auth", matchRules=[rule(ingress="default/x")]), ["plugin-rule-dangling"]),
        (wasm("auth", matchRules=[rule(domain="elsewhere.test")]), []),
    ],
)
def test_check_tells_of_plugins_before_they_are_applied(plugin: Any, slugs: list[str]) -> None:
    assert checked(plugin, live=KubeObjects()) == slugs


def test_check_without_what_is_live_calls_no_ingress_absent() -> None:
    assert checked(wasm("auth", matchRules=[rule(ingress="default/x")])) == []


def test_pilots_that_name_filters_with_a_prefix_serve_the_same_plugins() -> None:
    newer = plugin_worlds.prefixed(GOOD)
    served: dict[str, Any] = {
        "pilot": newer,
        "pilot_slots": newer,
        "gateway": newer,
        "slots": newer,
        "version": "2.2.1",
    }
    snapshot = plugin_worlds.world(OBJECTS, **served)
    result = audit(snapshot)
    assert [p.verdict for p in result.plugins] == [Verdict.IN_SYNC] * 2
    assert result.findings == ()
    assert audit(redact(snapshot)) == result
    less = {n: p for n, p in newer.items() if "auth" not in n}
    refused = ["extensions.istio.io/wasmplugin/higress-system.auth"]
    broken = audit(plugin_worlds.world(OBJECTS, **{**served, "gateway": less}, rejected=refused))
    assert (only(broken).verdict, only(broken).slug) == (Verdict.LOST, "plugin-config-rejected")
    closed = plugin_worlds.prefixed(
        plugin_worlds.served([AUTH, {**LOG, "spec": {**LOG["spec"], "failStrategy": "FAIL_CLOSE"}}])
    )
    changed = only(audit(plugin_worlds.world(OBJECTS, **{**served, "gateway": closed})), "log")
    assert {d.field for d in changed.fields} == {"fail_open"}


def test_the_session_asks_for_configurations_by_the_names_that_listeners_give() -> None:
    newer = plugin_worlds.prefixed(GOOD)
    answers = plugin_worlds.world(OBJECTS, pilot=newer, pilot_slots=newer).pilot["pilot-0"].served
    session = AdsSession(Node())
    session.start()
    asked = b"".join(r for data in answers[:-1] for r in session.receive(data))
    assert b"extensions.istio.io/wasmplugin/higress-system.auth" in asked


def test_the_plugin_that_higress_makes_of_registries_is_explained() -> None:
    made = plugin_worlds.served([wasm("istio-autogenerated-mcp-wasmplugin")])
    every = {**GOOD, **made}
    result = audit(plugin_worlds.world(OBJECTS, pilot=every, gateway=every, slots=every, pilot_slots=every))
    assert result.findings == ()
    assert len(result.plugins) == 2


def test_assert_in_effect_takes_plugins_by_name_and_by_file() -> None:
    good = audit(plugin_worlds.world(OBJECTS))
    good.assert_in_effect()
    good.assert_in_effect("wasmplugin/higress-system/auth", "default/a")
    origins = {("wasmplugin/higress-system/auth", "", ""): Origin("batch/auth.yaml", 1)}
    bad = audit(
        plugin_worlds.world(
            [*OBJECTS, wasm("x", "shop")], gateway=edited(priority=None, pluginName="r"), origins=origins
        )
    )
    for what in ((), ("batch/",), ("batch/auth.yaml",), ("wasmplugin/higress-system/auth",)):
        with pytest.raises(AssertionError, match=r"1 of \d plugins\nWasmPlugin higress-system/auth: changed"):
            bad.assert_in_effect(*what)
    bad.assert_in_effect("wasmplugin/higress-system/log")
    with pytest.raises(AssertionError, match="no rule is of this"):
        bad.assert_in_effect("wasmplugin/higress-system/none")


@given(st.lists(PLUGINS, min_size=2, max_size=4), st.booleans())
def test_memory_changes_nothing_that_is_said_of_plugins(rounds: Any, behind: bool) -> None:
    memory = Memory()
    held = plugin_worlds.served(rounds[0])
    for objects in rounds:
        more = {"gateway": held, "slots": held} if behind else {}
        snapshot = plugin_worlds.world(objects, rejected=held, **more)
        assert audit(snapshot, memory=memory) == audit(snapshot)


@pytest.mark.parametrize("depth", [90, 900, 5000, 100_000])
def test_a_configuration_of_any_depth_is_judged_or_unknown(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    snapshot = plugin_worlds.world([wasm("auth", defaultConfig={"planted": True}), LOG])
    listed = snapshot.kube["wasmplugins"].replace(b'{"planted": true}', deep.encode())
    listed = listed.replace(b'{"planted":true}', deep.encode())
    assert listed != snapshot.kube["wasmplugins"]
    for each in (snapshot, redact(snapshot)):
        result = audit(replace(each, kube={**each.kube, "wasmplugins": listed}))
        assert {p.verdict for p in result.plugins} <= {Verdict.CHANGED, Verdict.UNKNOWN, Verdict.IN_SYNC}
        assert {r.verdict for r in result.rules} == {Verdict.IN_SYNC}


def test_each_gateway_that_refuses_names_the_rules_that_it_breaks() -> None:
    snapshot = plugin_worlds.world(OBJECTS, gateway=WITHOUT, rejected=GOOD)
    result = audit(replace(snapshot, gateway={f"gateway-{n}": snapshot.gateway["gateway-0"] for n in range(2)}))
    assert [f.slug for f in result.findings if f.slug != "replicas-disagree"] == ["plugin-config-rejected"] * 2
    for finding in result.findings:
        assert "requests of 2 rules get 500" in finding.message
        assert finding.evidence[-1] == "500: default/a foo.test/a, default/b bar.test/b"
        assert {c.ingress for c in finding.concerns if c.ingress} == {"a", "b"}
