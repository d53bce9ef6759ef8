"""A request as a route sees it: port, host, path, method, headers, query."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from xdsaudit.audit.requests.paths import normalised, refusal
from xdsaudit.errors import InputError
from xdsaudit.model.sensitive import shown

_OF_ENVOY: Final = frozenset(
    {":method", ":authority", ":path", ":scheme", "host", "x-forwarded-proto", "x-request-id", "x-forwarded-for"}
)
"""Headers that Envoy sets itself, or makes of what it was sent."""
_BARE: Final = re.compile(r"[A-Za-z0-9:/._~%@+,=*-]+")


@dataclass(frozen=True)
class Request:
    """One request, as the gateway's listener hands it to the routes.

    Attributes:
        secure: whether it comes over TLS.
        port: the listener's port in the gateway's configuration (80 or 443 in Higress), not a node port.
        host: of the Host header, in lower case and without a port.
        path: without the query, and normalised as Envoy does it before it looks at any route.
        method: as it was sent; methods are told apart by case.
        headers: the values of each header, names in lower case.
        query: parameters as they were sent, not decoded; the first of a name counts.
        authority: the Host header as it was sent, port and case included; "" where it is the host.
        server_name: the name asked for in the TLS handshake, in lower case; "" where it is the host.
        target: path and query as they were sent; "" where the path is all of it.
        refused: why Envoy answers 400 or 431 before it looks at any route; "" where it does not.
        partial: whether it may have had headers that are not known here, as a request of a log.
    """

    secure: bool
    port: int
    host: str
    path: str
    method: str = "GET"
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    authority: str = ""
    server_name: str = ""
    target: str = ""
    refused: str = ""
    partial: bool = False

    def __str__(self) -> str:
        usual = self.port == (443 if self.secure else 80)
        name = self.server_name or self.host
        place = f"http{'s' * self.secure}://{name}{'' if usual else f':{self.port}'}{self.path}"
        query = "&".join(f"{k}={shown(k, v)}" if v else k for k, v in self.query.items())
        said = [f"{k}: {shown(k, v)}" for k, values in self.headers.items() for v in values]
        if name != self.host:
            said.insert(0, f"Host: {self.authority or self.host}")
        headers = "".join(f" -H {_quoted(h)}" for h in said)
        url = f"{place}{'?' + query if query else ''}"
        return f"{self.method} {url if _BARE.fullmatch(url) else _quoted(url)}{headers}"

    @property
    def sent_host(self) -> str:
        """The host in the case it was sent in, without a port: what scopes are looked up by."""
        return _portless(self.authority) or self.host

    def values(self, name: str) -> tuple[str, ...] | None:
        """The values of a header as routes see it, () when it is absent; None where Envoy sets one that nobody knows."""
        name = name.lower()
        if name not in _OF_ENVOY:
            return self.headers.get(name, ())
        if name in ("x-request-id", "x-forwarded-for"):
            return None
        own = {
            ":method": self.method,
            ":authority": self.authority or self.host,
            ":path": self.target or self.path,
            ":scheme": "https" if self.secure else "http",
            "host": self.authority or self.host,
            "x-forwarded-proto": "https" if self.secure else "http",
        }
        return (own[name],)


def _quoted(text: str) -> str:
    """A text in single quotes, as a shell reads it."""
    return "'" + text.replace("'", "'\\''") + "'"


def _portless(authority: str) -> str:
    return re.sub(r":\d*$", "", authority)


def parse_request(
    url: str, *, method: str = "GET", headers: Iterable[str] = (), http_port: int = 80, https_port: int = 443
) -> Request:
    """A request from a URL; without a scheme it is http.

    Args:
        url: ``https://shop.test/cart?x=1``.
        method: of the request.
        headers: each ``Name: value``; a name may come twice. ``Host`` is the authority, the URL's host then the TLS server name.
        http_port: of the gateway's HTTP server; a port in the URL is where a client dials, which may be a node port.
        https_port: of its HTTPS server.

    Raises:
        InputError: the URL names no host, or a header is not valid.
    """
    text = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # a port that is not valid raises
    except ValueError as error:
        raise InputError(f"URL {url!r}: is not valid ({error}); write https://HOST/PATH") from error
    if parts.scheme not in ("http", "https", "ws", "wss") or not host:
        raise InputError(f"URL {url!r}: names no host, or a scheme other than http and https; write https://HOST/PATH")
    secure = parts.scheme in ("https", "wss")
    by_name: dict[str, tuple[str, ...]] = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise InputError(f"header {header!r}: is not valid; write 'Name: value'")
        by_name[name.strip().lower()] = (*by_name.get(name.strip().lower(), ()), value.strip())
    dialled = _ascii(url, host)
    authority = _ascii(url, by_name.pop("host", (parts.netloc.rpartition("@")[2].lower(),))[-1])
    # What is behind # a client keeps to itself; an escape is no letter, so the text is taken as it was written.
    target = _target(text)
    return Request(
        secure,
        https_port if secure else http_port,
        _portless(authority).lower() or dialled,
        normalised(target),
        method,
        by_name,
        _parameters(target.partition("?")[2]),
        authority=authority,
        server_name=dialled if secure else "",
        target=target,
        refused=refusal(target) or _unknown(method),
    )


def _unknown(method: str) -> str:
    """Why Envoy answers 400 to a method: its parser knows those of HTTP alone, in capitals."""
    return "" if method.isupper() else f"400: Envoy knows no method {method!r}; write it in capitals"


def _target(url: str) -> str:
    """Path and query of a URL, as a client sends them."""
    rest = url.partition("://")[2].partition("#")[0]
    at = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
    target = rest[at:]
    return target if target.startswith("/") else f"/{target}"


def _parameters(query: str) -> dict[str, str]:
    """Parameters of a query, undecoded; the first of a name counts (Envoy's query parameter matchers)."""
    parameters: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        parameters.setdefault(name, value)
    return parameters


def _ascii(url: str, host: str) -> str:
    """A host as clients send it: a name in other letters in its ASCII form (IDNA)."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise InputError(f"URL {url!r}: {host!r} is no host name ({error}); write its xn-- form") from error
