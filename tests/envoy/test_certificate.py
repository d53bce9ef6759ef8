"""Certificates of a config dump: names, dates, and what is none."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from xdsaudit.envoy.certificate import read_certificate
from xdsaudit.model.view import Certificate

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)


def pem(*names: str) -> bytes:
    issued = trustme.CA().issue_cert(*names, not_before=BEGINS, not_after=BEGINS + timedelta(days=90))
    return issued.cert_chain_pems[0].bytes()


def test_names_and_dates_in_either_form() -> None:
    data = pem("shop.test", "*.shop.test")
    one = read_certificate(base64.b64encode(data).decode())
    assert one == read_certificate("", data.decode())
    assert one is not None
    assert set(one.names) == {"shop.test", "*.shop.test"}
    assert (one.begins, one.ends) == (BEGINS.isoformat(), (BEGINS + timedelta(days=90)).isoformat())


@pytest.mark.parametrize("data", ["", "!!!", base64.b64encode(b"no certificate").decode(), "ZZZ="])
def test_what_is_none(data: str) -> None:
    assert read_certificate(data, "text") is None


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (("shop.test",), "shop.test", True),
        (("SHOP.test",), "shop.TEST", True),
        (("*.shop.test",), "a.shop.test", True),
        (("*.shop.test",), "a.b.shop.test", False),
        (("*.shop.test",), "shop.test", False),
        (("*.shop.test",), "*.shop.test", True),
        (("*.test",), "*.shop.test", False),
    ],
)
def test_what_a_name_covers(names: tuple[str, ...], host: str, good: bool) -> None:
    assert Certificate(names, "", "").covers(host) is good
