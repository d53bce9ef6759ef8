"""Every decoder, what it is fed with, and how that is damaged. What it raises beyond the package's own errors is a fault."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.mutate import damaged_bytes, damaged_json, damaged_message, damaged_text
from xdsaudit import audit
from xdsaudit.audit.requests.access_log import is_log_line, read_log
from xdsaudit.audit.requests.request import parse_request
from xdsaudit.collect.documents import parse
from xdsaudit.collect.redact import redact
from xdsaudit.collect.snapshot import from_files, load, to_files
from xdsaudit.envoy.admin import counters, server_info
from xdsaudit.envoy.certificate import read_certificate
from xdsaudit.envoy.config_dump import read_config_dump
from xdsaudit.ingress.api_rules import shape_faults, value_faults
from xdsaudit.ingress.objects import KINDS, decode_list
from xdsaudit.ingress.tls import read_config
from xdsaudit.xds.core import read_core
from xdsaudit.xds.debug_pages import adsz, rejects, syncz
from xdsaudit.xds.reader import read_pilot
from xdsaudit.xds.session import AdsSession, Node, mcp_ack, type_of

RECORDINGS = Path(__file__).parents[1] / "recordings"
HOSTILE = Path(__file__).parents[1] / "collect" / "hostile"
Damage = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """One decoder.

    Attributes:
        name: of it.
        seeds: what is sound.
        run: decodes; any error that is not the package's own is a fault.
        damage: how a seed is changed.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], Any]
    damage: Damage


def files(pattern: str, recordings: Iterable[str] = ("batch-loss", "random-2.1", "nack-one-host")) -> list[bytes]:
    """Recorded files of at most 300 KB by pattern."""
    found = [p for name in recordings for p in sorted((RECORDINGS / name).glob(pattern))]
    return [data for data in (p.read_bytes() for p in found) if 0 < len(data) < 300_000]


def few(value: Any, most: int = 3) -> Any:
    """JSON with the first few of every list and of every map of many, so that a damage reaches something."""
    if isinstance(value, list):
        return [few(v) for v in value[:most]]
    if isinstance(value, dict):
        return {k: few(v) for k, v in list(value.items())[:40]}
    return value


def small(pattern: str) -> list[bytes]:
    """Recorded JSON with the first few of everything; of a dump every section."""
    found = []
    for data in files(pattern):
        root = json.loads(data)
        if "configs" in root:
            root["configs"] = [few(section) for section in root["configs"]]
        found.append(json.dumps(root if "configs" in root else few(root)).encode())
    return found


def certificates() -> list[bytes]:
    """Certificates of a recorded dump, in base64, and one of a version that there is not."""
    texts = [p.read_text() for p in (RECORDINGS / "healthy-scoped").glob("gateway/*/config_dump.json")]
    texts += [p.read_text() for p in (HOSTILE / "InvalidVersion.json",)]
    return sorted(
        {
            found.encode()
            for text in texts
            for found in re.findall(r'"inline_bytes": ?"(LS0tLS1CRUdJTiBDRVJU[^"]*)"', text)
        }
    )


def damaged_certificate(data: bytes, draw: random.Random) -> bytes:
    """The certificate's own bytes damaged, inside PEM and base64 that are whole."""
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    body = base64.b64decode(data).partition(begin)[2].partition(end)[0]
    inner = base64.b64encode(damaged_bytes(base64.b64decode(body), draw))
    return base64.b64encode(begin + b"\n" + inner + b"\n" + end + b"\n")


def pilot_answers() -> list[bytes]:
    """Recorded ADS answers."""
    return files("pilot/*/served/*.pb")


@cache
def _snapshot() -> Any:
    return load(RECORDINGS / "batch-loss")


def _whole(data: bytes) -> None:
    """An audit with one damaged view: the view becomes a gap or is judged, and the snapshot can be redacted."""
    world = _snapshot()
    pod = next(iter(world.gateway))
    changed = replace(world, gateway={pod: {**world.gateway[pod], "config_dump.json": data}})
    audit(changed)
    redact(changed)


def _kube(data: bytes) -> None:
    for _, item in KINDS.values():
        try:
            decode_list(data, item)
        except Exception as error:
            if type(error).__name__ != "ReadError":
                raise


def _kube_world(data: bytes) -> None:
    world = replace(_snapshot(), gateway={}, pilot={}, core={})
    changed = replace(world, kube={**world.kube, "ingresses": data})
    audit(changed)
    redact(changed)


