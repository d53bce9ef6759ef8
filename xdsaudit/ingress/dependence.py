"""Annotations that depend on others: a key without its switch, and a key beside one that counts instead of it.

Sources: the parsers of higress@v2.0.1 to v2.2.1 pkg/ingress/kube/annotations/*.go. Nothing here looks into a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from xdsaudit.ingress.annotations import HIGRESS, NGINX, boolean, look, text
from xdsaudit.ingress.effects import url_of

Annotations = Mapping[str, str]


class Void(NamedTuple):
    """A value, or some of it, without effect.

    Attributes:
        key: as written; several that share a reason are joined by commas.
        why: the reason.
        partly: whether the value is a list, of which some may have an effect.
    """

    key: str
    why: str
    partly: bool = False

    def __str__(self) -> str:
        many = ", " in self.key
        says = "not all of its effect" if self.partly else "no effect"
        return f"{self.key} {'have' if many else 'has'} {says}: {self.why}"


class Need(NamedTuple):
    """Keys that count for nothing unless one of some others is there."""

    keys: str
    any_of: str
    says: str


_NEEDS: Final = (
    Need(
        "cors-allow-origin cors-allow-methods cors-allow-headers cors-expose-headers cors-allow-credentials cors-max-age",
        "enable-cors",
        'enable-cors: "true" is missing',
    ),
    Need(
        "canary-by-header canary-by-header-value canary-by-header-pattern canary-by-cookie canary-weight canary-weight-total",
        "canary",
        'canary: "true" is missing, and the Ingress counts as an ordinary one',
    ),
    Need("canary-by-header-value canary-by-header-pattern", "canary-by-header", "canary-by-header is missing"),
    Need(
        "proxy-ssl-secret proxy-ssl-name proxy-ssl-server-name proxy-ssl-verify",
        "backend-protocol",
        "without backend-protocol: HTTPS or GRPCS the backend is spoken to in the clear",
    ),
    Need("custom-http-errors", "default-backend", "default-backend is missing"),
    Need(
        "session-cookie-max-age session-cookie-expires",
        "affinity session-cookie-name session-cookie-path",
        "affinity: cookie is missing",
    ),
    Need("permanent-redirect-code", "permanent-redirect", "permanent-redirect is missing"),
    Need("route-limit-burst-multiplier", "route-limit-rps route-limit-rpm", "route-limit-rps or -rpm is missing"),
    Need("mirror-percentage", "mirror-target-service mirror-target-fqdn", "mirror-target-service is missing"),
    Need("mirror-target-fqdn-port", "mirror-target-fqdn", "mirror-target-fqdn is missing"),
    Need("proxy-ssl-name", "proxy-ssl-server-name", "proxy-ssl-server-name: on is missing, and no server name is sent"),
    Need(
        "mcp-server-match-rule-type mcp-server-match-rule-value mcp-server-match-rule-domains mcp-server-upstream-type "
        "mcp-server-enable-path-rewrite mcp-server-path-rewrite-prefix",
        "mcp-server",
        'mcp-server: "true" is missing',
    ),
)
_BEATS: Final = (
    ("rewrite-path", "rewrite-target"),
    ("temporal-redirect", "permanent-redirect"),
    ("route-limit-rpm", "route-limit-rps"),
    ("affinity", "upstream-hash-by"),
    ("affinity", "load-balance"),
    ("upstream-hash-by", "load-balance"),
    ("canary-by-header-value", "canary-by-header-pattern"),
    ("canary-by-header", "canary-by-cookie"),
    ("canary-by-header", "canary-weight"),
    ("canary-by-cookie", "canary-weight"),
)
"""Which of two keys that ask for different things counts, the other for nothing."""


def written(annotations: Annotations, key: str) -> str | None:
    """The key as written, where its value is not blank."""
    return next((p + key for p in (NGINX, HIGRESS) if text(annotations.get(p + key, "")) is not None), None)


def dependent(annotations: Annotations) -> Iterator[Void]:
    """Keys without the switch they need, those of one switch together."""
    said: set[str] = set()
    for need in _NEEDS:
        if any(written(annotations, key) for key in need.any_of.split()):
            continue
        keys = [k for key in need.keys.split() if (k := written(annotations, key)) and k not in said]
        if keys:
            said |= {*keys}
            yield Void(", ".join(keys), need.says)


def beaten(annotations: Annotations) -> Iterator[Void]:
    """Keys that stand beside one that counts instead of them."""
    if boolean(annotations.get(f"{NGINX}canary", annotations.get(f"{HIGRESS}canary", ""))) is not True:
        pairs = [p for p in _BEATS if not p[0].startswith("canary")]
    else:
        pairs = list(_BEATS)
    for winner, loser in pairs:
        first, second = written(annotations, winner), written(annotations, loser)
        redirects = winner == "temporal-redirect"
        if first and second and not (redirects and url_of(look(annotations, winner, text) or "") is None):
            yield Void(second, f"{first} counts instead")
