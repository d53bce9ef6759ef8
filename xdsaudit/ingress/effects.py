"""What the annotations of an Ingress do to each of its routes.

One function a group, applied in the order of higress@v2.0.1 pkg/ingress/kube/annotations/annotations.go: cors, redirect,
rewrite, IP access, timeout, retry, local rate limit, mirror, ignore-case, match, header control. (``default-backend`` makes
routes of its own and stands in ``canary``'s neighbour ``fallback``.) Values that do not parse have no effect, silently.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from xdsaudit.ingress.annotations import HIGRESS, boolean, has, integer, items, look, text
from xdsaudit.ingress.http_route import HeaderOps, Work
from xdsaudit.model.route import HeaderMatch

Annotations = Mapping[str, str]
TYPE: Final = "type.googleapis.com/"
ANNOTATED_FILTERS: Final = frozenset({"envoy.filters.http.rbac", "envoy.filters.http.local_ratelimit"})
"""Filters whose configuration per route annotations make."""

_REGEX_SIGNS: Final = frozenset(".+*?()|[]{}^$\\")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_CODES: Final = {301: None, 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}
_DEFAULT_RETRY_ON: Final = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_PREVIOUS_HOSTS: Final = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {"@type": TYPE + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
}
_NO_WRITES: Final = {
    "name": ":method",
    "invert_match": True,
    "string_match": {"safe_regex": {"regex": "POST|PATCH|LOCK"}},
}


# --- path type -------------------------------------------------------------------------------------------------------
def rewrite_target(annotations: Annotations) -> str | None:
    r"""The rewrite-target as Higress keeps it: ``$1`` becomes ``\1``, unless rewrite-path is set."""
    target = look(annotations, "rewrite-target", text)
    if target and not look(annotations, "rewrite-path", text) and re.search(r"\$[0-9]", target):
        target = target.replace("$", "\\")
    return target


def needs_regex(annotations: Annotations, path: str) -> bool:
    """Whether this path becomes a regex, whatever its pathType says (NeedRegexMatch)."""
    target = rewrite_target(annotations) or ""
    return (
        bool(target and _REGEX_SIGNS & set(path))
        or any(c in target for c in "$\\")
        or bool(look(annotations, "use-regex", boolean))
        or bool(look(annotations, "full-path-regex", boolean))
    )


def path_type(annotations: Annotations, path: str, declared: str | None) -> str:
    """Effective path type of a path."""
    if annotations and needs_regex(annotations, path):
        return "fullPathRegex" if look(annotations, "full-path-regex", boolean) else "prefixRegex"
    return "exact" if declared == "Exact" else "prefix"


# --- routes ----------------------------------------------------------------------------------------------------------
class Effects:
    """What the annotations of one Ingress do to every route of it, worked out once.

    Only the rewrite depends on the path too.
    """

    def __init__(self, annotations: Annotations) -> None:
        """Read the annotations."""
        self.annotations = annotations
        self._all = made = Work("", [], "", "", [], [], fields={} if annotations else PLAIN)
        self._path = self._target = None
        if not annotations:
            return
        _cors(made, annotations)
        _redirect(made, annotations)
        _filters(made, annotations)
        _timeout(made, annotations)
        _retry(made, annotations)
        made.ignore_case = bool(look(annotations, "ignore-path-case", boolean))
        _match(made, annotations)
        header_control(made, annotations)
        made.host_rewrite = look(annotations, "upstream-vhost", text)
        self._path = look(annotations, "rewrite-path", text)
        self._target = rewrite_target(annotations)

    def on(self, route: Work) -> None:
        """Put them on a route, except fallback and mirror, which need Services."""
        made = self._all
        if not self.annotations:
            route.fields = PLAIN  # shared: nothing may change it
            return
        route.fields = dict(made.fields)
        route.redirect, route.https_redirect = made.redirect, made.https_redirect
        route.host_rewrite, route.ignore_case, route.method = made.host_rewrite, made.ignore_case, made.method
        route.headers, route.query = list(made.headers), list(made.query)
        route.request, route.response = made.request, made.response
        if self._path is not None or self._target is not None:
            _rewrite(route, self._path, self._target)


def _string_list(annotations: Annotations, key: str, default: str) -> list[str]:
    found = items(look(annotations, key, text) or default)
    return ["*"] if "*" in found else found


def _cors(route: Work, annotations: Annotations) -> None:
    if not look(annotations, "enable-cors", boolean):
        return
    origins: list[dict[str, Any]] = []
    for item in items(look(annotations, "cors-allow-origin", text) or "*"):
        if item == "*":
            origins.append({"safe_regex": {"regex": ".*"}})
            break
        if "*" in item:
            found = re.match(r"^[^:]*://\*\.(.*)$", item)
            if found and "*" not in found[1]:
                origins.append({"safe_regex": {"regex": ".*\\." + found[1].replace(".", "\\.")}})
            continue
        origins.append({"exact": item})
    credentials = look(annotations, "cors-allow-credentials", boolean)
    age = look(annotations, "cors-max-age", integer)
    methods = _string_list(annotations, "cors-allow-methods", "GET, PUT, POST, DELETE, PATCH, OPTIONS")
    headers = _string_list(
        annotations,
        "cors-allow-headers",
        "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,"
        "Content-Type,Authorization",
    )
    cors: dict[str, Any] = {
        "allow_methods": ",".join(methods),
        "allow_headers": ",".join(headers),
        "max_age": str(1728000 if age is None else age),
        "allow_credentials": True if credentials is None else credentials,
        "filter_enabled": {"default_value": {"numerator": 100}},
    }
    expose = _string_list(annotations, "cors-expose-headers", "")
    if origins:
        cors["allow_origin_string_match"] = origins
    if expose:
        cors["expose_headers"] = ",".join(expose)
    route.fields["cors"] = cors


def _url(raw: str) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(raw)
    except ValueError:
        return None
    return (parts.scheme, parts.netloc, parts.path) if parts.scheme.startswith("http") else None


def redirect_code(annotations: Annotations) -> int:
    """Code of a permanent redirect: 300 to 308, anything else is 301."""
    code = look(annotations, "permanent-redirect-code", integer)
    return code if code is not None and 300 <= code <= 308 else 301


def _redirect(route: Work, annotations: Annotations) -> None:
    ssl = look(annotations, "ssl-redirect", boolean) or look(annotations, "force-ssl-redirect", boolean)
    target, code = None, 302
    temporal = look(annotations, "temporal-redirect", text)
    if temporal is None and f"{HIGRESS}temporal-redirect" in annotations:
        # The key is there but blank: Higress stops reading the group.
        route.https_redirect = bool(ssl)
        return
    if temporal:
        target = _url(temporal)
    if target is None:
        permanent = look(annotations, "permanent-redirect", text)
        target, code = (_url(permanent), redirect_code(annotations)) if permanent else (None, 301)
    if target is None:
        route.https_redirect = bool(ssl)
        return
    scheme, authority, path = target
    redirect: dict[str, Any] = {"path_redirect": path}
    if authority:
        redirect["host_redirect"] = authority
    if scheme:
        redirect["scheme_redirect"] = scheme
    name = _CODES.get(code)
    if name:
        redirect["response_code"] = name
    # Pilot knows no other code: it sends the route without an action, which Envoy refuses.
    route.redirect = redirect if code in _CODES else {}


def _rewrite(route: Work, path: str | None, target: str | None) -> None:
    kind, value = route.uris[0]
    if path is not None:
        prefix = next((v for k, v in route.uris if k == "prefix" and v.endswith("/")), None)
        if prefix is not None and not path.endswith("/"):
            route.rewrite = _regex_rewrite(f"^{prefix.rstrip('/')}(/.*)?", f"{path}\\1")
        else:
            route.rewrite = {"prefix_rewrite": path}
    elif target is not None:
        route.rewrite = _regex_rewrite("^/" if kind == "prefix" and value == "/" else value, target)


def _regex_rewrite(pattern: str, substitution: str) -> dict[str, Any]:
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": substitution}}


def _filters(route: Work, annotations: Annotations) -> None:
    filters = dict(route.fields.get("typed_per_filter_config", {}))
    listed = look(annotations, "whitelist-source-range", text)
    ranges = [r for r in map(_cidr, items(listed or "")) if r is not None]
    if ranges:
        ids = {"or_ids": {"ids": [{"remote_ip": r} for r in ranges]}}
        policy = {"permissions": [{"any": True}], "principals": [{"not_id": ids}]}
        filters["envoy.filters.http.rbac"] = {
            "@type": TYPE + "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
            "rbac": {"rules": {"action": "DENY", "policies": {"ip-access-control": policy}}},
        }
    per_minute = look(annotations, "route-limit-rpm", integer)
    rate = look(annotations, "route-limit-rps", integer) if per_minute is None else per_minute
    if rate is not None:
        multiplier = look(annotations, "route-limit-burst-multiplier", integer)
        filters["envoy.filters.http.local_ratelimit"] = _rate_limit(
            rate, 5 if multiplier is None else multiplier, "1s" if per_minute is None else "60s"
        )
    if filters:
        route.fields["typed_per_filter_config"] = filters


def _cidr(raw: str) -> dict[str, Any] | None:
    try:
        network = ipaddress.ip_interface(raw)
    except ValueError:
        return None
    address = str(network.ip) if "/" not in raw else raw.partition("/")[0]
    length = network.network.prefixlen
    return {"address_prefix": address, "prefix_len": length} if length else {"address_prefix": address}


def _rate_limit(rate: int, multiplier: int, interval: str) -> dict[str, Any]:
    def part(key: str) -> dict[str, Any]:
        return {"default_value": {"numerator": 100}, "runtime_key": f"local_rate_limit_{key}"}

    return {
        "@type": TYPE + "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "http_local_rate_limiter",
        "status": {"code": "TooManyRequests"},
        "token_bucket": {"max_tokens": rate * multiplier, "tokens_per_fill": rate, "fill_interval": interval},
        "filter_enabled": part("enabled"),
        "filter_enforced": part("enforced"),
        "response_headers_to_add": [
            {"header": {"key": "x-local-rate-limit", "value": "true"}, "append": False},
        ],
    }


def _timeout(route: Work, annotations: Annotations) -> None:
    seconds = look(annotations, "timeout", integer) or 0
    route.fields["timeout"] = route.fields["max_grpc_timeout"] = f"{seconds}s"


def retry_policy(
    attempts: int = 2,
    retry_on: str = _DEFAULT_RETRY_ON,
    codes: tuple[int, ...] = (503,),
    *,
    idempotent_only: bool = True,
    per_try: int | None = None,
) -> dict[str, Any]:
    """A retry policy as pilot writes it."""
    policy: dict[str, Any] = {
        "retry_on": retry_on,
        "num_retries": attempts,
        "retry_host_predicate": [_PREVIOUS_HOSTS],
        "host_selection_retry_max_attempts": "5",
    }
    if codes:
        policy["retriable_status_codes"] = list(codes)
    if idempotent_only:
        policy["retriable_request_headers"] = [_NO_WRITES]
    if per_try is not None:
        policy["per_try_timeout"] = f"{per_try}s"
    return policy


def _retry(route: Work, annotations: Annotations) -> None:
    if not has(annotations, "proxy-next-upstream", "proxy-next-upstream-tries", "proxy-next-upstream-timeout"):
        route.fields["retry_policy"] = DEFAULT_RETRY
        return
    attempts = look(annotations, "proxy-next-upstream-tries", integer)
    attempts = 3 if attempts is None else attempts
    per_try = look(annotations, "proxy-next-upstream-timeout", integer) or 0
    words = look(annotations, "proxy-next-upstream", text)
    retry_on = "5xx"
    codes: list[int] = []
    if words is not None:
        conditions = {w for w in re.split(r"[,\s]+", words) if w}
        if "off" in conditions:
            return
        if conditions:
            parts = ["5xx"] if conditions & {"error", "timeout", "invalid_header"} else []
            if "non_idempotent" in conditions:
                parts.append("non_idempotent")
            codes = sorted(int(w[5:]) for w in conditions if re.fullmatch(r"http_[0-9]{3}", w))
            if codes:
                parts.append("retriable-status-codes")
            retry_on = ",".join(parts)
    if attempts <= 0:
        return
    if not retry_on:
        retry_on, codes = _DEFAULT_RETRY_ON, [503]
    route.fields["retry_policy"] = retry_policy(
        attempts,
        retry_on,
        tuple(codes),
        idempotent_only="non_idempotent" not in retry_on,
        per_try=per_try,
    )


DEFAULT_RETRY: Final = retry_policy()
PLAIN: Final[dict[str, Any]] = {"timeout": "0s", "max_grpc_timeout": "0s", "retry_policy": DEFAULT_RETRY}


def _match(route: Work, annotations: Annotations) -> None:
    written = look(annotations, "match-method", text)
    methods = [m for m in dict.fromkeys((written or "").upper().split()) if m in _METHODS]
    route.method = "|".join(methods)
    headers: list[HeaderMatch] = []
    query: list[HeaderMatch] = []
    for key, value in annotations.items():
        found = re.match(r"^higress\.io/(exact|prefix|regex)-match-(header|pseudo-header|query)-(.+)$", key)
        if not found:
            continue
        op, where, name = found.groups()
        condition = HeaderMatch(f":{name}" if where == "pseudo-header" else name, op, value)
        if op == "regex" and value == "*":
            condition = condition._replace(op="present", value="")
        (query if where == "query" else headers).append(condition)
    route.headers, route.query = headers, query


def header_control(route: Work, annotations: Annotations) -> None:
    """Header operations of both directions."""
    for direction in ("request", "response"):
        ops = HeaderOps(
            _pairs(look(annotations, f"{direction}-header-control-update", text)),
            _pairs(look(annotations, f"{direction}-header-control-add", text)),
            items(look(annotations, f"{direction}-header-control-remove", text) or ""),
        )
        setattr(route, direction, ops or None)


def _pairs(lines: str | None) -> dict[str, str]:
    pairs = {}
    for line in (lines or "").split("\n"):
        words = line.split(None, 1)
        if len(words) == 2 and (key := words[0].strip("\"'")) and (value := words[1].strip().strip("\"'")):
            pairs[key] = value
    return pairs
