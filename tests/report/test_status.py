"""The table of replicas: a row each, ages in words, causes below, told once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.audit.test_groups import NAMES, fleet, recorded_fleet, without
from xdsaudit import Snapshot
from xdsaudit.audit.questions.status import replica_statuses
from xdsaudit.audit.verdicts import judged
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report.ages import age, span
from xdsaudit.report.status import status_text


def text(snapshot: Snapshot, width: int = 80) -> str:
    world, result = judged(snapshot)
    return status_text(replica_statuses(world, result), now=result.captured_at, width=width)


def row(found: str, name: str) -> list[str]:
    (line,) = [each for each in found.splitlines() if each.strip().startswith(name)]
    return line.split()


def test_a_row_says_what_a_gateway_does(recording: Any) -> None:
    found = text(recording("gateway-stale"))
    assert row(found, "connected") == ["connected", "routes", "version", "table", "NACK", "warming", "missing"]
    assert row(found, "higress-gateway-0") == ["higress-gateway-0", "NO", "96", "1.40.0", "44", "s", "before", "3", "5"]
    assert "gateway higress-gateway-0 is not connected to a control plane" in found


def test_a_standing_rejection_is_now_and_an_old_one_before(recording: Any) -> None:
    assert "NOW" in row(text(recording("nack-one-host")), "higress-gateway-0")
    assert "before" in row(text(recording("gateway-stale")), "higress-gateway-0")


@pytest.mark.parametrize("width", [80, 120])
def test_twenty_gateways_fit_a_screen(recording: Any, width: int) -> None:
    for snapshot in (recorded_fleet(recording, "nack-one-host"), fleet(gw7=without(1, 2))):
        lines = text(snapshot, width).splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= width
    assert len([line for line in lines if line.rstrip().endswith("2")]) == 1


def test_a_cause_of_many_is_told_once(recording: Any) -> None:
    found = " ".join(text(recorded_fleet(recording, "nack-one-host")).split())
    assert found.count("culprit") == 1
    assert "and 17 more reject what it is served" in found


def test_what_could_not_be_read_says_why_below() -> None:
    snapshot = fleet()
    gone = tuple(ViewInfo(ViewName.GATEWAY, n, State.UNREAD, "timed out") for n in NAMES[:2])
    kept = {n: pages for n, pages in snapshot.gateway.items() if n not in NAMES[:2]}
    found = text(replace(snapshot, gateway=kept, views=gone))
    assert found.count("timed out") == 1
    assert "20 as they should be" not in found
    assert "19 as they should be" in found  # pilot and 18 gateways


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (44.4, "44 s"), (119, "119 s"), (120, "2 m"), (7300, "2 h"), (200000, "2 d")]
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_no_age_where_no_time_is_told() -> None:
    assert age("2026-01-01T00:00:00Z", "2026-01-01T00:03:00Z") == "3 m"
    assert age(None, "2026-01-01T00:03:00Z") == ""
    assert age("2026-01-01T00:00:00Z", None) == ""
    assert age("2026-01-01T00:05:00Z", "2026-01-01T00:03:00Z") == ""
