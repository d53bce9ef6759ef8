"""Whether a request that takes the right route can be answered: clusters, endpoints, certificates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from xdsaudit.ingress.expectation import Expectation, ExpectedRoute
from xdsaudit.model.view import View


class Upstream(NamedTuple):
    """Why a rule's requests cannot be answered: a slug of the catalogue and a line of evidence."""

    slug: str
    evidence: str


def judge_upstream(
    expectation: Expectation,
    views: tuple[View, ...],
    endpoints: View | None,
    ready: Mapping[tuple[str, str], int] | None,
) -> dict[int, Upstream]:
    """Rules whose route is right and whose upstream is not, by rule index.

    Args:
        expectation: the routes.
        views: the gateways; without any, the pilots.
        endpoints: the pilot whose EDS stands in for a gateway that was read without ``include_eds``.
        ready: number of ready endpoints by Service, of the EndpointSlices, to name the cause.
    """
    found: dict[int, Upstream] = {}
    for view in views:
        warming = view.warming_secrets or frozenset()
        verdicts: dict[tuple[str, ...], Upstream | None] = {}
        for place, routes in expectation.tables.items():
            held = _certificate(view, place[1], warming) if place[0] == expectation.profile.https_port else None
            for route in routes:
                problem = held
                if problem is None and (problem := _cached(verdicts, view, endpoints, route, ready)) is None:
                    continue
                for rule in route.rules:
                    found.setdefault(rule, problem)
    return found


def _cached(
    verdicts: dict[tuple[str, ...], Upstream | None],
    view: View,
    endpoints: View | None,
    route: ExpectedRoute,
    ready: Mapping[tuple[str, str], int] | None,
) -> Upstream | None:
    names = _targets(route)
    if names not in verdicts:
        verdicts[names] = next((p for n in names if (p := _cluster(view, endpoints, n, ready)) is not None), None)
    return verdicts[names]


def _targets(route: ExpectedRoute) -> tuple[str, ...]:
    """Clusters that must answer; those of a fallback plugin stand in for each other and are not judged alone."""
    if route.cluster is not None:
        return (route.cluster,)
    weighted = route.fields.get("weighted_clusters")
    return tuple(c["name"] for c in weighted["clusters"]) if weighted else ()


def _certificate(view: View, host: str, warming: frozenset[str]) -> Upstream | None:
    if not warming:
        return None
    for listener in view.listeners or ():
        for chain in listener.chains:
            if chain.tls and host in (chain.server_names or ("*",)):
                waiting = [s for s in chain.secrets if s in warming]
                if waiting:
                    return Upstream(
                        "certificate-warming", f"{view.label}: the certificate {waiting[0]} of {host} never arrived"
                    )
    return None


def _cluster(view: View, eds: View | None, name: str, ready: Mapping[tuple[str, str], int] | None) -> Upstream | None:
    if view.clusters is None:
        return None
    cluster = view.clusters.get(name)
    if cluster is None:
        return Upstream("cluster-absent", f"{view.label}: cluster {name} does not exist: requests get 503 NC")
    if cluster.warming:
        return Upstream("cluster-absent", f"{view.label}: cluster {name} is still warming")
    if cluster.discovery != "EDS":
        return None
    for source in (view, eds):
        count = (
            source.endpoints.get(cluster.service_name) if source is not None and source.endpoints is not None else None
        )
        if count is None:
            continue
        if count:
            return None
        assert source is not None
        said = f"{source.label}: cluster {name} has no healthy endpoint: requests get 503 UH"
        service, _, rest = name.rpartition("|")[2].partition(".")
        slices = (ready or {}).get((rest.partition(".")[0], service))
        if ready is not None:
            said += f" (EndpointSlices: {'none' if slices is None else slices} ready)"
        return Upstream("no-endpoints", said)
    return None
