"""A line of a gateway's access log to its fields, in whichever format it was written and whatever a log shipper put before it.

Higress's default accessLogFormat (higress helm/core configmap) is text that looks like JSON: values are not escaped, so that a user
agent with a quote makes no JSON of it. Such lines are read by the order of their keys. Must not know what a field means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from xdsaudit.model.json_text import BROKEN

KEYS: Final = (
    "ai_log", "authority", "bytes_received", "bytes_sent", "downstream_local_address", "downstream_remote_address", "duration",
    "istio_policy_status", "method", "path", "protocol", "request_id", "requested_server_name", "response_code", "response_flags",
    "route_name", "start_time", "trace_id", "upstream_cluster", "upstream_host", "upstream_local_address", "upstream_service_time",
    "upstream_transport_failure_reason", "user_agent", "x_forwarded_for", "response_code_details",
)  # fmt: skip
"""Keys of Higress's default format, in their order."""

_KEY: Final = re.compile(r'(?:^\{|,)\s*"(?P<key>[a-z_]+)"\s*:\s*')
# Istio's default text format (istio@1.19 pilot/pkg/model/telemetry_logging.go EnvoyTextLogFormat).
_TEXT: Final = re.compile(
    r'\[(?P<start_time>\d{4}-\d\d-\d\dT[^\]]*)\] "(?P<method>\S+) (?P<path>.*?) (?P<protocol>\S+)" (?P<response_code>\d+) (?P<response_flags>\S+) '
    r'(?P<response_code_details>\S+) \S+ "(?P<upstream_transport_failure_reason>.*?)" \S+ \S+ \S+ \S+ "(?P<x_forwarded_for>.*?)" '
    r'"(?P<user_agent>.*)" "(?P<request_id>\S*)" "(?P<authority>\S*)" "(?P<upstream_host>\S*)" (?P<upstream_cluster>\S+) \S+ '
    r"(?P<downstream_local_address>\S+) \S+ (?P<requested_server_name>\S+) (?P<route_name>\S+)"
)


def fields_of(line: str) -> Mapping[str, str] | None:
    """The fields of a line as text, "" where a field is absent or ``-``; None when it is no line of an access log."""
    start = line.find('{"')
    if start >= 0:
        text = line[start:].rstrip()
        try:
            entry = msgspec.json.decode(text.encode())
        except BROKEN:
            entry = _by_order(text)
        else:
            # A client may have written a key into its user agent: what stands at the key's own place counts.
            if isinstance(entry, dict) and len(_KEY.findall(text)) > len(entry):
                entry = _by_order(text) or entry
        if isinstance(entry, dict):
            return {str(k): _text(v) for k, v in entry.items()}
        return None
    seen = _TEXT.search(line)
    return {k: _text(v) for k, v in seen.groupdict().items()} if seen else None


def _text(value: object) -> str:
    return "" if value is None or value == "-" else str(value)


def _by_order(text: str) -> dict[str, str] | None:
    """Values between known keys that follow each other in their order; None when the line does not hold the keys."""
    places: list[tuple[str, int, int]] = []
    position = -1
    for pair in _KEY.finditer(text):
        index = KEYS.index(pair["key"]) if pair["key"] in KEYS else -1
        if index > position:
            places.append((pair["key"], pair.start(), pair.end()))
            position = index
    if len(places) < 2:
        return None
    ends = [start for _, start, _ in places[1:]] + [len(text.removesuffix("}"))]
    return {key: _bare(text[begin:end]) for (key, _, begin), end in zip(places, ends, strict=True)}


def _bare(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
