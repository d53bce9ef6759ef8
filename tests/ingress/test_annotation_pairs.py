"""The table of annotations against what translation does: for each row a pair of Ingresses, with it and without it.

For a version that has the annotation the expectation differs where the row says that something reads it, and is equal
where it says that nothing does. For a version that has not, it is equal, and the finding says so.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any

import pytest

from tests import worlds
from xdsaudit import audit
from xdsaudit.ingress.annotation_table import BY_KEY, NUMBER, SWITCH, TABLE, VALUE_KINDS, Row
from xdsaudit.ingress.annotations import boolean, integer
from xdsaudit.ingress.effects import EFFECTS
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.testing import ingress, ingress_list, service

HIGRESS, NGINX = "higress.io/", "nginx.ingress.kubernetes.io/"
NEWEST, OLDEST = (2, 1, 9), (2, 0, 0)
Notes = dict[str, str]

CORS: Notes = {"enable-cors": "true"}
CANARY: Notes = {"canary": "true"}
COOKIE: Notes = {"affinity": "cookie"}
MIRROR: Notes = {"mirror-target-service": "web:80"}
GRPC: Notes = {"backend-protocol": "GRPC"}

EXAMPLES: dict[str, tuple[str, Notes]] = {
    "canary": ("true", {}),
    "canary-by-header": ("x-canary", CANARY),
    "canary-by-header-value": ("v", {**CANARY, "canary-by-header": "x-canary"}),
    "canary-by-header-pattern": ("v", {**CANARY, "canary-by-header": "x-canary"}),
    "canary-by-cookie": ("c", CANARY),
    "canary-weight": ("30", CANARY),
    "canary-weight-total": ("200", {**CANARY, "canary-weight": "30"}),
    "enable-cors": ("true", {}),
    "cors-allow-origin": ("https://a.test", CORS),
    "cors-allow-methods": ("GET", CORS),
    "cors-allow-headers": ("X-A", CORS),
    "cors-expose-headers": ("X-A", CORS),
    "cors-allow-credentials": ("false", CORS),
    "cors-max-age": ("5", CORS),
    "rewrite-target": ("/new", {}),
    "use-regex": ("true", {}),
    "upstream-vhost": ("up.test", {}),
    "full-path-regex": ("true", {}),
    "rewrite-path": ("/new", {}),
    "temporal-redirect": ("https://a.test/x", {}),
    "permanent-redirect": ("https://a.test/x", {}),
    "permanent-redirect-code": ("308", {"permanent-redirect": "https://a.test/x"}),
    "ssl-redirect": ("true", {}),
    "force-ssl-redirect": ("true", {}),
    "app-root": ("/home", {}),
    "backend-protocol": ("GRPC", {}),
    "proxy-ssl-secret": ("default/tls", GRPC),
    "proxy-ssl-name": ("a.test", {"backend-protocol": "HTTPS", "proxy-ssl-server-name": "on"}),
    "proxy-ssl-server-name": ("on", {"backend-protocol": "HTTPS", "proxy-ssl-name": "a.test"}),
    "proxy-ssl-verify": ("on", {"backend-protocol": "HTTPS"}),
    "load-balance": ("RANDOM", {}),
    "upstream-hash-by": ("$host", {}),
    "affinity": ("cookie", {}),
    "session-cookie-name": ("c", {}),
    "session-cookie-path": ("/c", {}),
    "session-cookie-max-age": ("9", COOKIE),
    "session-cookie-expires": ("9", COOKIE),
    "whitelist-source-range": ("10.0.0.0/8", {}),
    "timeout": ("7", {}),
    "proxy-next-upstream": ("http_404", {}),
    "proxy-next-upstream-tries": ("7", {}),
    "proxy-next-upstream-timeout": ("7", {}),
    "route-limit-rpm": ("7", {}),
    "route-limit-rps": ("7", {}),
    "route-limit-burst-multiplier": ("7", {"route-limit-rps": "7"}),
    "default-backend": ("web", {}),
    "custom-http-errors": ("500", {"default-backend": "web"}),
    "auth-type": ("basic", {}),
    "auth-secret": ("default/users", {"auth-type": "basic"}),
    "auth-secret-type": ("auth-map", {"auth-type": "basic"}),
    "auth-realm": ("r", {"auth-type": "basic"}),
    "auth-tls-secret": ("default/ca-cacert", {}),
    "ssl-cipher": ("ECDHE-RSA-AES128-SHA", {}),
    "tls-min-protocol-version": ("TLSv1.2", {}),
    "tls-max-protocol-version": ("TLSv1.2", {}),
    "mirror-target-service": ("web:80", {}),
    "mirror-percentage": ("7", MIRROR),
    "mirror-target-fqdn": ("m.test", {}),
    "mirror-target-fqdn-port": ("81", {"mirror-target-fqdn": "m.test"}),
    "destination": ("s1.dns:80", {}),
    "ignore-path-case": ("true", {}),
    "match-method": ("GET", {}),
    "request-header-control-add": ("x-a 1", {}),
    "request-header-control-update": ("x-a 1", {}),
    "request-header-control-remove": ("x-a", {}),
    "response-header-control-add": ("x-a 1", {}),
    "response-header-control-update": ("x-a 1", {}),
    "response-header-control-remove": ("x-a", {}),
    "mcp-server": ("true", {}),
    "mcp-server-match-rule-domains": ("a.test", {"mcp-server": "true"}),
    "mcp-server-match-rule-type": ("prefix", {"mcp-server": "true"}),
    "mcp-server-match-rule-value": ("/mcp", {"mcp-server": "true"}),
    "mcp-server-upstream-type": ("sse", {"mcp-server": "true"}),
    "mcp-server-enable-path-rewrite": ("true", {"mcp-server": "true"}),
    "mcp-server-path-rewrite-prefix": ("/x", {"mcp-server": "true"}),
    "mcp-sse-stateful-param-name": ("session", {"load-balance": "MCP-SSE"}),
    "rpc-destination-name": ("dubbo", {}),
}
"""For each row a value that says something else than its default, and what must stand beside it."""


def _bridge(notes: Notes) -> dict[str, Any]:
    item = ingress("b", "b.test", "/b", annotations=notes)
    for path in item["spec"]["rules"][0]["http"]["paths"]:
        path["backend"] = {
            "resource": {"apiGroup": "networking.higress.io", "kind": "McpBridge", "name": "default"},
        }
    return item


def expected(notes: Notes, version: tuple[int, int, int] = NEWEST) -> Any:
    """Everything that an expectation says of an Ingress with these annotations, and of an older one beside it."""
    plain = ingress("base", "a.test", "/x", created="2025-01-01T00:00:00Z", tls="tls")
    items = [plain, ingress("a", "a.test", "/x", "/y", annotations=notes, tls="tls"), _bridge(notes)]
    objects, _ = read_objects({"ingresses": ingress_list(items), "services": ingress_list([service("web")], "Service")})
    found = translate(objects, Profile(version=version))
    return (
        {place: [(*r[:4], r.uncertain) for r in routes] for place, routes in found.tables.items()},
        sorted((p.rule, p.refusal or "", p.unknown or "") for p in found.plans),
        found.policies,
        found.secrets,
    )


def notes_of(row: Row, prefix: str = HIGRESS, value: str | None = None) -> tuple[Notes, Notes]:
    example, companions = EXAMPLES[row.key]
    without = {HIGRESS + key: raw for key, raw in companions.items()}
    return {**without, prefix + row.key: example if value is None else value}, without


def test_every_row_has_an_example() -> None:
    assert EXAMPLES.keys() == BY_KEY.keys()
    assert {row.kind for row in TABLE} <= VALUE_KINDS.keys()


@pytest.mark.parametrize("row", [r for r in TABLE if r.effect], ids=lambda r: r.key)
def test_a_row_with_an_effect_makes_a_difference(row: Row) -> None:
    for prefix in (HIGRESS, NGINX) if row.nginx else (HIGRESS,):
        with_it, without = notes_of(row, prefix)
        assert expected(with_it) != expected(without)
    if not row.nginx:
        with_it, without = notes_of(row, NGINX)
        assert expected(with_it) == expected(without)


@pytest.mark.parametrize("row", [r for r in TABLE if not r.effect], ids=lambda r: r.key)
def test_a_row_without_an_effect_makes_none(row: Row) -> None:
    with_it, without = notes_of(row)
    assert expected(with_it) == expected(without)


@pytest.mark.parametrize("row", [r for r in TABLE if r.since > OLDEST], ids=lambda r: r.key)
def test_an_older_controller_does_not_read_it_and_the_finding_says_so(row: Row) -> None:
    before = (*row.since[:2], row.since[2] - 1)
    with_it, _ = notes_of(row)
    without = {key: raw for key, raw in with_it.items() if BY_KEY[key.removeprefix(HIGRESS)].since <= before}
    assert expected(with_it, before) == expected(without, before)
    for version, slugs in ((before, ["annotation-without-effect"]), (row.since, [])):
        # Only what is newer than the older version is said to be without effect, on the older version alone.
        own = {HIGRESS + row.key: with_it[HIGRESS + row.key]}
        controller = {"version": ".".join(map(str, version))}
        result = audit(worlds.world([ingress("a", "a.test", "/x", annotations=own)], controller=controller))
        assert [f.slug for f in result.findings] == slugs
    result = audit(worlds.world([ingress("a", "a.test", "/x", annotations=own)], controller={}))
    assert [f.slug for f in result.findings] == [], "no version, no claim"


@pytest.mark.parametrize("row", [r for r in TABLE if r.effect], ids=lambda r: r.key)
def test_what_a_row_names_reads_it(row: Row) -> None:
    """The function that the table names exists and its module holds the key as a text of its own."""
    module, _, name = row.effect.partition(":")
    if name:
        source = importlib.import_module(f"xdsaudit.ingress.{module}")
        assert callable(getattr(source, name))
    else:
        source = importlib.import_module(EFFECTS[row.effect].__module__)
    pieces = {
        n.value
        for n in ast.walk(ast.parse(inspect.getsource(source)))
        if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }
    assert row.key in pieces or any(row.key.endswith(p) for p in pieces if p.startswith("-header-control"))


@pytest.mark.parametrize(
    ("row", "value"),
    [
        pytest.param(row, value, id=f"{row.key} {value!r}")
        for row in TABLE
        for value in ("", " ", "yes", "2x", "1.5", "0x1", "1_0", "٣", " true", "true\n", "None", "9" * 30)
        if (row.kind == SWITCH and boolean(value) is None) or (row.kind == NUMBER and integer(value) is None)
    ],
)
def test_a_value_of_another_kind_counts_as_absent(row: Row, value: str) -> None:
    """Or, where the table says that its presence counts, as any other such value does."""
    with_it, without = notes_of(row, value=value)
    if "its presence" in row.odd:
        assert expected(with_it) == expected(notes_of(row, value="nothing")[0])
    else:
        assert expected(with_it) == expected(without)
