"""Looking into a view: routes in their order, whose they are; two views side by side say what differs and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import worlds
from tests.audit.test_groups import NAMES, fleet, without
from xdsaudit import Snapshot, audit, render
from xdsaudit.audit.questions.routes import VIEWS, RouteQuery, compared, listings
from xdsaudit.audit.verdicts import judged
from xdsaudit.cli.main import run
from xdsaudit.report.routes import listing_objects, routes_text, view_pairs_text
from xdsaudit.testing import ingress

RECORDINGS = Path(__file__).parent.parent / "recordings"
ITEMS = [ingress("a", "foo.test", "/a"), ingress("b", "foo.test", "/b"), ingress("w", "*.bar.test", "/w")]


def world(snapshot: Snapshot) -> Any:
    return judged(snapshot)[0]


def signs(found: Any) -> list[tuple[str, str, bool]]:
    return [(line.sign, line.route.match, line.moved) for each in found for line in each.lines if line.sign != " "]


@pytest.mark.parametrize("view", ["expected", "pilot", "gateway"])
def test_routes_stand_in_the_order_of_the_view(view: str) -> None:
    (found,) = listings(world(worlds.world(ITEMS)), RouteQuery(host="FOO.test"), view)
    assert [(r.number, r.match, r.rule.ref if r.rule else "") for r in found.routes] == [
        (1, "path /a", "default/a"),
        (2, "prefix /a/", "default/a"),
        (3, "path /b", "default/b"),
        (4, "prefix /b/", "default/b"),
    ]
    assert {r.to for r in found.routes} == {"outbound|80||web.default.svc.cluster.local"}


def test_an_ingress_keeps_its_places_in_the_list() -> None:
    (found,) = listings(world(worlds.world(ITEMS)), RouteQuery(ref="default/b"), "gateway")
    assert [r.number for r in found.routes] == [3, 4]


def test_a_wildcard_stands_in_for_a_host_without_routes_and_says_so() -> None:
    found = listings(world(worlds.world(ITEMS)), RouteQuery(host="x.bar.test"), "gateway")
    assert [each.host for each in found] == ["*.bar.test"]
    assert "x.bar.test has no routes of its own here" in routes_text(found, host="x.bar.test", width=120)
    assert "has no routes of its own" not in routes_text(found, host="*.bar.test")
    assert listings(world(worlds.world(ITEMS)), RouteQuery(host="other.test"), "gateway") == ()


def test_replicas_that_hold_the_same_are_one_listing() -> None:
    found = listings(world(fleet(gw7=without(0))), RouteQuery(host="h0.test"), "gateway")
    assert sorted(len(each.replicas) for each in found) == [1, 19]
    assert next(each for each in found if len(each.replicas) == 1).replicas == (NAMES[7],)


@pytest.mark.parametrize("name", ["healthy-scoped", "healthy-flat"])
def test_healthy_views_are_equal(recording, name: str) -> None:
    found = compared(world(recording(name)), RouteQuery(), "pilot", "gateway")
    assert found
    assert [each.host for each in found if not each.equal] == []


def test_the_incident_shows_the_two_routes_that_the_cache_lacks(recording) -> None:
    found = compared(world(recording("batch-loss")), RouteQuery(host="wss.live.test"), "fresh", "pilot")
    assert signs(found) == [("-", "path /10061", False), ("-", "prefix /10061/", False)]
    other = compared(world(recording("batch-loss")), RouteQuery(host="wss.live.test"), "pilot", "fresh")
    assert signs(other) == [("+", "path /10061", False), ("+", "prefix /10061/", False)]


def test_a_changed_field_is_named_with_both_values(recording) -> None:
    found = compared(world(recording("gateway-stale")), RouteQuery(ref="shop/cart"), "pilot", "gateway")
    (first, *_) = [line for each in found for line in each.lines if line.sign == "~"]
    deltas = {d.field: (d.expected, d.actual) for d in first.deltas}
    assert deltas["cluster"] == ("outbound|80||api.shop.svc.cluster.local", "outbound|80||cart.shop.svc.cluster.local")
    back = compared(world(recording("gateway-stale")), RouteQuery(ref="shop/cart"), "gateway", "pilot")
    (turned, *_) = [line for each in back for line in each.lines if line.sign == "~"]
    assert {d.field: (d.actual, d.expected) for d in turned.deltas} == deltas


@pytest.mark.parametrize("view", ["pilot", "gateway"])
def test_the_expectation_is_compared_as_an_audit_does(view: str) -> None:
    here = world(worlds.world(ITEMS))
    assert all(each.equal for each in compared(here, RouteQuery(), "expected", view))
    assert all(each.equal for each in compared(here, RouteQuery(), view, "expected"))


def test_swapped_routes_are_said_to_have_moved() -> None:
    tables = worlds.expectation(ITEMS).tables
    turned = {p: tuple(reversed(rs)) for p, rs in tables.items()}
    found = compared(world(worlds.world(ITEMS, gateway=turned)), RouteQuery(host="foo.test"), "pilot", "gateway")
    assert signs(found)
    assert all(moved for _, _, moved in signs(found))
    assert "(in another place)" in view_pairs_text(found)


def test_credentials_are_never_shown() -> None:
    secret = ingress(
        "s", "foo.test", "/s", annotations={"higress.io/request-header-control-add": "Authorization sesame"}
    )
    here = world(worlds.world([secret]))
    for view in ("expected", "pilot", "gateway"):
        found = listings(here, RouteQuery(), view)
        assert "sesame" not in json.dumps(listing_objects(found)) + routes_text(found)


def of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["routes", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_manifest_alone_needs_no_cluster(capsys, tmp_path: Path) -> None:
    place = tmp_path / "a.yaml"
    place.write_text(yaml.safe_dump(ITEMS[0]))
    code, out, err = of(capsys, "-f", str(place))
    assert (code, err) == (0, "")
    assert "expected from the Ingresses  foo.test:80  2 routes" in out
    code, out, _ = of(capsys, "-f", str(place), "-o", "yaml")
    assert yaml.safe_load(out)[0]["routes"][0]["match"] == "path /a"


def test_exit_codes(capsys) -> None:
    stale = str(RECORDINGS / "gateway-stale")
    assert of(capsys, "www.shop.test", "--snapshot", stale)[0] == 0
    assert of(capsys, "shop/cart", "--compare", "pilot,gateway", "--snapshot", stale)[0] == 1
    code, out, err = of(capsys, "www.shop.test", "--view", "fresh", "--snapshot", stale)
    assert (code, out) == (3, "")
    assert "the view fresh was not read" in err
    code, _, err = of(capsys, "shop/cat", "--snapshot", stale)
    assert (code, "did you mean shop/cart" in err) == (2, True)
    assert of(capsys, "shop/cart", "--compare", "pilot", "--snapshot", stale)[0] == 2
    code, _, err = of(capsys, "https://www.shop.test/x", "--snapshot", stale)
    assert (code, "xdsaudit explain https://www.shop.test/x" in err) == (2, True)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("view", VIEWS)
def test_it_fits_and_is_harmless(recording, view: str, width: int) -> None:
    here = world(replace(recording("random-merge")))
    text = routes_text(listings(here, RouteQuery(), view), width=width)
    assert max((len(line) for line in text.splitlines()), default=0) <= width
    evil = world(worlds.world([ingress("e", "foo.test", "/\x1b[31m\u202e[bold]")]))
    assert "\x1b" not in routes_text(listings(evil, RouteQuery(), "expected"))


def test_an_explanation_and_the_page_say_how_to_look_at_the_routes(recording, capsys) -> None:
    batch = str(RECORDINGS / "batch-loss")
    command = "xdsaudit routes live/app-10061 --compare fresh,pilot"
    assert run(["explain", "live/app-10061", "--snapshot", batch]) == 1
    assert command in " ".join(capsys.readouterr().out.split())
    assert command in render(audit(recording("batch-loss")), "html")
    assert (
        "xdsaudit routes"
        not in render(audit(recording("healthy-scoped").without(fresh=True)), "html").split("Lost:")[0]
    )
    assert of(capsys, *command.split()[2:], "--snapshot", batch)[0] == 1


def test_plugins_stand_with_the_routes_they_act_on(capsys) -> None:
    code, out, _ = of(capsys, "--snapshot", str(RECORDINGS / "plugins-loaded.tar.xz"), "-o", "json")
    assert code == 0
    named = {plugin for listing in json.loads(out) for route in listing["routes"] for plugin in route["plugins"]}
    assert any(name.startswith("higress-system/") for name in named)
    _, out, _ = of(capsys, "--snapshot", str(RECORDINGS / "plugins-loaded.tar.xz"), "--view", "expected", "-o", "json")
    assert not any(route["plugins"] for listing in json.loads(out) for route in listing["routes"])
