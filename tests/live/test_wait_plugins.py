"""``wait`` for WasmPlugins: in effect, pending, lost for good, refused, and not yet applied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests import plugin_worlds
from tests.live.test_wait import Script
from tests.plugin_worlds import rule, wasm
from xdsaudit import Snapshot
from xdsaudit.testing import ingress_list

AUTH = wasm("auth", matchRules=[rule({"n": 2}, ingress="default/a")])
OLD = plugin_worlds.served([wasm("auth", matchRules=[rule({"n": 1}, ingress="default/a")])])
REF = "wasmplugin/higress-system/auth"


def world(*objects: Any, **cut: Any) -> Snapshot:
    return plugin_worlds.world(objects, **cut)


def test_a_plugin_in_effect_ends_it_at_once_also_without_an_ingress() -> None:
    outcome = Script(lambda _: world(AUTH)).wait(REF)
    assert (outcome.code, outcome.rounds) == (0, 1)
    assert outcome.audit.rules == ()
    assert [p.name for p in outcome.audit.plugins] == ["auth"]


def test_it_waits_until_the_gateway_runs_the_new_configuration() -> None:
    script = Script(lambda now: world(AUTH, gateway=OLD if now < 3 else None))
    outcome = script.wait(REF, grace=10)
    assert outcome.ok
    assert 3 <= outcome.seconds < 5


def test_other_plugins_than_the_batchs_do_not_hold_it_up() -> None:
    broken = wasm("other", matchRules=[rule()])
    assert Script(lambda _: world(AUTH, broken)).wait("default/a", REF).ok
    assert Script(lambda _: world(AUTH, gateway=OLD)).wait("default/a").ok
    assert Script(lambda _: world(AUTH, gateway=OLD)).wait("default/a", REF, deadline=2, grace=10).code == 4


def test_a_rejection_that_outlasts_the_grace_period_ends_it() -> None:
    outcome = Script(lambda _: world(AUTH, gateway={}, rejected=["higress-system.auth"])).wait(REF, grace=5)
    assert outcome.code == 1
    assert [p.slug for p in outcome.audit.plugins] == ["plugin-config-rejected"]
    assert 5 <= outcome.seconds < 12


def test_a_rejection_of_before_does_not_end_a_wait_for_what_heals_it() -> None:
    """Counters never fall: the new image is still being fetched while they tell of the old one."""
    refused = ["higress-system.auth"]
    outcome = Script(lambda now: world(AUTH, gateway={} if now < 8 else None, rejected=refused)).wait(REF, grace=15)
    assert outcome.ok


def test_a_plugin_that_the_controller_refuses_ends_it() -> None:
    assert Script(lambda _: world(wasm("auth", matchRules=[rule()]))).wait(REF).code == 1
    assert Script(lambda _: world(wasm("auth", "shop"))).wait("wasmplugin/shop/auth").code == 1


def test_a_time_out_leaves_what_is_not_proven_pending() -> None:
    outcome = Script(lambda _: world(AUTH, gateway=OLD)).wait(REF, deadline=3, grace=60)
    assert outcome.code == 4
    assert {v.value for p in outcome.audit.plugins for v in p.verdicts} == {"pending"}


def test_a_plugin_that_is_not_applied_yet_is_waited_for() -> None:
    def wanted(now: float) -> Snapshot:
        found = world(AUTH) if now > 2 else world()
        return replace(found, manifest={"wasmplugins": ingress_list([AUTH], "WasmPlugin")})

    assert Script(wanted).wait(REF, deadline=10).ok
    never = Script(lambda _: replace(world(), manifest={"wasmplugins": ingress_list([AUTH], "WasmPlugin")}))
    outcome = never.wait(REF, deadline=2)
    assert outcome.code == 4
    assert [(p.verdict.value, p.stage) for p in outcome.audit.plugins] == [("lost", "apply")]
    assert "WasmPlugin higress-system/auth" in Script(lambda _: world()).wait(REF, deadline=2).missing[0]
