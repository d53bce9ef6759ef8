"""WasmPlugins to what core serves: Higress's conversion step by step, by version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plugin_worlds import rule, served, wasm
from xdsaudit.ingress.objects import decode_list
from xdsaudit.ingress.plugin_objects import WasmPlugin
from xdsaudit.ingress.plugins import PluginPlan, plan_plugins, run_order
from xdsaudit.ingress.profile import Profile
from xdsaudit.model.plugin import same_code, settings_from_text
from xdsaudit.testing import ingress_list


def plans(*objects: dict[str, Any], **options: Any) -> tuple[PluginPlan, ...]:
    return plan_plugins(decode_list(ingress_list(objects, "WasmPlugin"), WasmPlugin), Profile(**options))


def rules_of(name: str, **found: Any) -> list[Any]:
    settings = found[name].settings
    return [json.loads(r) for r in settings.rules]


def test_match_rules_keep_their_configuration_beside_their_conditions() -> None:
    found = served([wasm("x", defaultConfig={"d": 1}, matchRules=[rule({"a": "b"}, ingress=["default/a", "c"])])])
    settings = found["higress-system.x"].settings
    assert settings is not None
    assert settings.default == '{"d":1.0}'
    assert json.loads(settings.rules[0]) == {"a": "b", "_match_route_": ["default/a", "c"]}


def test_before_2_0_4_a_rule_has_one_kind_of_condition_and_from_then_on_all() -> None:
    both = [wasm("x", matchRules=[rule(ingress="default/a", service="s.svc", domain="foo.test")])]
    old = served(both, Profile(version=(2, 0, 3)))
    new = served(both, Profile(version=(2, 0, 4)))
    assert rules_of("higress-system.x", **old) == [{"_match_route_": ["default/a"]}]
    assert rules_of("higress-system.x", **new) == [
        {"_match_route_": ["default/a"], "_match_service_": ["s.svc"], "_match_domain_": ["foo.test"]}
    ]


def test_several_kinds_of_conditions_are_unknown_where_the_version_is() -> None:
    both = wasm("x", matchRules=[rule(ingress="default/a", domain="foo.test")])
    assumed = ("controller version 2.0.1",)
    assert plans(both, assumed=assumed)[0].unknown is not None
    assert plans(wasm("x", matchRules=[rule(ingress="default/a")]), assumed=assumed)[0].unknown is None


def test_disabled_parts_are_left_out() -> None:
    off = wasm(
        "x",
        defaultConfig={"d": 1},
        defaultConfigDisable=True,
        matchRules=[rule(ingress="a", configDisable=True), rule(domain="b")],
    )
    settings = served([off])["higress-system.x"].settings
    assert settings is not None
    assert settings.default == "null"
    assert [json.loads(r) for r in settings.rules] == [{"_match_domain_": ["b"]}]


def test_an_empty_plugin_config_hides_the_match_rules_and_a_null_one_does_not() -> None:
    hidden = served([wasm("x", pluginConfig={}, defaultConfig={"d": 1}, matchRules=[rule(domain="b")])])
    shown = served([wasm("x", pluginConfig=None, matchRules=[rule(domain="b")])])
    assert hidden["higress-system.x"].settings == settings_from_text("")
    assert len(rules_of("higress-system.x", **shown)) == 1


def test_a_plugin_counts_in_the_system_namespace_alone_and_only_where_informers_see_it() -> None:
    assert not plans(wasm("x", "shop"))[0].selected
    assert plans(wasm("x", "mine"), system_namespace="mine")[0].selected
    watching = {"watch_namespace": "shop"}
    assert not plans(wasm("x"), version=(2, 1, 0), **watching)[0].selected
    assert plans(wasm("x"), version=(2, 0, 7), **watching)[0].selected


def test_a_route_type_is_not_modelled_from_2_2_on() -> None:
    typed = wasm("x", matchRules=[{**rule(ingress="a"), "routeType": "GRPC"}])
    assert plans(typed, version=(2, 2, 1))[0].unknown is not None
    assert plans(typed, version=(2, 1, 9))[0].unknown is None
    assert (
        plans(wasm("x", matchRules=[{**rule(ingress="a"), "routeType": "HTTP"}]), version=(2, 2, 1))[0].unknown is None
    )


def test_filters_run_by_phase_then_priority_then_name_and_no_priority_is_the_lowest() -> None:
    listed = [
        wasm("b"), wasm("a"), wasm("low", priority=-5), wasm("stats", phase="STATS", priority=900),
        wasm("authz", phase="AUTHZ"), wasm("second", phase="AUTHN", priority=1), wasm("first", phase="AUTHN", priority=2),
    ]  # fmt: skip
    order = [n.partition(".")[2] for n in run_order(plans(*listed))]
    assert order == ["first", "second", "authz", "stats", "low", "a", "b"]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ('{"a":1}', '{"a":1.0}', True),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":"1"}', '{"a":1}', False),
        ('{"a":null}', "{}", False),
        ("{}", "", True),
        ('{"_rules_":[]}', "{}", True),
    ],
)
def test_configurations_are_compared_as_go_holds_them(one: str, other: str, equal: bool) -> None:
    assert (settings_from_text(one) == settings_from_text(other)) is equal


def test_a_file_of_the_agent_tells_of_another_image_or_digest_and_any_other_file_tells_nothing() -> None:
    import hashlib

    folder = hashlib.sha256(b"oci://registry.test/p/x").hexdigest()
    digest = "a" * 64
    path = f"/var/lib/istio/data/{folder}/{digest}.wasm"
    for url in ("oci://registry.test/p/x:1.0", "registry.test/p/x:2.0", f"oci://registry.test/p/x@sha256:{digest}"):
        assert same_code(url, "", path)
    assert not same_code("oci://registry.test/p/y:1.0", "", path)
    assert not same_code("oci://registry.test/p/x:1.0", "b" * 64, path)
    assert not same_code(f"oci://registry.test/p/x@sha256:{'c' * 64}", "", path)
    assert same_code("oci://registry.test/p/y:1.0", "", "/opt/plugins/ok.wasm")
    assert same_code("oci://UPPER.test/p/y:1.0", "", path)  # a reference that is read in no simple way
