"""What annotations ask for beside routes: policies of clusters, DestinationRules, certificates of hosts.

Only what an Ingress asks for is judged; a cluster that no annotation shapes may be anybody's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xdsaudit.ingress.expectation import Expectation, ExpectedRoute, RuleIndex
from xdsaudit.model.facts import CoreFacts
from xdsaudit.model.route import clusters_of_fields
from xdsaudit.model.verdict import FieldDelta
from xdsaudit.model.view import View

Found = Iterator[tuple[tuple[RuleIndex, ...], FieldDelta]]


def beside(view: View, expectation: Expectation) -> Found:
    """Rules and what differs for them in a view."""
    if view.core is not None:
        yield from _destination_rules(view, view.core, expectation)
        yield from _service_entries(view, view.core, expectation)
        yield from _certificates(view, expectation, view.core.credentials)
    else:
        yield from _clusters(view, expectation)
        yield from _certificates(
            view, expectation, {host: secrets[0] for host, secrets in view.chain_secrets().items()}
        )


def _rules_to(expectation: Expectation, cluster: str) -> tuple[RuleIndex, ...]:
    def reaches(route: ExpectedRoute) -> bool:
        return cluster == route.cluster or cluster in clusters_of_fields(route.fields)

    return tuple(
        dict.fromkeys(i for routes in expectation.tables.values() for r in routes if reaches(r) for i in r.rules)
    )


def _delta(view: View, field: str, expected: str | bool | None, actual: str | bool | None) -> FieldDelta:
    return FieldDelta(field, view.name, view.replica, expected, actual)


def _clusters(view: View, expectation: Expectation) -> Found:
    for name, policy in expectation.policies.items():
        cluster = (view.clusters or {}).get(name)
        if cluster is None:
            continue  # an absent cluster has a verdict of its own
        for field in ("lb_policy", "http2", "tls"):
            wanted, actual = getattr(policy, field), getattr(cluster, field)
            if wanted is not None and wanted != actual:
                yield _rules_to(expectation, name), _delta(view, f"cluster.{field}", wanted, actual)


def _destination_rules(view: View, core: CoreFacts, expectation: Expectation) -> Found:
    for name in expectation.policies:
        host = name.rpartition("|")[2]
        if host not in core.destination_rules:
            yield _rules_to(expectation, name), _delta(view, "destination_rule", host, None)


def _service_entries(view: View, core: CoreFacts, expectation: Expectation) -> Found:
    missing = expectation.registered - core.service_entries
    if not missing:
        return
    used = {
        c
        for routes in expectation.tables.values()
        for r in routes
        for c in (r.cluster, *clusters_of_fields(r.fields))
        if c
    }
    for cluster in sorted(used):
        host = cluster.rpartition("|")[2]
        if host in missing:
            yield _rules_to(expectation, cluster), _delta(view, "service_entry", host, None)


def _certificates(view: View, expectation: Expectation, held: Mapping[str, str]) -> Found:
    port = expectation.profile.https_port
    for host, (namespace, name) in expectation.secrets.items():
        actual = held.get(host)
        if actual is not None and not actual.removesuffix("-cacert").endswith(f"/{namespace}/{name}"):
            rules = dict.fromkeys(i for r in expectation.tables.get((port, host), ()) for i in r.rules)
            yield tuple(rules), _delta(view, "tls.secret", f"{namespace}/{name}", actual)
