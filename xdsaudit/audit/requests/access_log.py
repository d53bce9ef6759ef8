"""Lines of Higress's JSON access log to the requests that no route answered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec

from xdsaudit.audit.requests.request import Request, parse_request
from xdsaudit.errors import InputError
from xdsaudit.model.json_text import BROKEN

_ADDRESS_PORT: Final = re.compile(r":(\d+)$")


@dataclass(frozen=True)
class Miss:
    """Equal requests that no route answered, and how many there were.

    ``first`` and ``last`` are their times as the log has them, "" where it has none.
    """

    request: Request
    count: int
    first: str
    last: str


class LogSummary(NamedTuple):
    """What a log holds: its lines, those that are no JSON object, and the misses, most frequent first."""

    lines: int
    skipped: int
    misses: tuple[Miss, ...]


def is_log_line(text: str) -> bool:
    """Whether a text looks like a line of a JSON access log."""
    return text.lstrip().startswith("{")


def read_log(lines: Iterable[str], *, http_port: int = 80, https_port: int = 443) -> LogSummary:
    """The requests that ended with 404 and the flag NR (no route), grouped by host, path and method.

    Keys are those of Higress's default accessLogFormat (higress helm/core configmap): authority, path, method, response_code,
    response_flags, start_time, requested_server_name, downstream_local_address. Query strings are left out of the groups.
    """
    total = skipped = 0
    found: dict[tuple[Any, ...], Miss] = {}
    for line in lines:
        if not line.strip():
            continue
        total += 1
        try:
            entry = msgspec.json.decode(line.encode())
        except BROKEN:
            entry = None
        if not isinstance(entry, dict):
            skipped += 1
            continue
        request = _request(entry, http_port, https_port)
        if request is None:
            continue
        time = str(entry.get("start_time") or "")
        key = (request.secure, request.host, request.path, request.method)
        old = found.get(key, Miss(request, 0, time, time))
        found[key] = replace(old, count=old.count + 1, first=min(old.first, time), last=max(old.last, time))
    return LogSummary(total, skipped, tuple(sorted(found.values(), key=lambda m: -m.count)))


def _request(entry: dict[str, Any], http_port: int, https_port: int) -> Request | None:
    flags = str(entry.get("response_flags") or "").split(",")
    details = str(entry.get("response_code_details") or "")
    if str(entry.get("response_code")) != "404" or not ("NR" in flags or details == "route_not_found"):
        return None
    host, path = str(entry.get("authority") or ""), str(entry.get("path") or "/").partition("?")[0]
    named = str(entry.get("requested_server_name") or "-")
    seen = _ADDRESS_PORT.search(str(entry.get("downstream_local_address") or ""))
    secure = named not in ("", "-") or bool(seen and seen[1] in ("443", str(https_port), "8443"))
    try:
        return parse_request(
            f"http{'s' * secure}://{host}{path if path.startswith('/') else '/' + path}",
            method=str(entry.get("method") or "GET"),
            http_port=http_port,
            https_port=https_port,
        )
    except InputError:
        return None
