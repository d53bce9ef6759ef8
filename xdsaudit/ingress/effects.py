"""What the annotations of an Ingress do to each of its routes.

One function a group, applied in the order of higress@v2.0.1 pkg/ingress/kube/annotations/annotations.go: cors, redirect,
rewrite, IP access, timeout, retry, local rate limit, mirror, ignore-case, match, header control. (``default-backend`` makes
routes of its own and stands in ``canary``'s neighbour ``fallback``.) Values that do not parse have no effect, silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from xdsaudit.ingress.annotation_table import TABLE
from xdsaudit.ingress.annotations import (
    HIGRESS,
    MATCH_MARKERS,
    boolean,
    has,
    header_pairs,
    integer,
    items,
    items_or_star,
    look,
    match_keys,
    text,
)
from xdsaudit.ingress.go import (
    URL,
    parse_addr,
    parse_prefix,
    parse_url,
    to_upper,
    uint32,
)
from xdsaudit.ingress.http_route import HeaderOps, PathType, Work
from xdsaudit.ingress.retries import DEFAULT_RETRY, retry
from xdsaudit.model.canonical import TYPE_PREFIX
from xdsaudit.model.plain import Plain, as_mapping
from xdsaudit.model.route import HeaderMatch

Annotations = Mapping[str, str]
ANNOTATED_FILTERS: Final = frozenset({"envoy.filters.http.rbac", "envoy.filters.http.local_ratelimit"})
"""Filters whose configuration per route annotations make."""

_REGEX_SIGNS: Final = frozenset(".+*?()|[]{}^$\\")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_CODES: Final = {301: None, 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}


# --- path type -------------------------------------------------------------------------------------------------------
def rewrite_target(annotations: Annotations) -> str | None:
    r"""The rewrite-target as Higress keeps it: ``$1`` becomes ``\1``, unless rewrite-path is set."""
    target = look(annotations, "rewrite-target", text)
    if target and not look(annotations, "rewrite-path", text) and re.search(r"\$[0-9]", target):
        target = target.replace("$", "\\")
    return target


# --- routes ----------------------------------------------------------------------------------------------------------
class Effects:
    """What the annotations of one Ingress do to every route of it, worked out once.

    Only the rewrite depends on the path too.

    Attributes:
        annotations: as given.
        as_declared: whether every path matches as its type is declared, where one is.
    """

    def __init__(self, annotations: Annotations) -> None:
        """Read the annotations."""
        self.annotations: Annotations = annotations
        self._made: list[tuple[str, object]] = [("fields", PLAIN)]
        self._path = self._target = None
        self._regex = self._full = False
        self.as_declared: bool = True
        self._operations: tuple[HeaderOps | None, HeaderOps | None] = (None, None)
        self._uncertain: frozenset[str] = frozenset()
        if not annotations:
            return
        made = _blank()
        for apply in _APPLIED:
            apply(made, annotations)
        blank = _blank()
        # Whatever an effect has set, so that none can be forgotten here.
        self._made = [
            (name, value)
            for name in Work.__struct_fields__
            if (value := getattr(made, name)) != getattr(blank, name) and name != "uncertain"
        ]
        self._operations, self._uncertain = (made.request, made.response), made.uncertain
        self._path = look(annotations, "rewrite-path", text)
        self._target = rewrite_target(annotations)
        self._full = bool(look(annotations, "full-path-regex", boolean))
        self._regex = self._full or bool(look(annotations, "use-regex", boolean))
        self._regex = self._regex or any(c in (self._target or "") for c in "$\\")
        self.as_declared = not self._regex and self._target is None

    @property
    def operations(self) -> tuple[HeaderOps | None, HeaderOps | None]:
        """Header operations of requests and of responses."""
        return self._operations

    @property
    def rewrites(self) -> bool:
        """Whether a rewrite-target is set."""
        return self._target is not None

    def path_type(self, path: str, declared: str | None) -> PathType:
        """Effective type of a path: a regex, whatever was declared, where annotations or its signs ask for one.

        higress@v2.0.1 pkg/ingress/kube/annotations/annotations.go NeedRegexMatch.
        """
        if self._regex or (self._target and not _REGEX_SIGNS.isdisjoint(path)):
            return "fullPathRegex" if self._full else "prefixRegex"
        return "exact" if declared == "Exact" else "prefix"

    def on(self, route: Work) -> None:
        """Put them on a route, except fallback and mirror, which need Services."""
        for name, value in self._made:
            setattr(route, name, value)  # shared: nothing changes it in place
        if self._uncertain:
            route.uncertain |= self._uncertain
        if self._path is not None or self._target is not None:
            _rewrite(route, self._path, self._target)


def _blank() -> Work:
    return Work("", (), "", "", (), ())


def _list(annotations: Annotations, key: str, default: str) -> str:
    written = look(annotations, key, text)
    return ",".join(items_or_star(default if written is None else written))


def origin(item: str) -> dict[str, Plain] | None:
    """The matcher of one item of ``cors-allow-origin``; None for one that is left out."""
    if item == "*":
        return {"safe_regex": {"regex": ".*"}}
    if "*" not in item:
        return {"exact": item}
    url = parse_url(item)
    if url is None or not url.host.startswith("*"):
        return None
    return {"safe_regex": {"regex": ".*" + url.host[1:].replace(".", "\\.")}}


def _cors(route: Work, annotations: Annotations) -> None:
    if not look(annotations, "enable-cors", boolean):
        return
    listed = items_or_star(look(annotations, "cors-allow-origin", text) or "*")
    origins = [o for o in map(origin, listed) if o is not None]
    credentials = look(annotations, "cors-allow-credentials", boolean)
    age = look(annotations, "cors-max-age", integer)
    cors: dict[str, Plain] = {
        "max_age": str(1728000 if age is None else age),
        "allow_credentials": True if credentials is None else credentials,
        "filter_enabled": {"default_value": {"numerator": 100}},
    }
    lists = {
        "allow_methods": _list(annotations, "cors-allow-methods", "GET, PUT, POST, DELETE, PATCH, OPTIONS"),
        "allow_headers": _list(
            annotations,
            "cors-allow-headers",
            "DNT,X-CustomHeader,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,"
            "Content-Type,Authorization",
        ),
        "expose_headers": _list(annotations, "cors-expose-headers", ""),
    }
    cors.update({key: value for key, value in lists.items() if value})
    if origins:
        cors["allow_origin_string_match"] = origins
    route.fields["cors"] = cors


def url_of(raw: str) -> URL | None:
    """The URL of a redirect; None for one that redirects nothing."""
    url = parse_url(raw)
    return url if url is not None and url.scheme.startswith("http") else None


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
        target = url_of(temporal)
    if target is None:
        permanent = look(annotations, "permanent-redirect", text)
        target, code = (url_of(permanent), redirect_code(annotations)) if permanent else (None, 301)
    if target is None:
        route.https_redirect = bool(ssl)
        return
    redirect: dict[str, Plain] = {"path_redirect": target.path, "scheme_redirect": target.scheme}
    if target.host:
        redirect["host_redirect"] = target.host
    name = _CODES.get(code)
    if name:
        redirect["response_code"] = name
    # Pilot knows no other code: it sends the route without an action, which Envoy refuses.
    route.redirect = redirect if code in _CODES else {}
    # To https and nowhere else: pilot ignores it on 443 (IgnoreRedirect), as it does that of ssl-redirect.
    route.https_redirect = target.scheme == "https" and not target.host and not target.path


def _rewrite(route: Work, path: str | None, target: str | None) -> None:
    first = route.uris[0]
    if path is not None:
        prefix = next((u.value for u in route.uris if u.kind == "prefix" and u.value.endswith("/")), None)
        if prefix is not None and not path.endswith("/"):
            route.rewrite = _regex_rewrite(f"^{prefix[:-1]}(/.*)?", f"{path}\\1")
        else:
            route.rewrite = {"prefix_rewrite": path}
    elif target is not None:
        route.rewrite = _regex_rewrite("^/" if first.catch_all else first.value, target)


def _regex_rewrite(pattern: str, substitution: str) -> dict[str, Plain]:
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": substitution}}


def _filters(route: Work, annotations: Annotations) -> None:
    filters = dict(as_mapping(route.fields.get("typed_per_filter_config")))
    listed = look(annotations, "whitelist-source-range", text)
    ranges = [r for r in map(cidr, items_or_star(listed or "")) if r is not None]
    if ranges:
        ids: Plain = {"or_ids": {"ids": [{"remote_ip": r} for r in ranges]}}
        policy: Plain = {"permissions": [{"any": True}], "principals": [{"not_id": ids}]}
        filters["envoy.filters.http.rbac"] = {
            "@type": TYPE_PREFIX + "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
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


def cidr(raw: str) -> dict[str, Plain] | None:
    """``AddrStrToCidrRange`` of higress-group/istio@d380470e53 pilot/pkg/networking/util/util.go."""
    network = parse_prefix(raw)
    if "/" not in raw:
        address = (parse_addr(raw) or "").partition("%")[0]  # PrefixFrom drops a zone
        network = (address, 128 if ":" in address else 32) if address else None
    return {"address_prefix": network[0], "prefix_len": network[1]} if network is not None else None


def _rate_limit(rate: int, multiplier: int, interval: str) -> dict[str, Plain]:
    def part(key: str) -> dict[str, Plain]:
        return {"default_value": {"numerator": 100}, "runtime_key": f"local_rate_limit_{key}"}

    bucket: dict[str, Plain] = {"tokens_per_fill": uint32(rate), "fill_interval": interval}
    if uint32(rate * multiplier):
        bucket["max_tokens"] = uint32(rate * multiplier)
    return {
        "@type": TYPE_PREFIX + "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "http_local_rate_limiter",
        "status": {"code": "TooManyRequests"},
        "token_bucket": bucket,
        "filter_enabled": part("enabled"),
        "filter_enforced": part("enforced"),
        "response_headers_to_add": [
            {"header": {"key": "x-local-rate-limit", "value": "true"}, "append": False},
        ],
    }


def _timeout(route: Work, annotations: Annotations) -> None:
    seconds = look(annotations, "timeout", integer) or 0
    route.fields["timeout"] = route.fields["max_grpc_timeout"] = f"{seconds}s"


PLAIN: Final[dict[str, Plain]] = {"timeout": "0s", "max_grpc_timeout": "0s", "retry_policy": DEFAULT_RETRY}


def methods(written: str) -> list[str]:
    """The methods of ``match-method`` that Higress knows; words separated by anything but single blanks are not known."""
    return [m for m in dict.fromkeys(map(to_upper, written.split(" "))) if m in _METHODS]


def _match(route: Work, annotations: Annotations) -> None:
    route.method = "|".join(methods(look(annotations, "match-method", text) or ""))
    headers: list[HeaderMatch] = []
    query: list[HeaderMatch] = []
    for marker in MATCH_MARKERS:
        for asked in dict.fromkeys(match_keys(annotations, marker).values()):  # two prefixes may ask for the same
            if asked is None:
                continue
            op, name, value = asked
            condition = HeaderMatch(f":{name}" if marker == "match-pseudo-header" else name, op, value)
            if op == "regex" and value == "*":
                condition = condition._replace(op="present", value="")
            (query if marker == "match-query" else headers).append(condition)
    route.headers, route.query = headers, query


def header_control(route: Work, annotations: Annotations) -> None:
    """Header operations of both directions."""
    for direction in ("request", "response"):
        ops = HeaderOps(
            header_pairs(look(annotations, f"{direction}-header-control-update", text)),
            header_pairs(look(annotations, f"{direction}-header-control-add", text)),
            items(look(annotations, f"{direction}-header-control-remove", text) or ""),
        )
        setattr(route, direction, ops or None)


def _ignore_case(route: Work, annotations: Annotations) -> None:
    route.ignore_case = bool(look(annotations, "ignore-path-case", boolean))


def _rewrite_host(route: Work, annotations: Annotations) -> None:
    route.host_rewrite = look(annotations, "upstream-vhost", text)


def _rpc(route: Work, annotations: Annotations) -> None:
    """An EnvoyFilter merges it into the routes of that name, if there is such an Http2Rpc, which nobody reads here."""
    if has(annotations, "rpc-destination-name"):
        route.uncertain |= {"typed_per_filter_config"}


EFFECTS: Final[dict[str, Callable[[Work, Annotations], None]]] = {
    "cors": _cors,
    "redirect": _redirect,
    "rewrite": _rewrite_host,
    "filters": _filters,
    "timeout": _timeout,
    "retry": retry,
    "ignore_case": _ignore_case,
    "match": _match,
    "header_control": header_control,
    "rpc": _rpc,
}
"""What each group of annotations does to a route; the table names the group of each."""
_APPLIED: Final = tuple(EFFECTS[name] for name in dict.fromkeys(r.effect for r in TABLE) if name in EFFECTS)
