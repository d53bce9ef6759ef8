"""``xdsaudit compare`` as a command: its sources, what it prints, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import worlds
from xdsaudit import save
from xdsaudit.cli.main import run
from xdsaudit.testing import ingress

BASE = [ingress("web", "shop.test", "/", service="web"), ingress("api", "shop.test", "/api", service="api")]
NEW = ingress("v2", "shop.test", "/api/v2", service="two")
ODD = ingress(
    "odd", "shop.test", "/odd", annotations={f"higress.io/{k}-match-header-x": "1" for k in ("exact", "prefix")}
)


def written(place: Path, items: list[dict[str, Any]]) -> str:
    for each in items:
        item = {**each, "apiVersion": "networking.k8s.io/v1", "metadata": {**each["metadata"]}}
        item["metadata"].pop("creationTimestamp", None)
        place.mkdir(exist_ok=True)
        (place / f"{item['metadata']['name']}.yaml").write_text(yaml.safe_dump(item))
    return str(place)


def compare(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["compare", *arguments])
    return (code, *capsys.readouterr())


def test_two_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = written(tmp_path / "one", BASE), written(tmp_path / "two", [*BASE, NEW])
    code, out, _ = compare(capsys, one, two)
    assert code == 1
    assert out.splitlines()[0] == "GET http://shop.test/api/v2"
    assert out.endswith("1 kind of requests answered differently, and nothing else changes\n")
    assert compare(capsys, one, one)[:2] == (0, "nothing changes for clients\n")


def test_a_batch_on_a_snapshot_and_an_upgrade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(worlds.world(BASE), tmp_path / "snapshot")
    batch = written(tmp_path / "batch", [NEW])
    for places in ([str(tmp_path / "snapshot")], ["--snapshot", str(tmp_path / "snapshot")]):
        code, out, _ = compare(capsys, *places, "-f", batch, "-o", "json")
        found = json.loads(out)
        assert (code, found["schema"], found["proven"]) == (1, "xdsaudit.comparison/1", True)
        assert [c["after"]["rule"]["ingress"] for c in found["changed"]] == ["v2"]
    hashed = ingress("web", "shop.test", "/", annotations={"higress.io/upstream-hash-by": "$remote_addr"})
    place = written(tmp_path / "hashed", [hashed])
    code, out, _ = compare(capsys, place, "--controller-version", "2.0.7", "--to", "2.2.1")
    assert code == 1
    assert "hash_policy" in out
    assert compare(capsys, place, "--controller-version", "2.1.8", "--to", "2.2.1")[0] == 0


def test_what_is_not_proved_is_3_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = written(tmp_path / "one", BASE), written(tmp_path / "two", [*BASE, ODD])
    code, out, _ = compare(capsys, one, two)
    assert code == 3
    assert "not proven: default/odd is not modelled" in out
    assert "whether anything else changes is not proven" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "b", "c"], "BEFORE and AFTER"),
        (["a", "b", "--to", "2.2.1"], "BEFORE and AFTER"),
        (["a"], "nothing to compare with"),
        (["a", "--to", "newest"], "is not a version"),
        (["no-such-place", "--to", "2.2.1"], "no such file or directory"),
    ],
)
def test_wrong_usage_is_2_with_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = compare(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) <= 3


def test_what_gateways_hold_in_two_snapshots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = worlds.world(BASE)
    tables = worlds.expectation(BASE).tables
    cut = {place: [r for r in routes if r.name != "default/api"] for place, routes in tables.items()}
    save(whole, tmp_path / "monday")
    save(worlds.world(BASE, gateway=cut), tmp_path / "friday")
    places = [str(tmp_path / "monday"), str(tmp_path / "friday")]
    code, out, _ = compare(capsys, *places, "--served")
    assert code == 1
    assert out.splitlines()[0] == "GET http://shop.test/api"
    assert "after:  default/web" in out
    assert "and nothing else changes" in out
    assert compare(capsys, *places)[0] == 0, "the Ingresses are the same"
    assert compare(capsys, places[0], "--served")[0] == 2
