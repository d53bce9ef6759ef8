"""Whether a request that takes the right route can be answered: clusters, endpoints, certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from xdsaudit.audit.causes import certificates
from xdsaudit.audit.causes.cause import Cause, Command, Fault
from xdsaudit.audit.causes.commands import EDIT, ENDPOINTS, RESTART_CONTROLLER, SERVICE
from xdsaudit.model.plain import as_text
from xdsaudit.model.route import weights_of
from xdsaudit.model.verdict import Severity

if TYPE_CHECKING:
    from xdsaudit.ingress.expectation import Expectation, ExpectedRoute, RuleIndex
    from xdsaudit.model.route import Place, Route
    from xdsaudit.model.view import View


NO_ENDPOINTS = Cause(
    code="XA701",
    slug="no-endpoints",
    severity=Severity.ERROR,
    title="The cluster has no healthy endpoint",
    meaning="Requests get 503 no_healthy_upstream.",
    remedy="Check that the Service's pods are ready and its selector matches them.",
    shows="503 UH no_healthy_upstream.",
    prevention="Readiness probes that tell the truth.",
    issues=("higress#2881",),
    fix=(ENDPOINTS, SERVICE),
)
ENDPOINTS_NOT_DELIVERED = Cause(
    code="XA702",
    slug="endpoints-not-delivered",
    severity=Severity.ERROR,
    title="The Service has ready endpoints and the cluster has none",
    meaning="EndpointSlices list ready endpoints, and neither pilot nor the gateway holds one: they were lost on the way.",
    remedy="Look again after a push; restart the controller if it stays. Check that the Service's targetPort names a port of the pods.",
    shows="503 UH though the pods are ready.",
    prevention="Audit after roll-outs.",
    issues=("contour#1523", "istio#23161"),
    fix=(ENDPOINTS, SERVICE, RESTART_CONTROLLER),
)
CLUSTER_ABSENT = Cause(
    code="XA703",
    slug="cluster-absent",
    severity=Severity.ERROR,
    title="The route's cluster does not exist",
    meaning="Pilot makes a cluster only of a Service and port that exist. Requests get 503 cluster_not_found.",
    remedy="Create the Service with that port, or correct the backend of the Ingress.",
    shows="503 NC cluster_not_found.",
    prevention="Apply Services with their Ingresses; xdsaudit check says which are missing.",
    issues=("istio#27650",),
    fix=(
        Command(
            "Create the Service, for pods with the label app={service}",
            "kubectl -n {service_namespace} create service clusterip {service} --tcp={port}:{port}",
        ),
        EDIT,
    ),
)
CLUSTER_WARMING = Cause(
    code="XA704",
    slug="cluster-warming",
    severity=Severity.ERROR,
    title="The cluster is still warming",
    meaning="A new cluster waits for its endpoints before it takes requests; until then they get 503.",
    remedy="Wait for the next push; if it stays, look for the Service's endpoints.",
    shows="503 for the first seconds of a new Service.",
    prevention="xdsaudit wait before sending traffic.",
    issues=("istio#50214",),
    fix=(ENDPOINTS,),
)


Remembered = Callable[[int, tuple[object, ...]], dict[int, object]]


def judge_upstream(
    expectation: Expectation,
    views: tuple[View, ...],
    endpoints: View | None,
    ready: Mapping[tuple[str, str], int] | None,
    now: datetime | None,
    remembered: Remembered,
) -> dict[RuleIndex, Fault]:
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
    found: dict[RuleIndex, Fault] = {}
    asked: dict[Place, frozenset[tuple[str, ...]] | None] = {}
    for number, view in enumerate(views):
        secrets = view.chain_secrets()
        verdicts: dict[tuple[str, ...], Fault | None] = {}
        answering = endpoints.endpoints if endpoints is not None else None
        well = remembered(number, (view.clusters, view.endpoints, answering, ready))
        for place, routes in expectation.tables.items():
            secure = place[0] == expectation.profile.https_port
            held = certificates.why(view, place[1], secrets.get(place[1], ()), now) if secure else None
            if held is None:
                if id(routes) in well:
                    continue
                if place not in asked:
                    asked[place] = _asked(routes)
                names = asked[place]
                if names is not None and all(_cached(verdicts, view, endpoints, n, ready) is None for n in names):
                    well[id(routes)] = routes  # an id is a name only while its object lives
                    continue
            for route in routes:
                problem = held
                if problem is None:
                    certain = "cluster" not in route.uncertain
                    target = _targets(route) if certain else _served(view, place, route)
                    problem = _cached(verdicts, view, endpoints, target, ready)
                if problem is None:
                    continue
                outside = problem.cause is CLUSTER_ABSENT and ".svc." not in problem.evidence
                if outside and not expectation.profile.sees_bridges:
                    why = f"the controller watches the namespace {expectation.profile.watch_namespace} alone and sees no McpBridge"
                    problem = problem._replace(evidence=f"{problem.evidence}; {why}")
                for index in route.rules:
                    found.setdefault(index, problem)
        for gone in well.keys() - {id(routes) for routes in expectation.tables.values()}:
            del well[gone]
    return found


def _asked(routes: Sequence[ExpectedRoute]) -> frozenset[tuple[str, ...]] | None:
    """The clusters that the routes of a place need, as each needs them; None where that of one is uncertain."""
    if any("cluster" in route.uncertain for route in routes):
        return None
    return frozenset(map(_targets, routes))


def _cached(
    verdicts: dict[tuple[str, ...], Fault | None],
    view: View,
    endpoints: View | None,
    names: tuple[str, ...],
    ready: Mapping[tuple[str, str], int] | None,
) -> Fault | None:
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
    return tuple(as_text(c.get("name")) for c in weights_of(route.fields))


def _cluster(view: View, eds: View | None, name: str, ready: Mapping[tuple[str, str], int] | None) -> Fault | None:
    if view.clusters is None:
        return None
    cluster = view.clusters.get(name)
    if cluster is None:
        return Fault(CLUSTER_ABSENT, f"{view.label}: cluster {name} does not exist: requests get 503 NC")
    if cluster.warming:
        return Fault(CLUSTER_WARMING, f"{view.label}: cluster {name} is still warming, waiting for its first endpoints")
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
        return Fault(ENDPOINTS_NOT_DELIVERED if slices else NO_ENDPOINTS, said)
    return None
