"""Go's answers, as a table that a Go program wrote, and ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xdsaudit.ingress import go

ANSWERS: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "go" / "answers.json").read_text())


def rows(name: str) -> Any:
    return pytest.mark.parametrize("row", [pytest.param(r, id=ascii(r["in"])) for r in ANSWERS[name]])


@rows("strings")
def test_strings(row: dict[str, Any]) -> None:
    assert go.fields(row["in"]) == row["fields"]
    assert go.trim_space(row["in"]) == row["trim"]
    assert row["in"].split(",") == row["split"]
    assert go.to_upper(row["in"]) == row["upper"]


@rows("numbers")
def test_numbers(row: dict[str, Any]) -> None:
    assert go.atoi(row["in"]) == row["atoi"]
    assert go.parse_int(row["in"], 32) == row["int32"]
    assert go.parse_uint(row["in"], 32) == row["uint32"]


@rows("wrap")
def test_conversions(row: dict[str, Any]) -> None:
    assert (go.uint32(row["in"]), go.int32(row["in"])) == (row["uint32"], row["int32"])


@rows("bools")
def test_bools(row: dict[str, Any]) -> None:
    assert go.parse_bool(row["in"]) is row["bool"]


@rows("urls")
def test_urls(row: dict[str, Any]) -> None:
    found = go.parse_url(row["in"])
    assert (None if found is None else list(found)) == row["url"]


@rows("addresses")
def test_addresses(row: dict[str, Any]) -> None:
    text = row["in"]
    if "/" in text:
        found = go.parse_prefix(text)
        assert (None if found is None else list(found)) == row["prefix"]
    else:
        assert go.parse_addr(text) == (row["prefix"] and row["prefix"][0])


def test_status_texts() -> None:
    assert {r["in"] for r in ANSWERS["status"]} == {c for c in range(-1, 1000) if go.has_status_text(c)}
