"""What concerns a gateway as a whole: dumps that prove nothing, counters that explain nothing, remedies that must agree."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from tests import worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B, WITHOUT_BAR
from xdsaudit import Audit, Snapshot, audit
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress

Json = dict[str, Any]
BAD = ingress("bad", "foo.test", "/(?=x)", annotations={"nginx.ingress.kubernetes.io/use-regex": "true"})
SECTIONS = ("ClustersConfigDump", "ListenersConfigDump", "ScopedRoutesConfigDump", "RoutesConfigDump")


def dump(change: Callable[[list[Json]], Any], tables: worlds.Tables = GOOD) -> bytes:
    found = json.loads(worlds.config_dump(tables))
    change(found["configs"])
    return json.dumps(found).encode()


def without(name: str) -> Callable[[list[Json]], None]:
    def change(configs: list[Json]) -> None:
        configs[:] = [c for c in configs if not c["@type"].endswith(f".{name}")]

    return change


def of_node(node: str) -> Callable[[list[Json]], None]:
    section = {"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {"node": {"id": node}}}
    return lambda configs: configs.append(section)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_dump_without_a_section_is_a_gap_that_names_it(name: str) -> None:
    result = audit(worlds.world(ITEMS, pages={"config_dump.json": dump(without(name))}))
    (gap,) = [i for i in result.views if i.state is State.UNREAD]
    assert name in str(gap.why)
    assert result.lost == ()
    assert result.exit_code() == 3


def test_a_dump_without_certificates_is_whole() -> None:
    assert audit(worlds.world(ITEMS, pages={"config_dump.json": dump(without("SecretsConfigDump"))})).exit_code() == 0


@pytest.mark.parametrize(
    ("node", "code"),
    [
        ("router~10.0.0.1~higress-gateway-0.higress-system~higress-system.svc.cluster.local", 0),
        ("sidecar~10.0.0.1~web-0.default~default.svc.cluster.local", 3),
        ("envoy-default-eg-5391c79d-abcde", 3),
        ("", 0),
    ],
)
def test_an_envoy_that_is_no_gateway_is_a_gap(node: str, code: int) -> None:
    result = audit(worlds.world(ITEMS, pages={"config_dump.json": dump(of_node(node))}))
    assert result.exit_code() == code
    assert all(node in str(g.why) for g in result.gaps)


# --- counters -------------------------------------------------------------------------------------------------------
def erring(configs: list[Json]) -> None:
    listeners = configs[1]["dynamic_listeners"]
    listeners[0]["error_state"] = {"details": "Unable to create Wasm plugin auth"}


def mute(configs: list[Json]) -> None:
    configs[1]["dynamic_listeners"] = []


OLD = worlds.stats(**{f"higress-rds-80.{host}": 3 for host in ("foo.test", "bar.test")})


def slugs(result: Audit) -> set[str | None]:
    return {r.slug for r in result.rules} | {f.slug for f in result.findings}


def test_an_old_counter_beside_missing_listeners_is_no_rejection() -> None:
    result = audit(worlds.world(ITEMS, pages={"config_dump.json": dump(mute), "stats.json": OLD}))
    assert slugs(result) == {"nothing-listens"}
    (finding,) = result.findings
    assert "3 rules" in finding.message


def test_what_a_refused_listener_explains_is_no_rejected_table() -> None:
    pages = {"config_dump.json": dump(erring, WITHOUT_BAR), "stats.json": OLD}
    assert slugs(audit(worlds.world(ITEMS, pages=pages))) == {"listener-rejected", None}


def test_a_table_that_differs_is_one_even_beside_a_refused_listener() -> None:
    pages = {"config_dump.json": dump(erring, WITHOUT_B), "stats.json": OLD}
    assert slugs(audit(worlds.world(ITEMS, pages=pages))) == {"envoy-rejected", "listener-rejected", None}


def test_the_only_ingress_that_differs_is_the_first_suspect() -> None:
    (finding,) = audit(worlds.world(ITEMS, gateway=WITHOUT_B, pages={"stats.json": OLD})).findings
    assert "default/b is the first suspect" in finding.message


# --- replicas -------------------------------------------------------------------------------------------------------
def pair(one: Json, other: Json | None) -> Snapshot:
    """Two gateways; None is one that could not be read."""
    snapshot = worlds.world(ITEMS)
    if other is None:
        info = ViewInfo(ViewName.GATEWAY, "gateway-1", State.UNREAD, "timed out")
        return replace(snapshot, gateway={"gateway-0": one}, views=(*snapshot.views, info))
    return replace(snapshot, gateway={"gateway-0": one, "gateway-1": other})


def pages(tables: worlds.Tables, *, connected: int = 1) -> Json:
    return {"config_dump.json": worlds.config_dump(tables), "stats.json": worlds.stats(connected=connected)}


def test_a_gateway_that_was_not_read_does_not_disagree() -> None:
    assert "replicas-disagree" not in slugs(audit(pair(pages(WITHOUT_B), None)))
    assert "replicas-disagree" in slugs(audit(pair(pages(WITHOUT_B), pages(GOOD))))


def test_a_connected_gateways_loss_is_not_called_a_disconnection() -> None:
    result = audit(pair(pages(WITHOUT_B, connected=0), pages(WITHOUT_B)))
    assert {r.slug for r in result.of(Verdict.LOST)} == {"not-delivered"}
    assert "gateway-disconnected" in {f.slug for f in result.findings}
    both = audit(pair(pages(WITHOUT_B, connected=0), pages(WITHOUT_B, connected=0)))
    assert {r.slug for r in both.of(Verdict.LOST)} == {"gateway-disconnected"}


# --- remedies -------------------------------------------------------------------------------------------------------
def unfetched(configs: list[Json]) -> None:
    tables = configs[3]["dynamic_route_configs"]
    tables[:] = [t for t in tables if "bar.test" not in t["route_config"]["name"]]


def unscoped(configs: list[Json]) -> None:
    for group in configs[2]["dynamic_scoped_route_configs"]:
        group["scoped_route_configs"] = [s for s in group["scoped_route_configs"] if "bar" not in json.dumps(s)]


def warming(configs: list[Json]) -> None:
    for each in configs[1]["dynamic_listeners"][:1]:
        each["warming_state"] = each.pop("active_state")


def slower(configs: list[Json]) -> None:
    for table in configs[3]["dynamic_route_configs"]:
        for route in table["route_config"]["virtual_hosts"][0]["routes"]:
            route["route"]["timeout"] = "7s"


FAULTS: dict[str, Callable[[list[Json]], None] | bytes] = {
    "a table that was never fetched": unfetched,
    "a scope that is missing": unscoped,
    "a refused listener": erring,
    "no listener": mute,
    "a warming listener": warming,
    "a route of another timeout": slower,
    "no cluster": lambda configs: configs[0]["dynamic_active_clusters"].clear(),
    "counters": OLD,
    "no control plane": worlds.stats(connected=0),
}


@pytest.mark.parametrize(("one", "other"), list(combinations(FAULTS, 2)))
@pytest.mark.parametrize("tables", [GOOD, WITHOUT_B], ids=["whole", "without b"])
def test_remedies_on_one_gateway_do_not_contradict_each_other(one: str, other: str, tables: worlds.Tables) -> None:
    def change(configs: list[Json]) -> None:
        for name in (one, other):
            fault = FAULTS[name]
            if callable(fault):
                fault(configs)

    read = {"config_dump.json": dump(change, tables)}
    for name in (one, other):
        fault = FAULTS[name]
        if isinstance(fault, bytes):
            read["stats.json"] = fault
    agree(audit(worlds.world(ITEMS, pages=read)))
    full = worlds.expectation([*ITEMS, BAD]).tables  # pilot serves a route that no Envoy takes
    agree(audit(worlds.world([*ITEMS, BAD], pilot=full, pages=read)))


def agree(result: Audit) -> None:
    told = {str(x.remedy) for x in (*result.rules, *result.findings) if x.remedy}
    asked = [t for t in told if "restart the gateway pod" in t.lower() or "or restart the gateway" in t.lower()]
    forbidden = [t for t in told if "do not restart" in t.lower()]
    assert not (asked and forbidden), (asked, forbidden)
