"""Annotation keys that Higress does not read, and what people write them for: ingress-nginx's, the Console's, and those of others.

Sources: ingress-nginx docs/user-guide/nginx-configuration/annotations.md (controller-v1.12), higress-console
KubernetesConstants.java. Data alone; the keys that Higress reads stand in ``annotation_table``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

PROTECTS: Final = "protects"
SHAPES: Final = "shapes"
DETAIL: Final = "detail"


class ForeignKey(NamedTuple):
    """A key of ingress-nginx that Higress ignores.

    Attributes:
        key: without its prefix.
        weight: what is lost with it: ``protects`` keeps somebody out, ``shapes`` changes what a request or its answer is,
            ``detail`` is tuning.
        instead: what does the same in Higress, or says that nothing does.
    """

    key: str
    weight: str
    instead: str = ""


_TIMEOUT: Final = "higress.io/timeout, in seconds, bounds the whole request"
_RATE: Final = "higress.io/route-limit-rps or -rpm limits the whole route; by client it is the plugin key-rate-limit"
_BUFFER: Final = "a limit of the whole gateway: downstream.connectionBufferLimits in the ConfigMap higress-config"
_WAF: Final = "the plugin waf"
_SNIPPET: Final = "it is text of nginx's own configuration; nothing takes its place as a whole"
_EXT_AUTH: Final = "the plugin ext-auth"
_CLIENT_CERT: Final = "auth-tls-secret alone is read, and asks every client for a certificate of that CA"
_COOKIE: Final = (
    "session-cookie-name, -path, -max-age and -expires are read; the cookie's other attributes cannot be set"
)
_TRACE: Final = "tracing in the ConfigMap higress-config, for the whole gateway"
_LOG: Final = "accessLogFile of the mesh configuration, for the whole gateway"


def _keys(keys: str, weight: str, instead: str = "") -> tuple[ForeignKey, ...]:
    return tuple(ForeignKey(key, weight, instead) for key in keys.split())


NGINX_KEYS: Final = (
    *_keys("auth-url", PROTECTS, _EXT_AUTH),
    *_keys(
        "auth-signin auth-signin-redirect-param auth-method auth-response-headers auth-request-redirect auth-cache-key "
        "auth-cache-duration auth-always-set-cookie auth-proxy-set-headers auth-keepalive auth-keepalive-share-vars "
        "auth-keepalive-requests auth-keepalive-timeout auth-snippet enable-global-auth",
        PROTECTS,
        _EXT_AUTH,
    ),
    *_keys(
        "auth-tls-verify-client auth-tls-verify-depth auth-tls-match-cn auth-tls-error-page auth-tls-pass-certificate-to-upstream",
        PROTECTS,
        _CLIENT_CERT,
    ),
    *_keys("denylist-source-range", PROTECTS, "the plugin ip-restriction with its list deny"),
    *_keys("allowlist-source-range", PROTECTS, "whitelist-source-range, which Higress reads"),
    *_keys("satisfy", SHAPES, "every condition must hold"),
    *_keys("enable-modsecurity enable-owasp-core-rules modsecurity-snippet modsecurity-transaction-id", PROTECTS, _WAF),
    *_keys("proxy-read-timeout proxy-send-timeout", SHAPES, _TIMEOUT),
    *_keys("proxy-connect-timeout", SHAPES, "a DestinationRule's connectionPool.tcp.connectTimeout"),
    *_keys("limit-rps limit-rpm limit-burst-multiplier limit-connections limit-rate limit-rate-after", SHAPES, _RATE),
    *_keys("limit-whitelist limit-allowlist", DETAIL, _RATE),
    *_keys(
        "global-rate-limit global-rate-limit-window global-rate-limit-key global-rate-limit-ignored-cidrs",
        SHAPES,
        "the plugin cluster-key-rate-limit",
    ),
    *_keys("proxy-body-size", SHAPES, "bodies have no limit unless a plugin sets one"),
    *_keys(
        "client-body-buffer-size proxy-buffering proxy-buffer-size proxy-buffers-number proxy-request-buffering "
        "proxy-max-temp-file-size proxy-busy-buffers-size",
        DETAIL,
        _BUFFER,
    ),
    *_keys("server-alias", SHAPES, "a rule of its own for each of the hosts"),
    *_keys("from-to-www-redirect", SHAPES, "an Ingress for the other host with permanent-redirect"),
    *_keys("configuration-snippet server-snippet stream-snippet location-snippet", SHAPES, _SNIPPET),
    *_keys("custom-headers", SHAPES, "higress.io/response-header-control-update, a line NAME VALUE for each"),
    *_keys("proxy-set-headers", SHAPES, "higress.io/request-header-control-update, a line NAME VALUE for each"),
    *_keys("x-forwarded-prefix", SHAPES, "higress.io/request-header-control-add: x-forwarded-prefix VALUE"),
    *_keys("connection-proxy-header", DETAIL),
    *_keys("ssl-passthrough", SHAPES, "no passthrough, the gateway ends TLS itself"),
    *_keys("ssl-ciphers", SHAPES, "ssl-cipher, which Higress reads"),
    *_keys("ssl-prefer-server-ciphers preserve-trailing-slash", DETAIL),
    *_keys(
        "mirror-target mirror-host", SHAPES, "mirror-target-service: NAMESPACE/SERVICE:PORT, a Service of the cluster"
    ),
    *_keys("mirror-request-body", DETAIL, "a mirrored request keeps its body"),
    *_keys("affinity-mode", DETAIL, "Higress has one mode of affinity, a hash of the cookie"),
    *_keys("affinity-canary-behavior", DETAIL),
    *_keys(
        "session-cookie-samesite session-cookie-secure session-cookie-domain session-cookie-change-on-failure "
        "session-cookie-conditional-samesite-none session-cookie-hash",
        DETAIL,
        _COOKIE,
    ),
    *_keys("upstream-hash-by-subset upstream-hash-by-subset-size", DETAIL),
    *_keys("service-upstream service-weight", SHAPES),
    *_keys("proxy-cookie-domain proxy-cookie-path proxy-redirect-from proxy-redirect-to", SHAPES),
    *_keys("proxy-http-version", DETAIL, "backend-protocol says which protocol the backend speaks"),
    *_keys("websocket-services", DETAIL, "every route takes WebSockets"),
    *_keys("http2-push-preload secure-verify-ca-secret base-url-scheme", DETAIL),
    *_keys(
        "proxy-ssl-ciphers proxy-ssl-protocols proxy-ssl-verify-depth", DETAIL, "proxy-ssl-secret and -name are read"
    ),
    *_keys("grpc-backend secure-backends", SHAPES, "backend-protocol: GRPC or HTTPS"),
    *_keys("rewrite-log enable-rewrite-log enable-access-log", DETAIL, _LOG),
    *_keys("disable-proxy-intercept-errors denylist-status", DETAIL),
    *_keys("temporal-redirect-code relative-redirects", SHAPES, "temporal-redirect answers 302"),
    *_keys("cors-allow-private-network", SHAPES),
    *_keys(
        "enable-opentracing opentracing-trust-incoming-span enable-opentelemetry opentelemetry-trust-incoming-span "
        "opentelemetry-operation-name",
        DETAIL,
        _TRACE,
    ),
    *_keys(
        "enable-influxdb influxdb-measurement influxdb-port influxdb-host influxdb-server-name",
        DETAIL,
        "metrics of the gateway",
    ),
)
BY_NGINX_KEY: Final = {row.key: row for row in NGINX_KEYS}

CONSOLE: Final = re.compile(
    r"^(?:enable-(?:rewrite|proxy-next-upstream|header-control)|resource-description|comment|description"
    r"|wasm-plugin-.*|auth-consumer-.*)$"
)
"""Keys that the Higress Console writes for itself; removing them breaks its switches."""

OTHERS: Final = {
    "domain-whitelist-source-range": "whitelist-source-range, on every Ingress of the host",
    "domain-blacklist-source-range": "the plugin ip-restriction",
    "blacklist-source-range": "the plugin ip-restriction with its list deny",
    "request-timeout": "higress.io/timeout, in whole seconds",
    "retry-count": "higress.io/proxy-next-upstream-tries",
    "canary-header": "canary-by-header",
    "canary-header-value": "canary-by-header-value",
    "canary-header-pattern": "canary-by-header-pattern",
}
"""Keys of other gateways and of guides that Higress never read, and what is meant."""
