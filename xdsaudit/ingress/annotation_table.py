"""The table of annotations: every key Higress reads, since when, what it shapes, what reads it here, and odd values.

Source: higress@v2.0.1 pkg/ingress/kube/annotations/*.go (a file a group); the versions were found tag by tag. Data alone:
the lookups stand in ``annotations``, the effects where ``Row.effect`` says.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from xdsaudit.ingress.profile import Version

SWITCH: Final = "switch"
NUMBER: Final = "number"
TEXT: Final = "text"
VALUE_KINDS: Final = {
    SWITCH: "anything but 1, t, T, TRUE, true, True, 0, f, F, FALSE, false, False counts as absent",
    NUMBER: "anything but a whole number (no blanks, no unit) counts as absent",
    TEXT: "blank counts as absent",
}
"""What becomes of a value of another kind."""


class Row(NamedTuple):
    """One annotation.

    Attributes:
        key: without its prefix.
        nginx: whether nginx's prefix works too, and is then looked up first.
        shapes: what of a route, a cluster or a listener it shapes.
        kind: of its value, a key of ``KINDS``.
        effect: the group in ``effects.EFFECTS`` that applies it to every route, or ``module:function`` of this package
            that reads it; empty where nothing here does, since what it shapes is not judged.
        odd: what more is to be known of odd values.
        since: the first version that reads it; an older controller does as if it were not there.
        until: the first version that reads it no more, where one has dropped it.
    """

    key: str
    nginx: bool
    shapes: str
    kind: str
    effect: str = ""
    odd: str = ""
    since: Version = (2, 0, 0)
    until: Version | None = None

    def read_by(self, version: Version) -> bool:
        """Whether a controller of this version reads it."""
        return self.since <= version and (self.until is None or version < self.until)


def _rows(row: Row) -> tuple[Row, ...]:
    """One row for each of the keys that a row names."""
    return tuple(row._replace(key=key) for key in row.key.split())


_URL_ODD: Final = "a URL that Go's url.Parse refuses, or whose scheme does not begin with http, redirects nothing"
_PRESENT: Final = "its presence alone, even blank, makes the cluster's policy"
_RETRY: Final = "its presence alone replaces the default retries by those of 5xx"
_LIST: Final = "empty items are kept; an item * makes the whole list *"
_PAIRS: Final = (
    "a line without a value is left out; a pair of quotes goes, a single one stays; pseudo headers are dropped"
)

TABLE: Final[tuple[Row, ...]] = (
    Row("canary", True, "routes", SWITCH, "canary:is_canary", "what counts as absent leaves an ordinary Ingress"),
    Row("canary-by-header", True, "routes", TEXT, "canary:parse"),
    *_rows(
        Row(
            "canary-by-header-value canary-by-header-pattern",
            True,
            "routes",
            TEXT,
            "canary:parse",
            "ends the reading of the canary: cookie and weight behind it count for nothing",
        )
    ),
    Row("canary-by-cookie", True, "routes", TEXT, "canary:parse"),
    Row("canary-weight", True, "routes", NUMBER, "canary:parse", "absent is 0"),
    Row("canary-weight-total", True, "routes", NUMBER, "canary:parse", "0 and less is 100"),
    Row("enable-cors", True, "cors", SWITCH, "cors"),
    Row(
        "cors-allow-origin",
        True,
        "cors",
        TEXT,
        "cors",
        f"{_LIST}; a URL whose host begins with * becomes a regex of the host, other items with * are left out",
    ),
    *_rows(Row("cors-allow-methods cors-allow-headers cors-expose-headers", True, "cors", TEXT, "cors", _LIST)),
    Row("cors-allow-credentials", True, "cors", SWITCH, "cors"),
    Row("cors-max-age", True, "cors", NUMBER, "cors"),
    Row("rewrite-target", True, "path and rewrite", TEXT, "rewrite", "one with $ or \\ makes the path a regex"),
    Row("use-regex", True, "path and rewrite", SWITCH, "effects:Effects"),
    Row("upstream-vhost", True, "path and rewrite", TEXT, "rewrite"),
    Row("full-path-regex", False, "path and rewrite", SWITCH, "effects:Effects"),
    Row("rewrite-path", False, "path and rewrite", TEXT, "rewrite"),
    Row(
        "temporal-redirect",
        True,
        "redirect",
        TEXT,
        "redirect",
        f"{_URL_ODD}; under higress.io/ a blank one also ends the reading of permanent-redirect",
    ),
    Row("permanent-redirect", True, "redirect", TEXT, "redirect", _URL_ODD),
    Row(
        "permanent-redirect-code",
        True,
        "redirect",
        NUMBER,
        "redirect",
        "outside 300 to 308 is 301; 300, 304, 305 and 306 make a route that Envoy refuses",
    ),
    *_rows(Row("ssl-redirect force-ssl-redirect", True, "redirect", SWITCH, "redirect")),
    Row("app-root", True, "redirect", TEXT, "taken:notes_of", "not checked; a rule without paths has none"),
    Row("backend-protocol", True, "cluster", TEXT, "policy:traffic_policy", "an unknown word is HTTP"),
    Row("proxy-ssl-secret", True, "cluster", TEXT, "policy:traffic_policy", "nothing beside backend-protocol HTTP"),
    *_rows(Row("proxy-ssl-name proxy-ssl-server-name proxy-ssl-verify", True, "TLS of the cluster", TEXT)),
    Row(
        "load-balance",
        True,
        "cluster",
        TEXT,
        "policy:traffic_policy",
        f"{_PRESENT}; an unknown word is Envoy's default, blank is ROUND_ROBIN",
    ),
    Row(
        "upstream-hash-by",
        True,
        "hash policy and cluster",
        TEXT,
        "policy:hash_policy",
        f"{_PRESENT}; what is no known variable, and blank, is ROUND_ROBIN; $http_ and $arg_ without a name hash by "
        "a query parameter without a name",
    ),
    *_rows(
        Row(
            "affinity session-cookie-name session-cookie-path",
            True,
            "hash policy and cluster",
            TEXT,
            "policy:hash_policy",
            "its presence alone, even blank, hashes by a cookie",
        )
    ),
    *_rows(
        Row(
            "session-cookie-max-age session-cookie-expires",
            True,
            "hash policy and cluster",
            NUMBER,
            "policy:hash_policy",
        )
    ),
    Row(
        "whitelist-source-range",
        True,
        "filter",
        TEXT,
        "filters",
        "what Go's netip refuses (masks, /08, zones with a length) is left out; an item *, or none left: no restriction",
    ),
    Row(
        "timeout",
        False,
        "timeout",
        NUMBER,
        "timeout",
        "0 means no timeout; a negative one is passed on, and Envoy refuses it",
    ),
    Row(
        "proxy-next-upstream",
        True,
        "retries",
        TEXT,
        "retry",
        f"{_RETRY}; split at commas if there is one, else at blanks; http_ with what is no HTTP status stays as text",
    ),
    Row(
        "proxy-next-upstream-tries",
        True,
        "retries",
        NUMBER,
        "retry",
        f"{_RETRY}; beyond 32 bits counts as absent, 0 and less is no retry",
    ),
    Row("proxy-next-upstream-timeout", True, "retries", NUMBER, "retry", _RETRY),
    *_rows(
        Row(
            "route-limit-rpm route-limit-rps route-limit-burst-multiplier",
            False,
            "filter",
            NUMBER,
            "filters",
            "negative and large numbers are cut to unsigned 32 bits",
        )
    ),
    Row(
        "default-backend",
        True,
        "fallback",
        TEXT,
        "with_services:fallback_of",
        "a Service that does not exist or has no ports: no fallback; more than one slash: the first part is the name",
    ),
    Row(
        "custom-http-errors",
        True,
        "fallback",
        TEXT,
        "with_services:fallback_of",
        "items that are not numbers are left out; without any number left nothing happens; any number counts",
    ),
    *_rows(
        Row(
            "auth-type auth-secret auth-secret-type auth-realm",
            True,
            "filter of the listener",
            TEXT,
            odd="from 2.0.7 on the controller logs an error, and the route is open",
            until=(2, 0, 7),
        )
    ),
    *_rows(Row("auth-tls-secret ssl-cipher", True, "listener", TEXT)),
    *_rows(Row("tls-min-protocol-version tls-max-protocol-version", True, "listener", TEXT, since=(2, 0, 5))),
    Row(
        "mirror-target-service",
        True,
        "mirror",
        TEXT,
        "with_services:mirror",
        "a port that is not a number from 1 to 65535 is the Service's first",
    ),
    Row("mirror-percentage", True, "mirror", NUMBER, "with_services:mirror", "0 and less is no mirror"),
    Row(
        "mirror-target-fqdn",
        True,
        "mirror",
        TEXT,
        "with_services:mirror",
        "a name without a dot is one of the system namespace",
        (2, 1, 6),
    ),
    Row(
        "mirror-target-fqdn-port",
        True,
        "mirror",
        NUMBER,
        "with_services:mirror",
        "beyond 32 bits is 80; 0 stays",
        (2, 1, 6),
    ),
    Row(
        "destination",
        False,
        "backend",
        TEXT,
        "backends:parse_destinations",
        "a line with a bad weight or without a host drops all, and the paths with it; a bad port stays in the host",
    ),
    Row("ignore-path-case", True, "match", SWITCH, "ignore_case"),
    Row(
        "match-method",
        False,
        "match",
        TEXT,
        "match",
        "split at single spaces, nothing else; unknown words are left out, without one left every method matches",
    ),
    *_rows(
        Row(
            "request-header-control-add request-header-control-update response-header-control-add "
            "response-header-control-update",
            False,
            "header operations",
            TEXT,
            "header_control",
            _PAIRS,
        )
    ),
    *_rows(
        Row(
            "request-header-control-remove response-header-control-remove",
            False,
            "header operations",
            TEXT,
            "header_control",
            "empty items, Host and pseudo headers are left out",
        )
    ),
    *_rows(Row("mcp-server mcp-server-enable-path-rewrite", True, "MCP server", SWITCH, since=(2, 1, 4))),
    *_rows(
        Row(
            "mcp-server-match-rule-type mcp-server-upstream-type",
            True,
            "MCP server",
            TEXT,
            odd="an unknown word configures no server at all",
            since=(2, 1, 4),
        )
    ),
    *_rows(
        Row(
            "mcp-server-match-rule-domains mcp-server-match-rule-value mcp-server-path-rewrite-prefix",
            True,
            "MCP server",
            TEXT,
            since=(2, 1, 4),
        )
    ),
    Row("mcp-sse-stateful-param-name", True, "filter of load-balance MCP-SSE", TEXT, since=(2, 1, 7)),
    Row("rpc-destination-name", False, "upstream protocol", TEXT, "rpc", "makes a field of its routes uncertain"),
)
BY_KEY: Final = {row.key: row for row in TABLE}
