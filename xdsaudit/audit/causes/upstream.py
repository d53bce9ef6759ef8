"""Whether a request that takes the right route can be answered: clusters, endpoints, certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from xdsaudit.ingress.expectation import Expectation, ExpectedRoute
from xdsaudit.model.route import Place, Route
from xdsaudit.model.view import Certificate, View


class Upstream(NamedTuple):
    """Why a rule's requests cannot be answered: a slug of the catalogue and a line of evidence."""

    slug: str
    evidence: str


Remembered = Callable[[int, tuple[object, ...]], dict[int, object]]


def judge_upstream(
    expectation: Expectation,
    views: tuple[View, ...],
    endpoints: View | None,
    ready: Mapping[tuple[str, str], int] | None,
    now: datetime | None,
    remembered: Remembered,
) -> dict[int, Upstream]:
    """Rules whose route is right and whose upstream is not, by rule index.

    Args:
        expectation: the routes.
        views: the gateways; without any, the pilots.
        endpoints: the pilot whose EDS stands in for a gateway that was read without ``include_eds``.
        ready: number of ready endpoints by Service, of the EndpointSlices, to name the cause.
        now: time of the views, that certificates are held against; None leaves their dates unjudged.
        remembered: gives, for a view's number and all that its clusters are judged by, the lists of routes whose clusters were
            found well, by their ids; those of this view are added.
    """
    found: dict[int, Upstream] = {}
    for number, view in enumerate(views):
        certificates = view.chain_secrets()
        verdicts: dict[tuple[str, ...], Upstream | None] = {}
        answering = endpoints.endpoints if endpoints is not None else None
        well = remembered(number, (view.clusters, view.endpoints, answering, ready))
        for place, routes in expectation.tables.items():
            secure = place[0] == expectation.profile.https_port
            held = _certificate(view, place[1], certificates.get(place[1], ()), now) if secure else None
            if held is None and id(routes) in well:
                continue
            clean = held is None
            for route in routes:
                problem = held
                if problem is None:
                    certain = "cluster" not in route.uncertain
                    names = _targets(route) if certain else _served(view, place, route)
                    problem = _cached(verdicts, view, endpoints, names, ready)
                    clean = clean and certain and problem is None
                if problem is None:
                    continue
                for rule in route.rules:
                    found.setdefault(rule, problem)
            if clean:
                well[id(routes)] = routes  # an id is a name only while its object lives
        for gone in well.keys() - {id(routes) for routes in expectation.tables.values()}:
            del well[gone]
    return found


def _cached(
    verdicts: dict[tuple[str, ...], Upstream | None],
    view: View,
    endpoints: View | None,
    names: tuple[str, ...],
    ready: Mapping[tuple[str, str], int] | None,
) -> Upstream | None:
    if names not in verdicts:
        verdicts[names] = next((p for n in names if (p := _cluster(view, endpoints, n, ready)) is not None), None)
    return verdicts[names]


def _served(view: View, place: Place, route: ExpectedRoute) -> tuple[str, ...]:
    """Clusters of the routes that a view serves for an expected one whose cluster only its registry could tell."""
    table = view.tables.get(place)
    same = [r for r in table.routes if (r.key, r.name) == (route.key, route.name)] if table else []
    return tuple(dict.fromkeys(name for r in same for name in _targets(r)))


def _targets(route: ExpectedRoute | Route) -> tuple[str, ...]:
    """Clusters that must answer; those of a fallback plugin stand in for each other and are not judged alone."""
    if route.cluster is not None:
        return (route.cluster,)
    weighted = route.fields.get("weighted_clusters")
    return tuple(c["name"] for c in weighted["clusters"]) if weighted else ()


def _certificate(view: View, host: str, secrets: tuple[str, ...], now: datetime | None) -> Upstream | None:
    """What is wrong with the certificates of a host; one good one among several is enough."""
    waiting = [s for s in secrets if s in (view.warming_secrets or ())]
    if waiting:
        return Upstream("certificate-warming", f"{view.label}: the certificate {waiting[0]} of {host} never arrived")
    shown = [(s, c) for s in secrets if (c := (view.certificates or {}).get(s)) is not None]
    if not shown or len(shown) < len(secrets):
        return None
    problems = [_flaw(view, host, name, certificate, now) for name, certificate in shown]
    return None if None in problems else problems[0]


def _flaw(view: View, host: str, name: str, certificate: Certificate, now: datetime | None) -> Upstream | None:
    if now is not None:
        for bound, wrong, said in (
            (certificate.ends, now > datetime.fromisoformat(certificate.ends), "ended"),
            (certificate.begins, now < datetime.fromisoformat(certificate.begins), "only begins"),
        ):
            if wrong:
                text = f"{view.label}: the certificate {name} of {host} {said} at {bound}"
                return Upstream("certificate-expired", text)
    if host != "*" and certificate.names and not certificate.covers(host):
        names = ", ".join(certificate.names[:5])
        return Upstream("certificate-mismatch", f"{view.label}: the certificate {name} shown for {host} is for {names}")
    return None


def _cluster(view: View, eds: View | None, name: str, ready: Mapping[tuple[str, str], int] | None) -> Upstream | None:
    if view.clusters is None:
        return None
    cluster = view.clusters.get(name)
    if cluster is None:
        return Upstream("cluster-absent", f"{view.label}: cluster {name} does not exist: requests get 503 NC")
    if cluster.warming:
        return Upstream(
            "cluster-warming", f"{view.label}: cluster {name} is still warming, waiting for its first endpoints"
        )
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
        return Upstream("endpoints-not-delivered" if slices else "no-endpoints", said)
    return None
