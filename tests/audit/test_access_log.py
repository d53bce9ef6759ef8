"""Access logs: every line is counted, whatever its format, and each ending is told for what it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xdsaudit.audit.requests.access_log import is_log_line, read_log
from xdsaudit.audit.requests.log_lines import KEYS, fields_of
from xdsaudit.audit.requests.routing import matches
from xdsaudit.model.route import HeaderMatch, MatchKey


def line(**given: str) -> str:
    found = dict.fromkeys(KEYS, "-") | {
        "authority": "a.test",
        "method": "GET",
        "path": "/x",
        "response_code": "404",
        "response_flags": "NR",
        "response_code_details": "route_not_found",
        "start_time": "2026-11-25T00:00:00Z",
    }
    return "{" + ",".join(f'"{k}":"{v}"' for k, v in (found | given).items()) + "}"


@pytest.mark.parametrize(
    "odd", ['curl "7"', "back\\slash \\x", "a\tb", 'x","path":"/evil', '{"a":"b"}', "\u4ea7", 'ends with "']
)
def test_lines_that_are_no_json_are_read_by_the_order_of_their_keys(odd: str) -> None:
    found = fields_of(line(user_agent=odd))
    assert found is not None
    assert (found["authority"], found["path"], found["response_code_details"]) == ("a.test", "/x", "route_not_found")
    assert found["user_agent"] == odd or odd.startswith('x",')


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "[pod/higress-gateway-0/higress-gateway] ",
        "2026-11-25T00:00:00.123456789Z ",
        "2026-11-25T00:00:00.123456789Z stdout F ",
        "higress-gateway-0 ",
    ],
)
def test_what_a_shipper_puts_before_a_line_is_passed_over(prefix: str) -> None:
    assert is_log_line(prefix + line()) or prefix.startswith("2026")
    (miss,) = read_log([prefix + line()]).misses
    assert str(miss.request) == "GET http://a.test/x"


def test_istios_text_format() -> None:
    text = (
        '[2026-11-25T00:00:00.000Z] "GET /x?y=1 HTTP/2" 404 NR route_not_found - "-" 0 0 0 - "192.0.2.1" "a "quoted" agent" '
        '"0b1c" "a.test" "-" - - 10.0.0.1:443 192.0.2.1:1234 a.test -'
    )
    assert is_log_line(text)
    (miss,) = read_log([text]).misses
    assert str(miss.request) == "GET 'https://a.test/x?y=1'"


@pytest.mark.parametrize(
    ("given", "meaning", "cause"),
    [
        ({"response_code": "503", "response_flags": "NC", "response_code_details": "cluster_not_found"}, "names a cluster", "XA703"),
        ({"response_code": "503", "response_flags": "UH", "response_code_details": "no_healthy_upstream"}, "no healthy", "XA701"),
        ({"response_code": "503", "response_flags": "UF,URX"}, "could not be connected", ""),
        ({"response_code": "504", "response_flags": "UT"}, "within the route's timeout", ""),
        ({"response_code": "431", "response_flags": "DPE"}, "refused before routing", ""),
        ({"response_code": "400", "response_flags": "-", "response_code_details": "path_normalization_failed"}, "refused before", ""),
        ({"response_code": "421", "response_flags": "-", "response_code_details": "-"}, "allow_server_names", ""),
        ({"response_code": "426", "response_flags": "-", "response_code_details": "upgrade"}, "HTTPS or WebSocket", ""),
        ({"response_flags": "-", "response_code_details": "via_upstream"}, "answered by the backend", ""),
        ({"response_code": "200", "response_flags": "-", "response_code_details": "via_upstream"}, "answered by the backend", ""),
        ({"response_code": "301", "response_flags": "-", "response_code_details": "direct_response"}, "by the gateway itself", ""),
    ],
)  # fmt: skip
def test_every_other_ending_is_told(given: dict[str, str], meaning: str, cause: str) -> None:
    found = read_log([line(**given, route_name="shop/a", upstream_cluster="c")] * 2)
    assert found.misses == ()
    (ending,) = found.endings
    assert meaning in ending.meaning
    assert (ending.cause, ending.requests, ending.route, ending.cluster) == (cause, 2, "shop/a", "c")
    assert ending.failed is (meaning != "answered by the backend")


def test_a_handshake_that_no_chain_took_is_a_miss_of_its_server_name() -> None:
    given: Any = {
        "authority": "-",
        "path": "-",
        "method": "-",
        "response_code": "0",
        "requested_server_name": "no.test",
    }
    (miss,) = read_log([line(**given, response_code_details="filter_chain_not_found")] * 3).misses
    assert (str(miss.request), miss.count) == ("GET https://no.test/", 3)


def test_the_server_name_is_apart_from_the_authority() -> None:
    (miss,) = read_log([line(requested_server_name="pay.test", authority="secure.test")]).misses
    assert (miss.request.server_name, miss.request.host) == ("pay.test", "secure.test")


def test_one_full_query_of_a_group_is_kept() -> None:
    (miss,) = read_log([line(path="/x?page=1"), line(path="/x?page=2")]).misses
    assert (miss.request.query, miss.count) == ({"page": "1"}, 2)


def test_headers_that_a_log_does_not_tell_are_unknown_and_not_absent() -> None:
    (miss,) = read_log([line()]).misses
    key = MatchKey("prefix", "/", False, (HeaderMatch("x-ver", "exact", "2", False),))
    assert matches(key, miss.request) is None
    assert (
        matches(MatchKey("prefix", "/", False, (HeaderMatch(":method", "exact", "GET", False),)), miss.request) is True
    )


def test_lines_that_are_none_are_counted() -> None:
    found = read_log(["not a line", "{}", json.dumps([1]), "", line()])
    assert (found.lines, found.skipped, len(found.misses)) == (4, 3, 1)
