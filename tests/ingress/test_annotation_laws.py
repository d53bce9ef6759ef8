"""Laws of annotation values, good, odd and hostile: whatever they hold, translation answers, and says what it can keep.

No exception; the order of annotations means nothing; what is expected survives protobuf and comes back in sync; keys that
Higress does not know, and keys newer than the controller, change nothing.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import Audit, audit
from xdsaudit.ingress.annotation_table import TABLE
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.model.verdict import Verdict
from xdsaudit.testing import ingress, ingress_list, service

pytestmark = pytest.mark.slow

HIGRESS, NGINX = "higress.io/", "nginx.ingress.kubernetes.io/"
GOOD = (
    *("true", "false", "0", "1", "5", "30", "100", "web", "default/web:80", "x-a", "x-a 1\nx-b 2", "GET POST"),
    *("10.0.0.0/8, ::1", "https://a.test/x?y#z", "https://*.a.test, *", "error timeout http_404", "404,500", "$host"),
    *("GRPC", "RANDOM", "/new/$1", "50% s1.dns:80 v1\n50% s2.dns:80", "m.test", "mcp-sse", "http_503,off", "$arg_a"),
)
ODD = (
    *("", " ", "\n", "\t", ",", ",,", "*", " ,*, ", "yes", "2x", "-1", "+5", "007", "1_0", "٣", "0x1", "1e3", "1.5"),
    *("2147483648", "-2147483649", "4294967296", "9223372036854775808", "9" * 40, "%", "%%", "100%", "$", "$http_"),
    *(
        "https://a.test:x",
        "https://a.test/%zz",
        "https://a.test/%20%2F",
        "http:opaque",
        "https:",
        "//a",
        "https://u:p@a",
    ),
    *("0.0.0.0/0", "::/0", "10.0.0.0/08", "10.0.0.0/255.0.0.0", "::ffff:1.2.3.4", "fe80::1%eth0", "http_", "http_99"),
    *("/s", "a/b/c", "web:0", "web:99999", "a:80:90", ":80", 'x ""', 'x "half', "'a' 'b'", "Host a", ":path", "0404"),
    *("host:0", "host:70000", "-5% a:80\n105% b:80", "0% a:80\n0% b:80", "a:80\nb:80", "GET\nPOST", "get\u00a0put"),
)
HOSTILE = (
    "a" * 5000,
    "((((",
    "\x00",
    "\x1c\x85",
    "🦊" * 50,
    "\u2028",
    "${a.b/c.d}",
    "[" * 200,
    "\\",
    "{}",
    '"',
    "\ufffd",
)
VALUES = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from(ODD),
    st.sampled_from(HOSTILE),
    st.text(st.characters(blacklist_categories=("Cs",)), max_size=12),
)
KEYS = [
    *(prefix + row.key for row in TABLE for prefix in (HIGRESS, NGINX)),
    *(f"{HIGRESS}{kind}-match-{what}-x" for kind in ("exact", "prefix", "regex") for what in ("header", "query")),
    f"{HIGRESS}match-header-x",
    f"{NGINX}exact-match-header-x",
    f"{HIGRESS}regex-match-pseudo-header-path",
]
NOTES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
VERSIONS = st.sampled_from([(2, 0, 1), (2, 1, 9), (2, 2, 1)])
PATHS = st.lists(st.sampled_from(["/", "/x", "//", "/a//", "/v1.0", "/a b"]), min_size=1, max_size=3, unique=True)
MANY = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def items_of(notes: dict[str, str], canary: dict[str, str], paths: list[str]) -> list[dict[str, Any]]:
    bridge = ingress("b", "a.test", "/b", annotations=notes)
    for path in bridge["spec"]["rules"][0]["http"]["paths"]:
        path["backend"] = {"resource": {"apiGroup": "networking.higress.io", "kind": "McpBridge", "name": "default"}}
    return [
        ingress("a", "a.test", *paths, annotations=notes, tls="tls", created="2025-01-01T00:00:00Z"),
        bridge,
        ingress("c", "a.test", *paths, annotations={**canary, HIGRESS + "canary": "true"}),
    ]


def expected(items: list[dict[str, Any]], version: tuple[int, int, int]) -> Expectation:
    objects, _ = read_objects({"ingresses": ingress_list(items), "services": ingress_list([service("web")], "Service")})
    return translate(objects, Profile(version=version))


def said(found: Expectation) -> Any:
    return (
        {place: [(*r[:4], r.uncertain) for r in routes] for place, routes in found.tables.items()},
        sorted((p.rule, p.refusal or "", p.unknown or "") for p in found.plans),
        found.policies,
    )


def wrong(result: Audit) -> list[tuple[str | None, list[str]]]:
    """Rules that lost something on the way; what is asked of clusters is not in these worlds, and what protects is no route's."""
    told = []
    for rule in result.rules:
        names = [f.field for f in rule.fields]
        of_clusters = bool(names) and all(n.startswith("cluster.") for n in names)
        if rule.slug == "protection-not-applied":
            continue
        if rule.verdict in (Verdict.LOST, Verdict.CHANGED) and not of_clusters:
            told.append((f"{rule.rule} {rule.slug}", names))
    return told


