"""A request as a route sees it: port, host, path, method, headers, query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from xdsaudit.errors import InputError
from xdsaudit.model.sensitive import shown


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        secure: whether it comes over TLS.
        port: the listener's port in the gateway's configuration (80 or 443 in Higress), not a node port.
        host: of the Host header, in lower case and without a port.
        path: without the query.
        method: in upper case.
        headers: names in lower case.
        query: parameters; the first of a name counts.
    """

    secure: bool
    port: int
    host: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        usual = self.port == (443 if self.secure else 80)
        place = f"http{'s' * self.secure}://{self.host}{'' if usual else f':{self.port}'}{self.path}"
        query = "&".join(f"{k}={shown(k, v)}" if v else k for k, v in self.query.items())
        headers = "".join(f" -H '{k}: {shown(k, v)}'" for k, v in self.headers.items())
        return f"{self.method} {place}{'?' + query if query else ''}{headers}"


def parse_request(
    url: str, *, method: str = "GET", headers: Iterable[str] = (), http_port: int = 80, https_port: int = 443
) -> Request:
    """A request from a URL; without a scheme it is http.

    Args:
        url: ``https://shop.test/cart?x=1``.
        method: of the request.
        headers: each ``Name: value``.
        http_port: of the gateway's HTTP server; a port in the URL is where a client dials, which may be a node port.
        https_port: of its HTTPS server.

    Raises:
        InputError: the URL names no host, or a header is none.
    """
    text = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # a port that is none raises
    except ValueError as error:
        raise InputError(f"URL {url!r}: is none ({error}); write https://HOST/PATH") from error
    if parts.scheme not in ("http", "https", "ws", "wss") or not host:
        raise InputError(f"URL {url!r}: names no host, or a scheme other than http and https; write https://HOST/PATH")
    secure = parts.scheme in ("https", "wss")
    found = {}
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise InputError(f"header {header!r}: is none; write 'Name: value'")
        found[name.strip().lower()] = value.strip()
    host = found.pop("host", host).partition(":")[0].lower()
    query: dict[str, str] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(key, value)
    return Request(secure, https_port if secure else http_port, host, parts.path or "/", method.upper(), found, query)
