"""HTTPRoutes to Envoy routes, as pilot writes them (higress-group/istio@d380470e53 networking/core/v1alpha3/route)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from xdsaudit.ingress.backends import Backends
from xdsaudit.ingress.expectation import ExpectedRoute
from xdsaudit.ingress.http_route import FALLBACK_TYPE, Destination, HeaderOps, Work
from xdsaudit.ingress.policy import TrafficPolicy
from xdsaudit.model.plain import Plain
from xdsaudit.model.route import HeaderMatch, MatchKey

_PLUGIN: Final = "envoy.router.cluster_specifier_plugin.cluster_fallback"


class Emitter:
    """Makes the routes of one port."""

    def __init__(
        self, backends: Backends, port: int, https_port: int, policies: Mapping[tuple[str, int | None], TrafficPolicy]
    ) -> None:
        """Keep what every route of the port needs."""
        self._backends = backends
        self._port = port
        self._https = port == https_port
        self._policies = policies

    def emit(self, works: Sequence[Work]) -> tuple[list[ExpectedRoute], Sequence[Work]]:
        """Routes in order, up to the first catch-all, and the HTTPRoutes that are cut off behind it."""
        routes: list[ExpectedRoute] = []
        for number, work in enumerate(works, 1):
            fields, cluster = self._fields(work)
            generated = not work.path_type and not work.default
            conditioned = work.method or work.headers or work.query or work.ignore_case
            keys = _conditioned(work) if conditioned else work.uris
            for key in keys:
                values = (key, work.name, fields, cluster, work.rules, work.uncertain, generated)
                routes.append(tuple.__new__(ExpectedRoute, values))  # not by its defaults: as many as there are routes
            if keys[-1].value == "/" and keys[-1].catch_all:  # a prefix is the last of a path's matchers
                return routes, works[number:]
        return routes, []

    def cluster(self, host: str, port: int | None, subset: str = "") -> str:
        """Name of the cluster of a destination; without a port, the service's only port or the listener's."""
        if port is None:
            port = self._backends.only_port(host) or self._port
        return f"outbound|{port}|{subset}|{host if '.' in host else self._backends.qualified(host)}"

    def _fields(self, work: Work) -> tuple[dict[str, Plain], str | None]:
        plain = not (work.rewrite or work.request or work.response or work.host_rewrite)
        if plain and work.redirect is None and not (work.https_redirect or self._policies):
            only = work.destinations[0] if len(work.destinations) == 1 else None
            if only is not None and not (only.fallbacks or only.request or only.response):
                return work.fields, self.cluster(only.host, only.port, only.subset)
        if work.redirect is not None and not (work.https_redirect and self._https):
            fields = {k: v for k, v in work.fields.items() if k == "typed_per_filter_config"}
            if work.redirect:
                fields["redirect"] = work.redirect
            else:
                fields["action"] = "none"
            return fields | _header_ops((work.request, work.response)), None
        if work.https_redirect and not self._https:
            fields = {k: v for k, v in work.fields.items() if k == "typed_per_filter_config"}
            redirect = {"path_redirect": "", "scheme_redirect": "https", "response_code": "PERMANENT_REDIRECT"}
            return fields | {"redirect": redirect} | _header_ops((work.request, work.response)), None
        fields = work.fields if plain and len(work.destinations) == 1 else dict(work.fields)
        cluster, operations = None, [(work.request, work.response)]
        live = [d for d in work.destinations if d.weight]
        if len(live) == 1 or len(work.destinations) == 1:
            only = live[0] if live else work.destinations[0]
            operations.append((only.request, only.response))
            if only.fallbacks:
                fields = dict(fields)
                fields["inline_cluster_specifier_plugin"] = _plugin({"cluster_config": self._fallback(only)})
            else:
                cluster = self.cluster(only.host, only.port, only.subset)
        elif live:
            fields["weighted_clusters"] = self._weighted(live)
        policies = [p for d in live if (p := self._policy(work, d)) is not None]
        extra = dict(work.rewrite or {})
        if policies:
            extra["hash_policy"] = policies
        ops = _header_ops(*operations)
        host = work.host_rewrite or next((h for request, _ in operations if (h := _authority(request))), None)
        if host is not None:
            extra["host_rewrite_literal"] = host
        return ((fields | extra | ops) if extra or ops else fields), cluster

    def _policy(self, work: Work, destination: Destination) -> dict[str, Plain] | None:
        """The hash policy of a destination: its port's, or that of all ports of its service."""
        own = (destination.host, destination.port)
        traffic = self._policies.get(own) or self._policies.get((destination.host, None))
        policy = traffic.hash_policy if traffic is not None else None
        if policy is None:
            return None
        known = self._backends.known_to_pilot(destination.host)
        if known is None:
            work.uncertain |= {"hash_policy"}
        if own not in self._policies and self._backends.mixed(destination.host, self._policies):
            work.uncertain |= {"hash_policy"}  # which of both makes the DestinationRule is Go's map order
        return policy if known else None

    def _fallback(self, destination: Destination) -> dict[str, Plain]:
        return {
            "routing_cluster": self.cluster(destination.host, destination.port, destination.subset),
            "fallback_clusters": [self.cluster(*each) for each in destination.fallbacks],
        }

    def _weighted(self, live: list[Destination]) -> dict[str, Plain]:
        clusters = []
        for each in live:
            weight = each.weight % (1 << 32)  # int32 to uint32
            entry: dict[str, Plain] = {"name": self.cluster(each.host, each.port, each.subset), "weight": weight}
            host = _authority(each.request)
            if host is not None:
                entry["host_rewrite_literal"] = host
            clusters.append(entry | _header_ops((each.request, each.response)))
        weighted: dict[str, Plain] = {"clusters": clusters, "total_weight": sum(d.weight for d in live) % (1 << 32)}
        backed = [d for d in live if d.fallbacks]
        if len(backed) > 1:
            config = {"config": [self._fallback(d) for d in backed]}
            weighted["inline_cluster_specifier_plugin"] = _plugin({"weighted_cluster_config": config})
        return weighted