def _documents(data: bytes) -> None:
    for found in parse(data):
        value = getattr(found, "value", None)
        if isinstance(value, dict):
            for kind in ("Ingress", "Service", "Secret"):
                if not any(f.typed for f in shape_faults(kind, value)):
                    value_faults(kind, value)


def _session(data: bytes) -> None:
    session = AdsSession(Node())
    session.start()
    session.receive(data)
    type_of(data)


def _log(data: bytes) -> None:
    lines = data.decode("utf-8", "replace").splitlines()
    read_log(lines)
    any(is_log_line(line) for line in lines)


def _snapshot_files(data: bytes) -> None:
    from_files({**_files(), "snapshot.json": data}, "x")


@cache
def _files() -> dict[str, bytes]:
    return to_files(replace(_snapshot(), gateway={}, pilot={}, core={}))


LOG = b"""[2026-11-01T00:00:00.000Z] "GET /a HTTP/1.1" 404 NR route_not_found - "-" 0 0 0 - "-" "curl" "1" "foo.test" "-" - - -
{"authority":"foo.test","path":"/a","method":"GET","response_code":"404","response_flags":"NR","requested_server_name":"-"}
{"authority":"b.test:443","path":"/?x=1","method":"POST","response_code":0,"response_flags":"NR","x":"a"b"}
pod/higress-gateway-0 2026-11-01T00:00:00Z stdout F {"authority":"foo.test","response_code":503,"response_flags":"UH"}
"""
URLS = b"https://foo.test:8443/a/../b?x=1&x=2#f\nhttp://[::1]:80/\nfoo.test/%2f\nhttp://user:pw@foo.test/\n"
YAML = b"""apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: &m {name: a, annotations: {higress.io/timeout: "5"}}
spec:
  rules:
  - host: a.test
    http: {paths: [{path: /a, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}
  tls: [{hosts: [a.test], secretName: a}]
---
copy: *m
"""
HTTPS = b"""automaticHttps: true
email: a@b.test
credentialConfig:
- domains: [a.test, '*.b.test']
  tlsSecret: ns/cert
  tlsIssuer: letsencrypt
version: '1.0'
"""
ADSZ = b'{"clients": [{"connectionId": "gw-0.higress-system-3", "connectedAt": "2026-11-24T00:00:00Z"}]}'
SYNCZ = b'[{"proxy": "gw-0.higress-system", "cluster_sent": "a", "cluster_acked": "a", "route_sent": "b", "route_acked": ""}]'
METRICS = b'pilot_xds_rds_reject{node="gw-0.higress-system",type="x"} 1\npilot_xds_cds_reject{node="gw"} 1.5e+0\n'

TARGETS = (
    Target(
        "config_dump",
        lambda: small("gateway/*/config_dump.json"),
        lambda d: read_config_dump(d, replica="r"),
        damaged_json,
    ),
    Target("server_info", lambda: small("gateway/*/server_info.json"), server_info, damaged_json),
    Target("stats", lambda: small("gateway/*/stats.json"), counters, damaged_json),
    Target("pilot", pilot_answers, lambda d: read_pilot([d], name="pilot", replica="r"), damaged_message),  # type: ignore[arg-type]
    Target("core", lambda: files("core/*.pb"), lambda d: read_core([d], replica="r"), damaged_message),
    Target("session", pilot_answers, _session, damaged_message),
    Target("mcp", lambda: files("core/*.pb"), mcp_ack, damaged_message),
    Target("syncz", lambda: [SYNCZ], syncz, damaged_json),
    Target("adsz", lambda: [ADSZ], adsz, damaged_json),
    Target("metrics", lambda: [METRICS], rejects, damaged_text),
    Target("kube", lambda: small("kube/*.json"), _kube, damaged_json),
    Target("ingresses", lambda: small("kube/ingresses.json"), _kube_world, damaged_json),
    Target("documents", lambda: [YAML], _documents, damaged_text),
    Target("https", lambda: [HTTPS], lambda d: read_config(d.decode("utf-8", "replace")), damaged_text),
    Target("log", lambda: [LOG], _log, damaged_text),
    Target("url", lambda: URLS.split(b"\n"), lambda d: parse_request(d.decode("utf-8", "replace")), damaged_text),
    Target("certificate", certificates, lambda d: read_certificate(d.decode("latin-1")), damaged_certificate),
    Target("snapshot", lambda: [_files()["snapshot.json"]], _snapshot_files, damaged_json),
    Target("whole", lambda: small("gateway/*/config_dump.json"), _whole, damaged_json),
)