@MANY
@given(NOTES, NOTES, PATHS, VERSIONS)
def test_whatever_the_values_there_is_an_answer(
    notes: dict[str, str], canary: dict[str, str], paths: list[str], version: tuple[int, int, int]
) -> None:
    found = expected(items_of(notes, canary, paths), version)
    for routes in found.tables.values():
        for route in routes:
            json.dumps(route.fields, allow_nan=False)
    assert said(found) == said(expected(items_of(notes, canary, paths), version)), "nothing is kept between runs"


@MANY
@given(NOTES, PATHS, VERSIONS)
def test_the_order_of_annotations_means_nothing(
    notes: dict[str, str], paths: list[str], version: tuple[int, int, int]
) -> None:
    """Except where the answer is unknown, which is then the answer in every order."""
    one = expected(items_of(notes, {}, paths), version)
    other = expected(items_of(dict(reversed(notes.items())), {}, paths), version)
    unknown = [p.unknown is not None for p in one.plans]
    assert unknown == [p.unknown is not None for p in other.plans]
    if not any(unknown):
        assert said(one) == said(other)


@MANY
@given(NOTES, NOTES, PATHS)
def test_what_is_expected_comes_back_in_sync(notes: dict[str, str], canary: dict[str, str], paths: list[str]) -> None:
    """Through protobuf and the readers: no value and no type is lost on the way."""
    try:
        snapshot = worlds.world(items_of(notes, canary, paths))
    except (ParseError, ValueError):
        return  # what protobuf cannot hold: pilot could not send it either
    assert not wrong(audit(snapshot))


@MANY
@given(NOTES, PATHS, VERSIONS, VALUES.filter(lambda v: "${" not in v))  # a template is read wherever it stands
def test_keys_that_are_not_read_change_nothing(
    notes: dict[str, str], paths: list[str], version: tuple[int, int, int], value: str
) -> None:
    unread = {
        f"{HIGRESS}no-such-annotation": value,
        f"{NGINX}configuration-snippet": value,
        "example.com/timeout": value,
        **{HIGRESS + row.key: value for row in TABLE if row.since > version or not row.effect},
    }
    kept = {k: v for k, v in notes.items() if k not in unread}
    plain = expected(items_of(kept, {}, paths), version)
    assert said(plain) == said(expected(items_of({**unread, **kept}, {}, paths), version))


@pytest.mark.parametrize("row", TABLE, ids=lambda r: r.key)
@pytest.mark.parametrize("pool", [GOOD, ODD, HOSTILE], ids=["good", "odd", "hostile"])
def test_every_annotation_with_every_value_comes_back_in_sync(row: Any, pool: tuple[str, ...]) -> None:
    """One Ingress a value, all in one world, so that none can hide behind another."""
    items = [
        ingress(f"i{n}", f"h{n}.test", "/x", annotations={HIGRESS + row.key: value, HIGRESS + "enable-cors": "true"})
        for n, value in enumerate(pool)
        if row.key not in ("canary", "timeout", "session-cookie-max-age", "cors-max-age") or len(value) < 9
    ]
    result = audit(worlds.world(items))
    assert not result.extra
    assert not wrong(result)
