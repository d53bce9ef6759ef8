"""Values that Higress gives up on: each parser's reason, for keys that it reads and whose value then has no effect.

What is void here is what the effects leave out; a test holds both against each other. Sources: higress@v2.0.1 to v2.2.1
pkg/ingress/kube/annotations/*.go, higress-group/istio pkg/config/security/security.go (cipher suites).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from xdsaudit.ingress.annotation_table import BY_KEY, NUMBER, SWITCH, TABLE, Row
from xdsaudit.ingress.annotations import (
    HIGRESS,
    NGINX,
    boolean,
    header_pairs,
    integer,
    integer32,
    items,
    items_or_star,
    look,
    namespaced,
    text,
)
from xdsaudit.ingress.dependence import Void, beaten, dependent, written
from xdsaudit.ingress.effects import cidr, methods, origin, url_of
from xdsaudit.ingress.go import fields, has_status_text, parse_uint, split_blanks, to_upper, trim_space
from xdsaudit.ingress.policy import hash_policy
from xdsaudit.ingress.profile import MCP_SSE, Profile

Annotations = Mapping[str, str]


def void(annotations: Annotations, profile: Profile) -> Iterator[Void]:
    """Values of keys that this Higress reads and can make nothing, or not all, of. Blank ones ask for nothing and are not told."""
    version = profile.known_version  # where nobody told it, a value is judged by whoever reads it
    for row in TABLE:
        if version is not None and not row.read_by(version):
            continue
        for prefix in (NGINX, HIGRESS) if row.nginx else (HIGRESS,):
            raw = annotations.get(prefix + row.key)
            if raw is not None and (why := _why(row, raw, annotations, profile)) is not None:
                yield Void(prefix + row.key, why, row.key in _LISTS)
    if look(annotations, "mcp-server", boolean) and look(annotations, "mcp-server-match-rule-type", text) is None:
        key = written(annotations, "mcp-server")
        if key is not None and (version is None or BY_KEY["mcp-server"].read_by(version)):
            yield Void(
                key, f"without mcp-server-match-rule-type ({', '.join(_PATH_TYPES)}) the MCP server is not configured"
            )
    yield from dependent(annotations)
    yield from beaten(annotations)


def quoted(raw: str) -> str:
    """A value as messages show it."""
    return repr(raw if len(raw) <= 60 else f"{raw[:57]}...")


def _why(row: Row, raw: str, annotations: Annotations, profile: Profile) -> str | None:
    value = text(raw)
    if value is None:
        return None
    if row.kind == SWITCH:
        return (
            None
            if boolean(raw) is not None
            else f'{quoted(raw)} is no boolean, and counts as absent: write "true" or "false"'
        )
    if row.kind == NUMBER:
        if integer(raw) is None:
            return f"{quoted(raw)} is no whole number, and counts as absent{_unit(value)}"
        value = raw
    special = _SPECIAL.get(row.key)
    return special(value, annotations, profile) if special is not None else None


def _unit(value: str) -> str:
    digits = value.rstrip("smhMkKbB%/ ")
    return f": write {digits} without a unit" if digits.isdigit() else ""


_LISTS: Final = frozenset(
    {
        *(
            "cors-allow-origin",
            "whitelist-source-range",
            "proxy-next-upstream",
            "custom-http-errors",
            "match-method",
            "ssl-cipher",
        ),
        *(f"{d}-header-control-{a}" for d in ("request", "response") for a in ("add", "update", "remove")),
    }
)


# --- single keys -----------------------------------------------------------------------------------------------------
_SIMPLE: Final = ("ROUND_ROBIN", "LEAST_CONN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH")
_CIPHERS: Final = frozenset(
    {
        *(f"ECDHE-{key}-{rest}" for key in ("ECDSA", "RSA") for rest in ("AES128-GCM-SHA256", "AES256-GCM-SHA384")),
        *(
            f"ECDHE-{key}-{rest}"
            for key in ("ECDSA", "RSA")
            for rest in ("AES128-SHA", "AES256-SHA", "CHACHA20-POLY1305")
        ),
        *("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA", "ALL"),
    }
)
_TLS: Final = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_RETRIES: Final = frozenset({"error", "timeout", "invalid_header", "non_idempotent", "off"})
_ON_OFF: Final = ("on", "off")
_PATH_TYPES: Final = ("exact", "prefix", "suffix", "contains", "regex")
_UPSTREAMS: Final = ("rest", "sse", "streamable")


def _load_balance(value: str, _: Annotations, profile: Profile) -> str | None:
    known = (*_SIMPLE, "MCP-SSE") if profile.has(MCP_SSE) else _SIMPLE
    return (
        None
        if to_upper(value) in known
        else f"{quoted(value)} is not one of {', '.join(known)}, and the default balances"
    )


def _hash_by(value: str, _: Annotations, profile: Profile) -> str | None:
    if hash_policy({f"{HIGRESS}upstream-hash-by": value}, profile) is not None:
        return None
    known = "$request_uri, $host, $remote_addr, $http_NAME or $arg_NAME, one of them"
    return f"{quoted(value)} is not {known}, and requests are balanced without a hash"


def _protocol(value: str, *_: object) -> str | None:
    known = ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPCS")
    return (
        None
        if trim_space(to_upper(value)) in known
        else f"{quoted(value)} is not one of {', '.join(known)}, and HTTP is spoken"
    )


def _affinity(value: str, *_: object) -> str | None:
    return None if value == "cookie" else f"{quoted(value)} is not looked at: whatever it says, a cookie decides"


def _origins(value: str, *_: object) -> str | None:
    listed = items_or_star(value)
    lost = [o for o in listed if o and origin(o) is None]
    return (
        f"{', '.join(map(quoted, lost))} is no origin: * stands first in a host alone, as in https://*.shop.test"
        if lost
        else None
    )


def _target(value: str, *_: object) -> str | None:
    return None if url_of(value) is not None else f"{quoted(value)} is no URL that begins with http:// or https://"


def _code(value: str, *_: object) -> str | None:
    code = integer(value)
    return None if code is None or 300 <= code <= 308 else f"{value} is outside 300 to 308, and 301 is answered"


def _addresses(value: str, *_: object) -> str | None:
    listed = items_or_star(value)
    lost = [a for a in listed if cidr(a) is None]
    if not lost or len(lost) == len(listed):  # all of them are lost: whoever reads the protection tells
        return None
    return f"{', '.join(map(quoted, lost))} is no address or CIDR range, and is left out of the list"


def _next_upstream(value: str, *_: object) -> str | None:
    words = items(value) if "," in value else fields(value)
    lost = [w for w in words if w not in _RETRIES and not _status(w)]
    return (
        f"{', '.join(map(quoted, lost))} is not one of error, timeout, invalid_header, non_idempotent, http_CODE, off"
        if lost
        else None
    )


def _status(word: str) -> bool:
    code = integer(word.removeprefix("http_")) if word.startswith("http_") else None
    return code is not None and has_status_text(code)


def _error_codes(value: str, *_: object) -> str | None:
    listed = items(value)
    lost = [c for c in listed if parse_uint(c, 32) is None]
    if not listed:
        return f"{quoted(value)} holds no status code"
    return f"{', '.join(map(quoted, lost))} is no status code" if lost else None


def _method(value: str, *_: object) -> str | None:
    known = methods(value)
    lost = [w for w in value.split(" ") if w and to_upper(w) not in known]
    return (
        f"{', '.join(map(quoted, lost))} is no method that Higress knows; write them with single blanks between"
        if lost and known
        else None
    )


def _headers(value: str, *_: object) -> str | None:
    """Lines without a value; what stands behind a colon is not shown, since it may be a credential."""
    lost = [line for line in map(trim_space, value.split("\n")) if line and len(split_blanks(line, 2)) < 2]
    names = ", ".join(quoted(line.partition(":")[0]) for line in lost)
    return f"{names} has no value: a line is NAME VALUE, with a blank between" if lost else None


def _response_headers(value: str, *_: object) -> str | None:
    own = [name for name in header_pairs(value) if name.lower() == "host"]
    return _headers(value) or (f"{', '.join(own)} is no header of an answer, and is left out" if own else None)


def _removed(value: str, *_: object) -> str | None:
    listed = items(value)
    lost = [n for n in listed if n.startswith(":") or n.lower() == "host"]
    if not listed:
        return f"{quoted(value)} names no header"
    return f"{', '.join(map(quoted, lost))} cannot be removed" if lost else None


def _secret(value: str, *_: object) -> str | None:
    return None if namespaced(value, "") is not None else f"{quoted(value)} is not [NAMESPACE/]NAME of a Secret"


def _percentage(value: str, *_: object) -> str | None:
    share = integer(value)
    return None if share is None or share <= 100 else f"{value} is above 100, and every request is mirrored"


def _port(value: str, *_: object) -> str | None:
    return None if integer32(value) is not None else f"{value} is no port, and 80 is taken"


def _tls_version(value: str, *_: object) -> str | None:
    return None if value in _TLS else f"{quoted(value)} is not one of {', '.join(_TLS)}"


def _cipher(value: str, *_: object) -> str | None:
    lost = [c for c in value.split(":") if c and c not in _CIPHERS and c[0].isalnum()]
    return (
        f"{', '.join(map(quoted, lost))} is no cipher suite of the gateway; suites are separated by colons"
        if lost
        else None
    )


def _on_off(value: str, *_: object) -> str | None:
    return None if value in _ON_OFF else f"{quoted(value)} is neither on nor off"


def _total(value: str, *_: object) -> str | None:
    total = integer(value)
    return None if total is None or total > 0 else f"{value} is not above 0, and 100 is taken"


def _mcp_type(value: str, *_: object) -> str | None:
    return (
        None
        if value in _PATH_TYPES
        else f"{quoted(value)} is not one of {', '.join(_PATH_TYPES)}, and the MCP server is not configured"
    )


def _mcp_upstream(value: str, *_: object) -> str | None:
    return (
        None
        if value in _UPSTREAMS
        else f"{quoted(value)} is not one of {', '.join(_UPSTREAMS)}, and the MCP server is not configured"
    )


_SPECIAL: Final[Mapping[str, Callable[[str, Annotations, Profile], str | None]]] = {
    "load-balance": _load_balance,
    "upstream-hash-by": _hash_by,
    "backend-protocol": _protocol,
    "affinity": _affinity,
    "cors-allow-origin": _origins,
    "permanent-redirect": _target,
    "temporal-redirect": _target,
    "permanent-redirect-code": _code,
    "whitelist-source-range": _addresses,
    "proxy-next-upstream": _next_upstream,
    "custom-http-errors": _error_codes,
    "match-method": _method,
    "request-header-control-add": _headers,
    "request-header-control-update": _headers,
    "response-header-control-add": _response_headers,
    "response-header-control-update": _response_headers,
    "request-header-control-remove": _removed,
    "response-header-control-remove": _removed,
    "proxy-ssl-secret": _secret,
    "mirror-percentage": _percentage,
    "mirror-target-fqdn-port": _port,
    "tls-min-protocol-version": _tls_version,
    "tls-max-protocol-version": _tls_version,
    "ssl-cipher": _cipher,
    "proxy-ssl-verify": _on_off,
    "proxy-ssl-server-name": _on_off,
    "canary-weight-total": _total,
    "mcp-server-match-rule-type": _mcp_type,
    "mcp-server-upstream-type": _mcp_upstream,
}
