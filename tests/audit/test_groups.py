"""Causes: what has one cause is told once, with its reach; what has two is two; and nothing is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests import worlds
from xdsaudit import Snapshot, audit, render
from xdsaudit.audit.groups import causes
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.json import to_object
from xdsaudit.testing import ingress

RECORDED = [
    "batch-loss",
    "nack-one-host",
    "gateway-stale",
    "controller-crashed",
    "gateway-warming",
    "random-scoped",
    "random-2.1",
]
ITEMS = [ingress(f"i{n}", f"h{n % 6}.test", f"/p{n}") for n in range(40)]
TABLES = worlds.expectation(ITEMS).tables
NAMES = [f"higress-gateway-7c9f5d6b8-{n:05d}" for n in range(20)]


def without(*numbers: int) -> dict[str, bytes]:
    """A gateway that lacks these Ingresses."""
    names = {f"default/i{n}" for n in numbers}
    cut = {p: tuple(r for r in routes if r.name not in names) for p, routes in TABLES.items()}
    return {"config_dump.json": worlds.config_dump(cut), "stats.json": worlds.stats()}


def fleet(**bad: dict[str, bytes]) -> Snapshot:
    """Twenty gateways; those that are named by number serve something else."""
    snapshot = worlds.world(ITEMS)
    given = {int(k.removeprefix("gw")): v for k, v in bad.items()}
    return replace(
        snapshot, gateway={name: given.get(n, snapshot.gateway["gateway-0"]) for n, name in enumerate(NAMES)}
    )


def recorded_fleet(recording: Any, name: str) -> Snapshot:
    snapshot = recording(name)
    return replace(snapshot, gateway=dict.fromkeys(NAMES, snapshot.gateway["higress-gateway-0"]), views=())


@pytest.mark.parametrize("name", RECORDED)
def test_each_rule_that_is_not_in_sync_stands_in_one_group(recording, name: str) -> None:
    result = audit(recording(name))
    found = causes(result)
    listed = [r.rule for g in found.groups for r in g.rules]
    assert sorted(listed, key=repr) == sorted(
        (r.rule for r in result.rules if r.verdict is not Verdict.IN_SYNC), key=repr
    )
    told = [f for g in found.groups for f in g.findings] + [t.finding for t in found.told]
    assert {f.code for f in told} == {f.code for f in result.findings}
    json = to_object(result)["groups"]
    assert [[str(result.rules[i].rule) for i in g["rules"]] for g in json] == [
        [str(r.rule) for r in g.rules] for g in found.groups
    ]


def test_one_gateway_of_twenty_that_lags_is_one_cause() -> None:
    (group,) = causes(audit(fleet(gw7=without(*range(7))))).groups
    assert len(group.rules) == 7
    assert group.hosts == 6
    assert group.shares == (("gateway", (NAMES[7],), 20),)
    assert "19 of 20 gateways have it" in group.lines
    assert f"gateway {NAMES[7]} lacks the rule's routes on port 80" in group.lines
    assert [f.slug for f in group.findings] == ["replicas-disagree"]


def test_gateways_that_lack_different_rules_are_different_causes() -> None:
    groups = causes(audit(fleet(gw1=without(0, 1), gw2=without(2)))).groups
    assert [(len(g.rules), g.shares[0].replicas) for g in groups] == [(2, (NAMES[1],)), (1, (NAMES[2],))]


def test_a_single_rule_keeps_its_own_words() -> None:
    (group,) = causes(audit(fleet(gw7=without(3)))).groups
    assert any(line.startswith(f"gateway {NAMES[7]} lacks path /p3 for h3.test on port 80") for line in group.lines)


def test_what_is_said_of_some_rules_alone_stands_with_them(recording) -> None:
    groups = causes(audit(recording("nack-one-host"))).groups
    absent = next(g for g in groups if g.slug == "cluster-absent")
    assert len(absent.parts) == 2
    assert all(len(p.rules) == 1 and "does not exist" in p.lines[0] for p in absent.parts)


def test_a_rejection_of_twenty_gateways_is_told_once(recording) -> None:
    result = audit(recorded_fleet(recording, "nack-one-host"))
    assert sum(f.slug == "envoy-rejected" for f in result.findings) == 20
    found = causes(result)
    (group,) = [g for g in found.groups if g.slug == "envoy-rejected"]
    assert not [t for t in found.told if t.finding.slug == "envoy-rejected"]
    assert str(group.by) == "shop/gone www.shop.test/gone"  # its own rule is of the same cause as the others
    assert (
        "all 20 gateways reject what pilot serves because of shop/gone: 2 rules on 2 hosts are held back" in group.lines
    )
    assert len(set(group.lines)) == len(group.lines)


def test_findings_alike_are_told_once_with_the_other_replicas() -> None:
    offline = {**worlds.world(ITEMS).gateway["gateway-0"], "stats.json": worlds.stats(connected=0)}
    told = causes(audit(fleet(gw3=offline, gw4=offline, gw9=offline))).told
    (disconnected,) = [t for t in told if t.finding.slug == "gateway-disconnected"]
    assert str(disconnected.likewise) == f"likewise {NAMES[4]}, {NAMES[9]}"
    everybody = causes(audit(fleet(**{f"gw{n}": offline for n in range(20)}))).told
    assert [str(t.likewise) for t in everybody] == ["likewise all 20"]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("world", ["lagging", "missing", "rejected"])
def test_it_fits_a_screen_of_forty_lines(world: str, width: int) -> None:
    reject = {**without(*range(7)), "stats.json": worlds.stats(**{f"higress-rds-80.h{n}.test": 2 for n in range(6)})}
    snapshot = {
        "lagging": fleet(gw7=without(*range(7))),
        "missing": fleet(**{f"gw{n}": without(*range(40)) for n in range(20)}),
        "rejected": fleet(**{f"gw{n}": reject for n in range(20)}),
    }[world]
    text = render(audit(snapshot), "table", width=width)
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= width


def test_a_source_that_could_not_be_read_is_told_once() -> None:
    snapshot = worlds.world(ITEMS)
    views = tuple(
        ViewInfo(name, replica, State.UNREAD, "connection refused by 10.0.0.7")
        for name, replica in ((ViewName.PILOT, "pilot-0"), (ViewName.GATEWAY, "gateway-0"))
    )
    text = render(audit(replace(snapshot, pilot={}, gateway={}, views=views)), "table", width=120)
    assert text.count("gateway gateway-0: unread: connection refused") == 1
    assert "UNKNOWN: 40 rules" in text
    assert text.count("connection refused") == 2  # a line each, in the first lines
    assert len(text.splitlines()) < 20


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "junit", "sarif", "github", "html", "prom"])
def test_every_format_says_what_was_not_looked_at_before_any_rule(form: str) -> None:
    snapshot = replace(worlds.world(ITEMS[:1], gateway={}), pilot={}, views=())
    text = render(audit(snapshot), form)
    first = "Not looked at:" if form == "html" else "not asked:"
    assert f"{first} core, pilot's private cache line, pilot" in " ".join(text.replace("&#39;", "'").split())
    rule = text.find("i0")
    assert form in ("sarif", "prom") or 0 < text.find(first) < (rule if rule > 0 else len(text))


def test_a_port_that_nothing_listens_on_is_told_once() -> None:
    dump = json.loads(worlds.config_dump(TABLES))
    dump["configs"][1]["dynamic_listeners"] = []
    deaf = {"config_dump.json": json.dumps(dump).encode(), "stats.json": worlds.stats()}
    result = audit(fleet(**{f"gw{n}": deaf for n in range(20)}))
    (group,) = causes(result).groups
    assert (len(group.rules), len(group.parts), group.slug) == (40, 1, "nothing-listens")
    assert "all 20 gateways: nothing listens on port 80, which holds back 40 rules" in group.lines
    assert len(render(result, "table").splitlines()) <= 40
