"""No planted credential in any byte of a capture, and equal values stay equal."""

from __future__ import annotations

import json
from dataclasses import replace

import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import audit
from xdsaudit.collect.redact import redact
from xdsaudit.collect.snapshot import to_files
from xdsaudit.model.verdict import Verdict
from xdsaudit.testing import ingress

H = "higress.io/"
SECRETS = st.from_regex(r"s3cr3t-[a-z0-9]{12}", fullmatch=True)
HEADERS = st.sampled_from(("Authorization", "cookie", "x-api-key", "X-Auth-Token", "client-secret"))


def planted(secret: str, header: str):
    notes = {
        H + "request-header-control-add": f"{header} {secret}\nx-plain fine",
        H + "exact-match-header-" + header: secret,
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"x": secret}),
    }
    items = [ingress("a", "foo.test", "/a", annotations=notes)]
    snapshot = worlds.world(items)
    https = yaml.safe_dump({"acmeIssuer": [{"ak": secret, "sk": secret, "email": secret, "name": "le"}]})
    maps = [
        {
            "kind": "ConfigMap",
            "metadata": {"name": "higress-https", "namespace": "higress-system"},
            "data": {"cert": https},
        },
        {"kind": "ConfigMap", "metadata": {"name": "app", "namespace": "default"}, "data": {"password": secret}},
    ]
    listed = [{"kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "data": {"tls.key": secret}}]
    dump = json.loads(snapshot.gateway["gateway-0"]["config_dump.json"])
    dump["configs"].insert(
        0, {"@type": "x.BootstrapConfigDump", "bootstrap": {"node": {"id": "n"}, "admin": {"password": secret}}}
    )
    manager = dump["configs"][2]["dynamic_listeners"][0]["active_state"]["listener"]["filter_chains"][0]["filters"][0]
    wasm = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"configuration": {"value": secret}},
    }
    manager["typed_config"]["http_filters"] = [{"name": "w", "typed_config": wasm}]
    return replace(
        snapshot,
        kube={
            **snapshot.kube,
            "configmaps": json.dumps({"kind": "List", "items": maps}).encode(),
            "secrets": json.dumps({"kind": "List", "items": listed}).encode(),
        },
        gateway={"gateway-0": {**snapshot.gateway["gateway-0"], "config_dump.json": json.dumps(dump).encode()}},
    )


@given(SECRETS, HEADERS)
def test_no_planted_credential_is_left(secret: str, header: str) -> None:
    snapshot = planted(secret, header)
    assert secret.encode() in b"".join(to_files(snapshot).values())
    clean = redact(snapshot)
    assert secret.encode() not in b"".join(to_files(clean).values())
    result = audit(clean)
    assert [r.verdict for r in result.rules] == [Verdict.IN_SYNC]
    assert result.extra == ()


def test_each_capture_has_a_key_of_its_own() -> None:
    snapshot = planted("s3cr3t-abcdefabcdef", "cookie")
    assert to_files(redact(snapshot)) != to_files(redact(snapshot))
    assert redact(snapshot, b"k") == redact(snapshot, b"k")
    once = redact(snapshot, b"k")
    assert redact(once, b"other").pilot == once.pilot  # nothing is hidden twice


def test_recordings_keep_their_verdicts(recording) -> None:
    for name in ("healthy-scoped", "gateway-stale", "batch-loss", "nack-unknown-extension"):
        before, after = audit(recording(name)), audit(redact(recording(name)))
        assert [(r.rule, r.verdict, r.slug) for r in before.rules] == [(r.rule, r.verdict, r.slug) for r in after.rules]
        assert before.extra == after.extra


def test_metadata_of_pilots_clients_is_dropped() -> None:
    from dataclasses import replace

    from tests import worlds
    from xdsaudit.collect.redact import redact
    from xdsaudit.model.snapshot import PilotCapture

    client = {
        "connectionId": "gw.ns-1",
        "connectedAt": "2026-01-01T00:00:00Z",
        "metadata": {"PROXY_CONFIG": {"token": "hunter2"}},
    }
    pages = {"adsz.json": json.dumps({"clients": [client]}).encode(), "metrics.txt": b"x 1\n"}
    found = redact(replace(worlds.world([]), pilot={"p": PilotCapture((), None, pages)})).pilot["p"].pages
    assert b"hunter2" not in found["adsz.json"]
    assert b"gw.ns-1" in found["adsz.json"]
    assert found["metrics.txt"] == b"x 1\n"
