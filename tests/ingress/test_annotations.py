"""The table of annotations, its lookups, and what is said of keys that mean nothing."""

from __future__ import annotations

import pytest

from tests import worlds
from xdsaudit import audit
from xdsaudit.ingress.annotation_table import TABLE
from xdsaudit.ingress.annotations import boolean, integer, look, meaningless, text
from xdsaudit.testing import ingress

N, H = "nginx.ingress.kubernetes.io/", "higress.io/"


def test_every_key_has_one_row() -> None:
    assert len({r.key for r in TABLE}) == len(TABLE) > 60


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("1", True),
        ("T", True),
        ("true", True),
        ("0", False),
        ("False", False),
        ("yes", None),
        ("", None),
        (" true", None),
    ],
)
def test_boolean(raw: str, expected: bool | None) -> None:
    assert boolean(raw) is expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("10", 10),
        ("-3", -3),
        ("+4", 4),
        ("10s", None),
        (" 5", None),
        ("", None),
        ("9" * 19, None),
        ("٣", None),
        ("1_0", None),
    ],
)
def test_integer(raw: str, expected: int | None) -> None:
    assert integer(raw) == expected


def test_text_trims_lines_and_empty_is_absent() -> None:
    assert text(" a \n b ") == "a\nb"
    assert text("  ") is None


def test_nginx_is_first_unless_it_does_not_parse() -> None:
    assert look({N + "canary-weight": "10", H + "canary-weight": "20"}, "canary-weight", integer) == 10
    assert look({N + "canary-weight": "x", H + "canary-weight": "20"}, "canary-weight", integer) == 20
    assert look({N + "timeout": "10"}, "timeout", integer) is None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (H + "rewrite-taget", "did you mean higress.io/rewrite-target?"),
        (N + "timeout", "higress.io/timeout only"),
        (N + "configuration-snippet", "Higress ignores it"),
        (N + "proxy-read-timeout", "higress.io/timeout, in seconds"),
        (H + "affinity-mode", "one mode of affinity"),
        (H + "mcp-server-upstream-typ", "did you mean higress.io/mcp-server-upstream-type?"),
        (H + "request-timeout", "what is meant is higress.io/timeout"),
        (H + "zzz", "does not know it"),
    ],
)
def test_meaningless_keys(key: str, said: str) -> None:
    ((found, sentence),) = meaningless((key,), (2, 1, 9))
    assert found == key
    assert said in sentence
    result = audit(worlds.world([ingress("a", "foo.test", "/a", annotations={key: "x"})]))
    (finding,) = result.findings
    assert (finding.slug, finding.severity.value) == ("annotation-without-effect", "info")
    assert result.exit_code() == 0


@pytest.mark.parametrize(
    "key",
    [
        H + "timeout",
        N + "canary",
        H + "exact-match-header-x",
        "example.com/x",
        "kubernetes.io/ingress.class",
        H + "mcp-server",
        H + "enable-rewrite",
        H + "resource-description",
        H + "wasm-plugin-title",
        H + "auth-consumer-levels",
        "disabled.higress.io/rewrite-path",
    ],
)
def test_keys_that_are_fine(key: str) -> None:
    assert meaningless((key,), (2, 1, 9)) == ()
