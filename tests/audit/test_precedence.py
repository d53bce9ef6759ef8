"""One verdict a rule, the first that applies: the order of the docs is the code's, proved by rules for which two apply."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests import worlds
from tests.audit.test_attribution import GOOD, ITEMS, WITHOUT_B
from xdsaudit import Audit, audit
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.testing import ingress

Json = dict[str, Any]
DOCS = Path(__file__).parent.parent.parent / "docs" / "verdicts.md"


def test_the_docs_list_verdicts_in_the_order_of_the_code() -> None:
    rows = [line.split("`")[1] for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert rows[: rows.index("in_sync") + 1] == [v.value for v in Verdict if v is not Verdict.NOT_SELECTED]


def routes(configs: Json) -> list[Json]:
    table = next(t for t in configs[3]["dynamic_route_configs"] if "foo.test" in t["route_config"]["name"])
    found: list[Json] = table["route_config"]["virtual_hosts"][0]["routes"]
    return found


def lost(configs: Json) -> None:
    routes(configs)[:] = [r for r in routes(configs) if r["name"] != "default/b" or "prefix" in r["match"]]


def changed(configs: Json) -> None:
    for route in routes(configs):
        if route["name"] == "default/b" and "prefix" in route["match"]:
            route["route"]["timeout"] = "7s"


def pending(configs: Json) -> None:
    for each in configs[1]["dynamic_listeners"]:
        each["warming_state"] = each.pop("active_state")


def shadowed(configs: Json) -> None:
    routes(configs).insert(0, {"match": {"prefix": "/b"}, "name": "own", "route": {"cluster": "c"}})


def no_upstream(configs: Json) -> None:
    configs[0]["dynamic_active_clusters"] = []


CHANGES: dict[Verdict, Callable[[Json], None]] = {
    Verdict.LOST: lost,
    Verdict.CHANGED: changed,
    Verdict.PENDING: pending,
    Verdict.UNKNOWN: lambda _: None,
    Verdict.SHADOWED: shadowed,
    Verdict.NO_UPSTREAM: no_upstream,
}


def verdict(*wanted: Verdict) -> Verdict:
    """Of b, for which all of these hold."""
    dump = json.loads(worlds.config_dump(GOOD))
    for each in dict.fromkeys(wanted):
        CHANGES[each](dump["configs"])
    pages = {"config_dump.json": json.dumps(dump).encode()}
    unsure = Verdict.UNKNOWN in wanted
    views = (ViewInfo(ViewName.PILOT, "pilot-0", State.PARTIAL, "RDS unanswered"),) if unsure else ()
    return of(audit(worlds.world(ITEMS, pages=pages, pilot=WITHOUT_B if unsure else GOOD, views=views)))


def of(result: Audit) -> Verdict:
    return next(r.verdict for r in result.rules if r.rule.ingress == "b")


@pytest.mark.parametrize(("one", "other"), [*combinations(CHANGES, 2), *((v, v) for v in CHANGES)])
def test_of_two_verdicts_that_apply_the_earlier_is_given(one: Verdict, other: Verdict) -> None:
    assert verdict(one, other) is one
    assert verdict() is Verdict.IN_SYNC


# --- what is not modelled ---------------------------------------------------------------------------------------------
H, N = "higress.io/", "nginx.ingress.kubernetes.io/"
CHANCES = {
    "which value of Host is kept": (
        {H + "request-header-control-add": "Host one.test\nhost two.test"},
        [{H + "request-header-control-add": f"Host {name}.test"} for name in ("one", "two")],
    ),
    "which kind of condition": (
        {H + "exact-match-header-x": "1", H + "prefix-match-header-x": "2"},
        [{H + "exact-match-header-x": "1"}, {H + "prefix-match-header-x": "2"}],
    ),
}


@pytest.mark.parametrize("view", ["pilot", "gateway"])
@pytest.mark.parametrize(("notes", "outcomes"), CHANCES.values(), ids=CHANCES)
def test_what_chance_decides_is_neither_lost_nor_changed_whatever_the_outcome(
    view: str, notes: dict[str, str], outcomes: list[dict[str, str]]
) -> None:
    items = [ITEMS[0], ingress("b", "foo.test", "/b", annotations=notes)]
    verdicts = []
    for each in outcomes:
        tables = worlds.expectation([ITEMS[0], ingress("b", "foo.test", "/b", annotations=each)]).tables
        result = audit(worlds.world(items, gateway=tables, **({"pilot": tables} if view == "pilot" else {})))
        assert result.extra == ()
        verdicts.append(of(result))
    assert verdicts == [Verdict.UNKNOWN] * len(outcomes)


@pytest.mark.parametrize(("notes", "_"), CHANCES.values(), ids=CHANCES)
def test_what_chance_decides_is_lost_where_nothing_of_it_is_served(notes: dict[str, str], _: Any) -> None:
    items = [ITEMS[0], ingress("b", "foo.test", "/b", annotations=notes)]
    nothing = worlds.expectation(ITEMS[:1]).tables
    assert of(audit(worlds.world(items, gateway=nothing))) is Verdict.LOST
