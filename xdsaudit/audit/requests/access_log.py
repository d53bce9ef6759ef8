"""Lines of an access log to what became of their requests: those that no route answered, and every other ending, counted.

Flags and details are Envoy's (docs: access log, RESPONSE_FLAGS and RESPONSE_CODE_DETAILS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from xdsaudit.audit.requests.log_lines import fields_of
from xdsaudit.audit.requests.request import Request, parse_request
from xdsaudit.errors import InputError

_ADDRESS_PORT: Final = re.compile(r":(\d+)$")
_BEGINS: Final = re.compile(r'[^"]{0,200}\{\s*"|\s*\[\d{4}-\d\d-\d\dT')


@dataclass(frozen=True)
class Miss:
    """Alike requests that no route answered, and how many there were.

    ``request`` is the first of them, with its query; ``first`` and ``last`` are their times as the log has them, "" where it has none.
    """

    request: Request
    count: int
    first: str
    last: str


class Ending(NamedTuple):
    """What became of some other requests.

    Attributes:
        code: of the response, 0 where none was sent.
        flags: Envoy's response flags, "" for none.
        meaning: in words.
        cause: the code of this tool that tells more, "" for none.
        route: name of the route that took them, ``namespace/ingress`` for an Ingress's; "" for none.
        cluster: where they were sent, "" for nowhere.
        requests: how many.
        first: time of the first, as the log has it.
        last: time of the last.
    """

    code: str
    flags: str
    meaning: str
    cause: str
    route: str
    cluster: str
    requests: int
    first: str
    last: str

    @property
    def failed(self) -> bool:
        """Whether the gateway, and not the backend, answered, or nobody did."""
        return self.meaning != _ANSWERED


class LogSummary(NamedTuple):
    """What a log holds: its lines, those that could not be read, the misses, and every other ending, most frequent first."""

    lines: int
    skipped: int
    misses: tuple[Miss, ...]
    endings: tuple[Ending, ...] = ()


def is_log_line(text: str) -> bool:
    """Whether a text looks like a line of an access log."""
    return _BEGINS.match(text) is not None


_ANSWERED: Final = "answered by the backend"
_REFUSED: Final = "refused before routing"
_FLAGS: Final[Mapping[str, tuple[str, str]]] = {
    "NC": ("the route names a cluster that the gateway does not have", "XA703"),
    "UH": ("the cluster has no healthy endpoint", "XA701"),
    "UF": ("the endpoint could not be connected to", ""),
    "URX": ("given up after all retries", ""),
    "UT": ("the backend did not answer within the route's timeout", ""),
    "UO": ("held back by a circuit breaker", ""),
    "UC": ("the backend closed the connection", ""),
    "UR": ("the backend reset the request", ""),
    "UPE": ("the backend's answer was not HTTP", ""),
    "DC": ("the client went away", ""),
    "DPE": (_REFUSED, ""),
    "DT": ("lasted longer than the route allows", ""),
    "SI": ("idle for longer than the route allows", ""),
    "RL": ("over a rate limit", ""),
    "RLSE": ("the rate limit service failed", ""),
    "UAEX": ("refused by an authorization service", ""),
    "FI": ("failed on purpose (fault injection)", ""),
    "DI": ("delayed on purpose (fault injection)", ""),
    "LR": ("reset by the gateway", ""),
    "LH": ("the backend failed its health check", ""),
    "IH": ("a header that is checked strictly has a wrong value", ""),
    "NFCF": ("a filter's configuration was not there", "XA620"),
    "OM": ("the gateway is short of memory", ""),
}
_CODES: Final[Mapping[str, str]] = {
    "400": _REFUSED,
    "421": "the TLS connection was made for another host (allow_server_names)",
    "426": "the route takes HTTPS or WebSocket only",
    "431": _REFUSED,
}


def read_log(lines: Iterable[str], *, http_port: int = 80, https_port: int = 443) -> LogSummary:
    """Every line of a log counted; the requests that no route answered grouped by host, path, method and TLS server name.

    Those ended with 404 and the flag NR, or with a handshake that no filter chain took (code 0, NR).
    """
    total = skipped = 0
    misses: dict[tuple[str, ...], Miss] = {}
    endings: dict[tuple[str, ...], Ending] = {}
    for line in lines:
        if not line.strip():
            continue
        total += 1
        entry = fields_of(line)
        if entry is None or "response_code" not in entry:
            skipped += 1
            continue
        time = entry.get("start_time", "")
        if _missed(entry):
            key = (
                *(entry.get(k, "") for k in ("authority", "requested_server_name", "method", "response_code")),
                _path(entry),
            )
            old = misses.get(key)
            if old is None:
                request = _request(entry, http_port, https_port)
                if request is None:
                    skipped += 1
                    continue
                old = Miss(request, 0, time, time)
            misses[key] = replace(old, count=old.count + 1, first=min(old.first, time), last=max(old.last, time))
            continue
        ending = _ending(entry, time)
        seen = endings.setdefault(ending[:6], ending._replace(requests=0))
        endings[ending[:6]] = seen._replace(
            requests=seen.requests + 1, first=min(seen.first, time), last=max(seen.last, time)
        )
    return LogSummary(
        total,
        skipped,
        tuple(sorted(misses.values(), key=lambda m: -m.count)),
        tuple(sorted(endings.values(), key=lambda e: (not e.failed, -e.requests))),
    )


def _missed(entry: Mapping[str, str]) -> bool:
    details, code = entry.get("response_code_details", ""), entry["response_code"]
    if code == "404":
        return "NR" in entry.get("response_flags", "").split(",") or details == "route_not_found"
    return code == "0" and (details == "filter_chain_not_found" or "NR" in entry.get("response_flags", "").split(","))


def _path(entry: Mapping[str, str]) -> str:
    return (entry.get("path") or "/").partition("?")[0]


def _request(entry: Mapping[str, str], http_port: int, https_port: int) -> Request | None:
    named, authority = entry.get("requested_server_name", ""), entry.get("authority", "")
    seen = _ADDRESS_PORT.search(entry.get("downstream_local_address", ""))
    secure = bool(named) or bool(seen and seen[1] in ("443", str(https_port), "8443"))
    path = entry.get("path") or "/"
    try:
        return replace(
            parse_request(
                f"http{'s' * secure}://{(named if secure else '') or authority}{path if path.startswith('/') else '/' + path}",
                method=entry.get("method") or "GET",
                headers=(f"Host: {authority}",) if authority else (),
                http_port=http_port,
                https_port=https_port,
            ),
            partial=True,
        )
    except InputError:
        return None


def _ending(entry: Mapping[str, str], time: str) -> Ending:
    code, flags = entry["response_code"], entry.get("response_flags", "")
    details, cluster = entry.get("response_code_details", ""), entry.get("upstream_cluster", "")
    said = next((_FLAGS[f] for f in flags.split(",") if f in _FLAGS), None)
    if said is None:
        reached = details == "via_upstream" or (not details and bool(entry.get("upstream_host")))
        said = (
            _ANSWERED if reached else _CODES.get(code) or f"answered by the gateway itself ({details or 'no details'})",
            "",
        )
    return Ending(code, flags, *said, entry.get("route_name", ""), cluster, 1, time, time)
