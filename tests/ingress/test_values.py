"""Values without effect: what is told changes nothing, and what changes nothing is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ingress.test_annotation_laws import GOOD, ODD
from tests.ingress.test_annotation_pairs import EXAMPLES, expected, notes_of
from xdsaudit.ingress.annotation_table import TABLE, Row
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.values import void

N, H = "nginx.ingress.kubernetes.io/", "higress.io/"
PROFILE = Profile(version=(2, 1, 9))
ROWS = [r for r in TABLE if r.effect and r.read_by(PROFILE.version)]
VALUES = dict.fromkeys((*GOOD, *ODD))
DEFAULTS = {
    "permanent-redirect-code": {"301"},
    "mirror-target-fqdn-port": {"80"},
    "cors-max-age": {"1728000"},
    "canary-weight-total": {"100"},
    "route-limit-burst-multiplier": {"5", "+5"},
    "proxy-next-upstream-timeout": {"0", "-0"},
    "mirror-percentage": {"100"},
    "session-cookie-max-age": {"0"},
    "session-cookie-expires": {"0"},
    "cors-allow-origin": {"*", " ,*, ", "https://*.a.test, *"},
    "timeout": {"0"},
}


def told(notes: dict[str, str], key: str) -> list[str]:
    return [str(v) for v in void(notes, PROFILE) if key in v.key.split(", ")]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.key)
def test_what_is_told_to_have_no_effect_at_all_changes_nothing(row: Row) -> None:
    for value in VALUES:
        with_it, without = notes_of(row, value=value)
        mine = [v for v in void(with_it, PROFILE) if H + row.key in v.key.split(", ") and not v.partly]
        if mine and "presence" not in row.odd and "instead" not in mine[0].why and "301 is" not in mine[0].why:
            assert expected(with_it) == expected(without), value


def harmless(row: Row, value: str) -> bool:
    """Whether a value asks for what would be without it, or for nothing."""
    if not value.strip() or value in DEFAULTS.get(row.key, ()):
        return True
    if row.kind == "switch":
        return value in ("false", "0", "f", "F", "FALSE", "False") or (
            row.key == "cors-allow-credentials" and value in ("true", "1")
        )
    if row.key == "whitelist-source-range":
        return True  # one that lets everybody in is told as a protection that does not apply
    return row.key in ("default-backend", "mirror-target-service", "mirror-target-fqdn", "destination", "canary-weight")


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.key)
def test_what_changes_nothing_is_told(row: Row) -> None:
    for value in VALUES:
        with_it, without = notes_of(row, value=value)
        if not harmless(row, value) and expected(with_it) == expected(without):
            assert told(with_it, H + row.key), value


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.key)
def test_a_good_value_is_not_told(row: Row) -> None:
    with_it, _ = notes_of(row)
    assert [str(v) for v in void(with_it, PROFILE)] == []


@pytest.mark.parametrize(
    ("notes", "words"),
    [
        ({H + "timeout": "10s"}, "write 10 without a unit"),
        ({N + "ssl-redirect": "true "}, "no boolean"),
        ({N + "load-balance": "ewma"}, "not one of ROUND_ROBIN"),
        ({N + "backend-protocol": "FCGI"}, "HTTP is spoken"),
        ({N + "upstream-hash-by": "$request_uri$host"}, "without a hash"),
        ({N + "permanent-redirect": "/new"}, "no URL"),
        ({H + "route-limit-rps": "10/s"}, "no whole number"),
        ({H + "tls-min-protocol-version": "TLS1.2"}, "not one of TLSv1.0"),
        ({N + "ssl-cipher": "NOPE:AES128-SHA"}, "'NOPE' is no cipher"),
        ({H + "request-header-control-add": "x-foo:secret"}, "'x-foo' has no value"),
        ({N + "cors-allow-origin": "*"}, "enable-cors"),
        ({N + "session-cookie-max-age": "5"}, "affinity: cookie is missing"),
        ({N + "custom-http-errors": "404"}, "default-backend is missing"),
        ({N + "affinity": "ip"}, "a cookie decides"),
        ({N + "canary-weight": "10"}, 'canary: "true" is missing'),
        ({H + "mcp-server": "true"}, "without mcp-server-match-rule-type"),
        ({N + "rewrite-target": "/a", H + "rewrite-path": "/b"}, "counts instead"),
        ({N + "proxy-ssl-secret": "a/b"}, "in the clear"),
    ],
)
def test_each_parser_says_why_it_gave_up(notes: dict[str, Any], words: str) -> None:
    said = [str(v) for v in void(notes, PROFILE)]
    assert any(words in s for s in said), said
    assert not any("secret" in s and "x-foo" in s for s in said), "what may be a credential is not shown"


@pytest.mark.parametrize(
    "notes",
    [
        {N + "enable-cors": "false", N + "cors-allow-origin": "*"},
        {N + "canary": "false", N + "canary-weight": "10"},
        {N + "enable-cors": "", N + "timeout": "10s"},
        {"example.com/timeout": "10s"},
    ],
)
def test_what_is_switched_off_or_not_higress_s_is_not_told(notes: dict[str, str]) -> None:
    assert list(void(notes, PROFILE)) == []


def test_the_examples_cover_every_row() -> None:
    assert {r.key for r in ROWS} <= EXAMPLES.keys()
