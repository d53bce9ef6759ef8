"""Faults that operators reported in public, in our own words: each input beside what ``check`` must say of it.

``reports/NN-*.yaml`` hold the inputs, the number of a row in their names; a row's Services, Secrets and McpBridges may count as live.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from xdsaudit.audit.questions.precheck import Batch, check_batch
from xdsaudit.collect.manifests import read_manifests
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import profile_of
from xdsaudit.model.verdict import Audit, Finding, Severity

REPORTS = Path(__file__).parent / "reports"
NEW, OLD = "2.1.9", "2.0.6"


class Row(NamedTuple):
    """A file, a part of a message that must be said, its slug and severity; ``live``: what is beside the Ingresses is live."""

    file: str
    words: str
    slug: str
    severity: Severity | None = None
    live: bool = False
    version: str = NEW


E, W, I = Severity.ERROR, Severity.WARNING, Severity.INFO  # noqa: E741 - as short as the table wants it
ROWS = [
    Row("07", "the CA is demo/client-ca, and must be", "protection-not-applied", E),
    Row("25", "path is written twice", "unknown-field", E),
    Row("31", "auth-url does not apply", "protection-not-applied", E),
    Row("31", "from Higress 2.0.7 on auth-type is only logged", "protection-not-applied", E),
    Row("31", "'office' holds no address", "protection-not-applied", E),
    Row("31", "'GET,HEAD' holds no method", "protection-not-applied", E),
    Row("31", "denylist-source-range does not apply", "protection-not-applied", E),
    Row("31", "admin.example.com has no TLS", "protection-not-applied", E),
    Row("11", "auth-url", "protection-not-applied", E),
    Row("02", "rewrite-path is '/v$1/open/$2': it is taken literally", "breaks-requests", W),
    Row("05", "Higress has one mode of affinity", "annotation-without-effect", I),
    Row(
        "11",
        "proxy-read-timeout of demo/shop has no effect: ingress-nginx reads it, Higress ignores it (higress.io/timeout",
        "annotation-without-effect",
    ),
    Row("11", "cors-allow-origin has no effect: enable-cors", "value-without-effect", W),
    Row("04", "upstream-hash-by is on Service demo/hash-demo, and read on Ingresses alone", "annotation-misplaced", W),
    Row("08", "ConfigMap higress-system/higress-https is invalid", "certificates-invalid"),
    Row("10", "openapi.dns is registered on port 443, not 80", "destination-unregistered", E),
    Row("10", "did you mean httpbin.static:80?", "destination-unregistered", E),
    Row("10", "no registry of the McpBridge default offers missing.static", "destination-unregistered", E),
    Row("14", "McpBridge nacos-prod is not read, only the one named default", "destination-unregistered", E),
    Row("19", "Service demo/web has no port 8080, only 80", "cluster-absent", E, live=True),
    Row("19", "sum up to 80", "value-without-effect", W),
    Row("19", "write a blank behind the weight", "destination-unregistered", E),
    Row("26", "McpBridge mcp-cors-httpbin is not read", "destination-unregistered", E),
    Row("26", "offers providers:com.example.DemoService", "destination-unregistered", E, live=True),
    Row("13", 'cors-allow-headers have no effect: enable-cors: "true" is missing', "value-without-effect", W),
    Row("13", "'https://a.*.example.com', '*.example.com' is no origin", "value-without-effect", W),
    Row("14", "* in the path is no pattern", "pattern-taken-literally", W),
    Row("14", "request-timeout of demo/api-route has no effect", "annotation-without-effect"),
    Row("16", "so that /api/x is asked for as //x", "breaks-requests", W),
    Row("16", "(.*) in the path is no pattern", "pattern-taken-literally", W),
    Row("17", "plain.example.com has no TLS", "redirects-to-nothing", W),
    Row("20", "'Prefix' is not one of exact, prefix", "value-without-effect", W),
    Row("20", "did you mean higress.io/mcp-server-upstream-type?", "annotation-without-effect", I),
    Row("22", "/client/(?!v1)/x will be rejected by Envoy", "envoy-rejected", E),
    Row("22", "/typ(o will be rejected by Envoy", "envoy-rejected", E),
    Row("01", "demo/api-route-canary is a canary of the same rule too: remove canary from", "orphan-canary", E),
    Row("32", "the cause is demo/base-canary, whose nginx.ingress.kubernetes.io/canary 'yes'", "duplicated-route", E),
    Row("32", "has no effect: 'yes' is no boolean", "value-without-effect", W),
    Row("32", "'10%' is no whole number", "value-without-effect", W),
    Row("34", "Envoy answers 503 to every request of the route", "breaks-requests", E),
    Row("35", "'https://web.example.org', which is sent as the Host header", "breaks-requests", W),
    Row("35", "rewrite-target is 'api/$1', and the backend is asked for a path without a /", "breaks-requests", W),
    Row("35", "rewrite-path is 'api'", "breaks-requests", W),
]
SILENT: list[tuple[str, str]] = [
    ("31", "auth-type"),
    ("02b", "rewrite"),
    ("05", "did you mean"),
    ("23", "oa"),
    ("35", "has no group"),
    ("35", "app-root"),  # Envoy puts the slash in front
    ("01", "no effect"),
]
"""What must not be said: a file and words, on 2.0.6 where ``auth-type`` still applies."""


def judged(number: str, *, live: bool = False, version: str = NEW) -> Audit:
    (file,) = REPORTS.glob(f"{number}-*.yaml")
    given = read_manifests([str(file)], to_check=True)
    mine, _ = read_objects(given.lists)
    beside = {kind: data for kind, data in given.lists.items() if kind != "ingresses"}
    known = read_objects({"ingresses": b'{"items": []}', **beside})[0] if live else None
    profile = profile_of({"version": version})
    return check_batch(
        Batch(mine, given.origins, given.order, "2026-11-24T00:00:00Z", given.complaints), known, profile
    )


def having(result: Audit, words: str) -> list[Finding]:
    return [f for f in result.findings if words in f.message]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r.file} {r.words}")
def test_what_was_reported_is_said(row: Row) -> None:
    result = judged(row.file, live=row.live, version=row.version)
    found = having(result, row.words)
    assert found, [f.message for f in result.findings]
    assert {f.slug for f in found} == {row.slug}
    if row.severity is not None:
        assert {f.severity for f in found} == {row.severity}
    assert all(f.at is not None for f in found), "every finding stands at a line of a file"
    named = [f for f in found if f.concerns[0].resource and f.concerns[0].resource.startswith(("nginx.", "higress."))]
    assert all(f.at is not None and f.at.column for f in named), "and one of an annotation at its very key"


@pytest.mark.parametrize(("number", "words"), SILENT)
def test_what_is_no_fault_is_not_said(number: str, words: str) -> None:
    assert not having(judged(number, version=OLD, live=True), words)
