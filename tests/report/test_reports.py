"""Reports: JSON by its published schema, a table that fits 80 columns and sends no stranger's control characters on."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from tests import worlds
from xdsaudit import audit, render
from xdsaudit.report import FORMATS
from xdsaudit.report.json import to_object
from xdsaudit.testing import ingress

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "audit-1.schema.json").read_text())
NAMES = [
    "healthy-scoped",
    "gateway-warming",
    "batch-loss",
    "nack-one-host",
    "gateway-stale",
    "controller-crashed",
    "random-merge",
    "plugins-loaded.tar.xz",
    "plugins-rejected.tar.xz",
]


@pytest.mark.parametrize("name", NAMES)
def test_json_follows_its_schema(recording, name: str) -> None:
    found = json.loads(render(audit(recording(name)), "json"))
    jsonschema.validate(found, SCHEMA)
    assert found["schema"] == "xdsaudit.audit/1"
    assert sum(found["summary"]["by_verdict"].values()) == found["summary"]["rules"] == len(found["rules"])


def test_no_key_is_missing_from_the_schema(recording) -> None:
    found = to_object(audit(recording("gateway-stale")))
    assert found.keys() == SCHEMA["properties"].keys()
    assert found["rules"][0].keys() == SCHEMA["properties"]["rules"]["items"]["properties"].keys()
    assert found["findings"][0].keys() == SCHEMA["properties"]["findings"]["items"]["properties"].keys()
    assert found["extra"][0].keys() == SCHEMA["properties"]["extra"]["items"]["properties"].keys()


def test_no_key_of_a_plugin_is_missing_from_the_schema(recording) -> None:
    plugin = to_object(audit(recording("plugins-rejected.tar.xz")))["plugins"][0]
    shape = SCHEMA["properties"]["plugins"]["items"]["properties"]
    assert plugin.keys() == shape.keys()
    assert plugin["rules"][0].keys() == shape["rules"]["items"]["properties"].keys()


def test_plugins_in_every_report(recording) -> None:
    result = audit(recording("plugins-rejected.tar.xz"))
    for form in FORMATS:
        text = render(result, form)
        assert "plugin-config-rejected" in text or "XA503" in text, form
        assert form == "prom" or "higress-system/key-auth" in text, form
        assert "not-a-real-key" not in text
    table = render(result, "table")
    assert "PLUGINS: 6 plugins: 1 refused, 3 lost, 1 dormant, 1 in sync" in table
    assert "matchRules[0] (ingress shop/cart): refused" in table
    assert 'xdsaudit_plugins{verdict="lost"} 3' in render(result, "prom")
    fine = audit(recording("plugins-loaded.tar.xz"))
    assert "PLUGINS: 1 plugin: 1 in sync" in render(fine, "table")
    assert "PLUGINS" not in render(audit(recording("healthy-scoped")), "wide")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["table", "wide"])
@pytest.mark.parametrize("width", [60, 80])
def test_the_table_fits(recording, name: str, form: str, width: int) -> None:
    text = render(audit(recording(name)), form, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text


def test_the_order_of_the_table(recording) -> None:
    text = render(audit(recording("gateway-stale")), "table")
    places = [
        text.index(word)
        for word in ("LOST: 3 rules", "CHANGED: 2", "NO UPSTREAM: 7", "REFUSED: 5", "EXTRA: 1", "IN SYNC: 49")
    ]
    assert places == sorted(places)
    assert text.rstrip().splitlines()[-1].startswith("66 rules: 5 refused, 3 lost")
    assert "remedy: Restore the connection" in text


def test_long_runs_are_grouped_and_wide_shows_all() -> None:
    items = [ingress(f"i{n}", f"h{n}.test", "/x", service="ghost") for n in range(40)]
    result = audit(worlds.world(items))
    assert len(render(result, "table").splitlines()) < 20
    gone = audit(worlds.world(items, gateway={}))
    text = render(gone, "table")
    assert "... and 28 more" in text
    assert render(gone, "wide").count("default/i") == 40


def test_color_only_on_request(recording) -> None:
    assert "\x1b[" in render(audit(recording("batch-loss")), "table", color=True)


@pytest.mark.parametrize("form", ["table", "wide", "json"])
def test_hostile_names_are_harmless(form: str) -> None:
    evil = "/\x1b[31m\u202e[bold]x[/bold]\n{}"
    text = render(audit(worlds.world([ingress("a", "foo.test", evil)], gateway={})), form)
    assert not any(
        unicodedata.category(c) in ("Cc", "Cf") for c in text if c != "\n" and (form != "json" or c != "\u202e")
    )
    assert "[bold]" in "".join(text.split())


def test_a_matrix_of_replicas_that_disagree() -> None:
    items = [ingress("a", "foo.test", "/a"), ingress("b", "foo.test", "/b")]
    tables = worlds.expectation(items).tables
    cut = {p: tuple(r for r in rs if r.name != "default/b") for p, rs in tables.items()}
    snapshot = worlds.world(items)
    stale = {"config_dump.json": worlds.config_dump(cut), "stats.json": worlds.stats()}
    many = {f"gateway-{n}": stale if n in (1, 4) else snapshot.gateway["gateway-0"] for n in range(6)}
    result = audit(replace(snapshot, gateway=many))
    text = render(result, "table")
    assert "default/b  foo.test/b (Prefix), 2 of 6 gateways: gateway-1, gateway-4" in " ".join(text.split()).replace(
        "default/b foo", "default/b  foo"
    )
    assert "REPLICAS DISAGREE" not in text  # the cause says it already
    wide = render(result, "wide").splitlines()
    (row,) = [line for line in wide if line.strip().startswith("default/b foo.test/b  ")]
    assert row.split()[2:] == [".", ".", "L"]  # pilot, four gateways that are alike, two that are alike
    assert any(line.split() == ["3", "gateway", "(2)", "gateway-1,", "gateway-4"] for line in wide)
    assert "REPLICAS DISAGREE" not in render(audit(snapshot), "wide")


def test_a_matrix_where_replicas_lack_different_rules() -> None:
    items = [ingress(name, "foo.test", f"/{name}") for name in "abc"]
    tables = worlds.expectation(items).tables
    snapshot = worlds.world(items)

    def without(name: str) -> dict[str, bytes]:
        cut = {p: tuple(r for r in rs if r.name != f"default/{name}") for p, rs in tables.items()}
        return {"config_dump.json": worlds.config_dump(cut), "stats.json": worlds.stats()}

    gateways = {"gateway-0": snapshot.gateway["gateway-0"], "gateway-1": without("a"), "gateway-2": without("b")}
    text = render(audit(replace(snapshot, gateway=gateways)), "table")
    rows = {
        line.split()[0]: line.split()[2:] for line in text.splitlines() if " foo.test/" in line and "." in line[-8:]
    }
    assert rows == {"default/a": [".", ".", "L", "."], "default/b": [".", ".", ".", "L"]}
