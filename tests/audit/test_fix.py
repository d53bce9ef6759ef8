"""Commands beside remedies: real names, quoted, none where a name is not known, none that another remedy forbids."""

from __future__ import annotations

import shlex
from dataclasses import replace
from string import Formatter
from typing import Any

import pytest

from tests import worlds
from tests.audit.test_groups import NAMES, fleet, recorded_fleet, without
from xdsaudit import Audit, audit, render
from xdsaudit.audit.causes.catalogue import BY_SLUG, CATALOGUE
from xdsaudit.audit.causes.commands import EXAMPLES
from xdsaudit.audit.causes.fix import examples, with_fixes
from xdsaudit.model.verdict import Origin, Rule
from xdsaudit.report.terminal import wrapped_command
from xdsaudit.testing import ingress, ingress_list

HEALED = {c.slug for c in CATALOGUE if c.fix}
"""Causes with commands."""


def commands(result: Audit, slug: str) -> list[str]:
    every = [f for x in (*result.rules, *result.not_selected, *result.findings) if x.slug == slug for f in x.fix]
    return [f.command for f in dict.fromkeys(every)]


@pytest.mark.parametrize("slug", sorted(HEALED))
def test_each_cause_and_each_place_exists(slug: str) -> None:
    for each in BY_SLUG[slug].fix:
        places = {name for text in (each.title, each.text) for _, name, _, _ in Formatter().parse(text) if name}
        assert places - {"partly"} <= set(EXAMPLES)
    shown = examples(BY_SLUG[slug])
    assert len(shown) == sum("{partly}" not in c.text for c in BY_SLUG[slug].fix)
    for fix in shown:
        assert shlex.split(fix.command)[0] == "kubectl"


def test_a_stale_cache_names_the_ingress_to_touch(recording) -> None:
    touch, restart = commands(audit(recording("batch-loss")), "stale-route-cache")
    assert touch == 'kubectl -n live annotate ingress app-10061 --overwrite xdsaudit.io/touched="$(date +%s)"'
    assert restart == "kubectl -n higress-system rollout restart deployment -l app=higress-controller"


def test_what_is_missing_behind_a_route_is_named(recording) -> None:
    result = audit(recording("nack-one-host"))
    assert commands(result, "certificate-warming")[0] == (
        "kubectl -n payments create secret tls pay-tls --cert=tls.crt --key=tls.key"
    )
    assert "kubectl -n shop create service clusterip no-such-svc --tcp=8080:8080" in commands(result, "cluster-absent")


def test_the_culprit_of_a_rejection_is_corrected_and_no_gateway_restarted(recording) -> None:
    found = commands(audit(recorded_fleet(recording, "nack-one-host")), "envoy-rejected")
    assert found[0] == "kubectl -n shop edit ingress gone"
    assert not [c for c in found if "delete pod" in c]


def test_gateways_that_lag_are_restarted_by_name() -> None:
    (restart,) = commands(audit(fleet(gw7=without(1, 2), gw8=without(1, 2))), "not-delivered")
    assert restart == f"kubectl -n higress-system delete pod {NAMES[7]} {NAMES[8]}"


def test_all_gateways_are_restarted_by_their_label() -> None:
    (restart,) = commands(audit(fleet(**{f"gw{n}": without(1) for n in range(20)})), "not-delivered")
    assert restart == "kubectl -n higress-system rollout restart deployment -l app=higress-gateway"


def test_a_gateway_that_refuses_something_is_not_restarted() -> None:
    def erring(dump: bytes) -> bytes:
        return dump.replace(
            b'"active_state"', b'"error_state": {"details": "Unable to create Wasm plugin"}, "active_state"'
        )

    stale = without(1, 2)
    result = audit(fleet(gw7={**stale, "config_dump.json": erring(stale["config_dump.json"])}))
    assert {r.slug for r in result.lost} == {"not-delivered"}
    assert "first" in str(result.lost[0].remedy)
    assert not [c for r in result.lost for c in r.fix]


def test_an_address_is_no_pod() -> None:
    snapshot = worlds.world([ingress("a", "foo.test", "/a")], gateway={})
    pages = snapshot.gateway["gateway-0"]
    for name in ("127.0.0.1:15000", "http://gw:15000", "dump.json"):
        result = audit(replace(snapshot, gateway={name: pages}))
        assert result.lost
        assert not [c for r in result.lost for c in r.fix if "pod" in c.command]


def test_only_an_ingress_of_duplicates_alone_is_to_be_deleted() -> None:
    first = ingress("first", "foo.test", "/a")
    later = ingress("later", "foo.test", "/a", created="2026-01-02T00:00:00Z")
    mixed = ingress("mixed", "foo.test", "/a", created="2026-01-03T00:00:00Z")
    other = ingress("mixed", "foo.test", "/b")["spec"]["rules"][0]["http"]["paths"]
    mixed["spec"]["rules"][0]["http"]["paths"] += other
    found = commands(audit(worlds.world([first, later, mixed])), "duplicated-route")
    assert "kubectl -n default delete ingress later" in found
    assert "kubectl -n default edit ingress mixed" in found
    assert "kubectl -n default delete ingress mixed" not in found


def test_a_manifest_is_applied_by_its_file() -> None:
    wanted = [ingress("new", "foo.test", "/new")]
    snapshot = replace(
        worlds.world([ingress("a", "foo.test", "/a")]),
        manifest={"ingresses": ingress_list(wanted)},
        origins={("default/new", "", ""): Origin("my batch/new.yaml", 3)},
    )
    assert commands(audit(snapshot), "not-applied") == ["kubectl apply -f 'my batch/new.yaml'"]


EVIL = ["; rm -rf ~", "$(reboot)", "`id`", "a b", "--all", "-x", "../../etc/passwd", "x\ny", "'", '"', "A&B", "ünï"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("where", ["ingress", "namespace", "by"])
def test_names_of_strangers_stay_names(name: str, where: str) -> None:
    result = audit(worlds.world([ingress("a", "foo.test", "/a")], gateway={}, pilot={}))
    rule = result.rules[0]
    other = Rule(name, name, "foo.test", "/", None)
    odd = rule._replace(rule=rule.rule._replace(**{where: name})) if where != "by" else rule._replace(by=other)
    for slug in HEALED:
        fixed = with_fixes(replace(result, rules=(odd._replace(slug=slug, remedy=BY_SLUG[slug].remedy),)))
        for fix in fixed.rules[0].fix:
            assert name not in shlex.split(fix.command)  # no object can have that name, and no command uses it


def test_they_stand_in_every_format_for_people_and_in_json(recording) -> None:
    result = audit(recording("batch-loss"))
    command = commands(result, "stale-route-cache")[1]
    for form in ("json", "jsonl"):
        assert command in render(result, form)
    assert command in render(result, "table", width=200)
    assert command in render(result, "html")


@pytest.mark.parametrize("width", [24, 40, 80])
def test_a_wrapped_command_is_the_same_command(width: int) -> None:
    every: list[Any] = [fix.command for slug in HEALED for fix in examples(BY_SLUG[slug])]
    for command in [*every, "kubectl apply -f 'a long  name with   blanks.yaml'"]:
        lines = wrapped_command(command, width)
        assert all(line.endswith(" \\") for line in lines[:-1])
        assert shlex.split("\n".join(lines).replace("\\\n", "")) == shlex.split(command)