def _header_ops(*operations: tuple[HeaderOps | None, HeaderOps | None]) -> dict[str, Plain]:
    """Header operations as fields, those of a route before those of its only destination (pilot's TranslateHeadersOperations)."""
    fields: dict[str, Plain] = {}
    for number, direction in enumerate(("request", "response")):
        added: list[Plain] = []
        removed: list[Plain] = []
        for pair in operations:
            ops = pair[number]
            if not ops:
                continue
            added += [
                {"header": _header(k, v), "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                for k, v in sorted(ops.update.items())
                if not _special(k)
            ]
            added += [{"header": _header(k, v)} for k, v in sorted(ops.add.items()) if not _special(k)]
            removed += [k for k in ops.remove if not _special(k)]
        if added:
            fields[f"{direction}_headers_to_add"] = added
        if removed:
            fields[f"{direction}_headers_to_remove"] = removed
    return fields


def _conditioned(work: Work) -> list[MatchKey]:
    """The keys of a route that asks for more than its path, or for its path in any case."""
    method = [HeaderMatch(":method", "regex", work.method)] if work.method else ()
    conditions = tuple(sorted((*work.headers, *method))), tuple(sorted(work.query))
    return [
        MatchKey(uri.kind, uri.value, work.ignore_case and uri.kind != "safe_regex", *conditions) for uri in work.uris
    ]


def _special(name: str) -> bool:
    """Whether pilot leaves a header out of the operations of either direction (isInternalHeader)."""
    return name.startswith(":") or name.lower() == "host"


def _authority(ops: HeaderOps | None) -> str | None:
    """The host that requests get by an operation on ``Host`` or ``:authority``; an update wins over an addition."""
    for group in (ops.update, ops.add) if ops else ():
        host = next((v for k, v in group.items() if k.lower() in ("host", ":authority")), None)
        if host:
            return host
    return None


def _header(name: str, value: str) -> dict[str, str]:
    return {k: v for k, v in (("key", name), ("value", value)) if v}


def _plugin(config: dict[str, Plain]) -> dict[str, Plain]:
    return {"extension": {"name": _PLUGIN, "typed_config": {"@type": FALLBACK_TYPE, **config}}}
