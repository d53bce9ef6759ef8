"""The three screens of a bad night: one gateway of twenty that lags, a rejection, a whole table that is missing. Each is one screen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import worlds
from xdsaudit import Audit, Snapshot, audit, render
from xdsaudit.audit.groups import causes
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.testing import ingress

ITEMS = [ingress(f"app-{n}", f"h{n % 6}.test", f"/p{n}") for n in range(60)]
PODS = [f"higress-gateway-7d9f8b6c5-x{n:02}" for n in range(20)]
TABLES = worlds.expectation(ITEMS).tables
WITHOUT_TWO = {p: tuple(r for r in rs if r.key.value.rstrip("/") not in ("/p7", "/p13")) for p, rs in TABLES.items()}
WITHOUT_HOST = {p: r for p, r in TABLES.items() if p[1] != "h3.test"}


def pages(gateway: object = None) -> dict[str, bytes]:
    return next(iter(worlds.world(ITEMS, gateway=gateway).gateway.values()))


def one_of_twenty() -> Snapshot:
    whole = pages()
    return replace(worlds.world(ITEMS), gateway={**dict.fromkeys(PODS, whole), PODS[11]: pages(WITHOUT_TWO)})


def no_table() -> Snapshot:
    served = {"pilot-0": PilotCapture(worlds.responses(WITHOUT_HOST), ())}
    return replace(worlds.world(ITEMS), pilot=served, gateway=dict.fromkeys(PODS, pages(WITHOUT_HOST)))


def fits(found: Audit, width: int) -> str:
    text = render(found, "table", width=width)
    lines = text.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= width
    return " ".join(text.split())


@pytest.mark.parametrize("width", [80, 120])
def test_one_gateway_of_twenty_that_lags_is_one_screen(width: int) -> None:
    text = fits(audit(one_of_twenty()), width)
    assert f"2 rules on 1 host, 1 of 20 gateways: {PODS[11]}" in text
    assert f"delete pod {PODS[11]}" in text


@pytest.mark.parametrize("width", [80, 120])
def test_a_whole_table_that_is_missing_is_one_screen(width: int) -> None:
    text = fits(audit(no_table()), width)
    assert "10 rules on 1 host, all 20 gateways" in text


@pytest.mark.parametrize("width", [80, 120])
def test_a_rejection_that_holds_back_many_rules_is_one_screen(recording, width: int) -> None:
    found = audit(recording("nack-one-host"))
    (one, *_) = next(g for g in causes(found).groups if g.code == "XA501").rules
    held = tuple(one._replace(rule=one.rule._replace(path=f"/p{n}")) for n in range(7))
    text = fits(replace(found, rules=held), width)
    assert "7 rules on 1 host" in text
    assert "envoy-rejected" in text
    assert text.count("- culprit:") == 1
