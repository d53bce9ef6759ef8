"""``explain URL`` judges what concerns the host alone where that is enough: whatever it says then, the whole audit says too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import worlds
from xdsaudit.audit.case import World
from xdsaudit.audit.questions.explain import explain_request
from xdsaudit.audit.questions.of_hosts import judged_for
from xdsaudit.audit.requests.request import Request, parse_request
from xdsaudit.audit.verdicts import judged
from xdsaudit.envoy.config_dump import read_config_dump
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.parts import sharing
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import Audit
from xdsaudit.report.explanation import explanation_object, explanation_text
from xdsaudit.testing import ingress
from xdsaudit.testing.strategies import ingresses

pytestmark = pytest.mark.slow

WHOLLY_TROUBLED = ("controller-crashed", "gateway-warming", "plugins-loaded.tar.xz", "plugins-rejected.tar.xz")
POLICY = ("least_conn", "round_robin")


def told(world: World, audit: Audit, request: Request) -> tuple[object, ...]:
    """All that ``explain URL`` prints."""
    found = explain_request(world, audit, request)
    return explanation_text(found), explanation_object(found), found.exit_code(), audit.gaps


def alike(snapshot: Snapshot, requests: Iterable[Request], whole: tuple[World, Audit] | None = None) -> int:
    """Compare the narrowed answers with the whole's; the number of those that the narrowed look could give."""
    world, audit = whole or judged(snapshot)
    given_ = 0
    for request in requests:
        part = judged_for(snapshot, request, lambda w, a, r=request: explain_request(w, a, r))  # type: ignore[misc]
        if part is not None:
            given_ += 1
            assert told(*part, request) == told(world, audit, request), str(request)
    return given_


def asked(world: World) -> list[Request]:
    """Requests for each host, over both ports: a path of a rule of it, and one of nobody."""
    paths: dict[str, str] = {}
    for plan in world.expectation.plans:
        host = plan.rule.host.replace("*", "any.test" if plan.rule.host == "*" else "x")
        if "(" not in plan.rule.path:
            paths.setdefault(host, plan.rule.path)
    return [
        parse_request(f"{scheme}://{host}{path}", headers=["x-canary: always"])
        for host, own in paths.items()
        for scheme, path in (("http", own), ("https", own), ("http", "/nobody/has/this"))
    ]


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("healthy-scoped", 1),
        ("healthy-flat", 1),
        ("batch-loss", 1),
        ("nack-one-host", 1),
        ("nack-unknown-extension", 1),
        ("gateway-stale", 1),
        ("gateway-warming", 1),
        ("controller-crashed", 1),
        ("random-scoped", 5),
        ("random-merge", 5),
        ("random-2.1", 5),
        ("plugins-loaded.tar.xz", 1),
        ("plugins-rejected.tar.xz", 1),
        ("scale-10k.tar.xz", 300),
    ],
)
def test_recordings_are_explained_the_same_host_by_host(recording: Any, name: str, every: int) -> None:
    snapshot = recording(name)
    whole = judged(snapshot)
    given_ = alike(snapshot, asked(whole[0])[::every], whole)
    assert (given_ > 0) is (name not in WHOLLY_TROUBLED)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Random Ingresses, some with policies, default backends and a second host; tables lost, turned round or strange."""
    items = draw(st.lists(ingresses(), min_size=1, max_size=7, unique_by=lambda i: i["metadata"]["name"]))
    for item in items:
        kind = draw(st.integers(0, 5))
        if kind == 0:
            item["spec"]["defaultBackend"] = {"service": {"name": "web", "port": {"number": 80}}}
        elif kind == 1:
            item["spec"]["rules"] += ingress("x", draw(st.sampled_from(("bar.test", "y.foo.test"))), "/two")["spec"][
                "rules"
            ]
        elif kind == 2:
            item["metadata"].setdefault("annotations", {})["higress.io/load-balance"] = draw(st.sampled_from(POLICY))
    good = dict(worlds.expectation(items).tables)
    views: dict[str, dict[Any, Any]] = {"pilot": dict(good), "gateway": dict(good)}
    for served in views.values():
        for place in sorted(served):
            change = draw(st.integers(0, 9))
            if change == 0:
                del served[place]
            elif change == 1:
                served[place] = tuple(reversed(served[place]))
            elif change == 2:
                served[place] = served[place][1:]
    return worlds.world(items, pilot=views["pilot"], gateway=views["gateway"])


@given(snapshots())
@settings(max_examples=80)
def test_random_worlds_are_explained_the_same_host_by_host(snapshot: Snapshot) -> None:
    whole = judged(snapshot)
    alike(snapshot, asked(whole[0]), whole)


def test_a_lost_rule_and_a_request_of_nobody_need_the_whole() -> None:
    items = [ingress("a", "a.test", "/a"), ingress("b", "b.test", "/b")]
    good = dict(worlds.expectation(items).tables)
    snapshot = worlds.world(items, gateway={p: t for p, t in good.items() if p[1] != "b.test"})
    for url, enough in (("http://a.test/a", True), ("http://b.test/b", False), ("http://c.test/", False)):
        request = parse_request(url)
        assert (judged_for(snapshot, request, lambda w, a, r=request: explain_request(w, a, r)) is not None) is enough  # type: ignore[misc]


def test_routes_of_other_hosts_are_not_decoded() -> None:
    items = [ingress("a", "a.test", "/a"), ingress("b", "b.test", "/b"), ingress("c", "*.test", "/c")]
    snapshot = worlds.world(items)
    dump = snapshot.gateway["gateway-0"]["config_dump.json"]
    view = read_config_dump(dump, replica=None, hosts=sharing(read_objects(snapshot.kube)[0].ingresses, ["a.test"]))
    assert {host for (_, host), table in view.tables.items() if table.routes} == {"a.test", "*.test"}
    assert "b.test" in {host for _, host in view.tables}


def test_hosts_that_share_an_ingress_belong_together() -> None:
    two = ingress("two", "a.test", "/a")
    two["spec"]["rules"] += ingress("x", "b.c.test", "/b")["spec"]["rules"]
    objects, _ = read_objects(worlds.world([two, ingress("b", "b.test", "/b")]).kube)
    assert sharing(objects.ingresses, ["a.test"]) == {"a.test", "*.test", "*", "b.c.test", "*.c.test"}
