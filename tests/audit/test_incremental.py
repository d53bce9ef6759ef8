"""The law of the memory: an audit that pays for what changed says what one from scratch says, in every field."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests import worlds
from xdsaudit import audit
from xdsaudit.audit.memory import Memory
from xdsaudit.audit.unchanged import Held, turns
from xdsaudit.audit.verdicts import judged
from xdsaudit.model.route import Place
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.model.view import Certificate, ViewName
from xdsaudit.testing import ingress, ingress_list, service

HOSTS = ("foo.test", "bar.test", "*.test", None)
NAMES = ("a", "b", "c", "d")
PATHS = ("/", "/x", "/x/y", "/x/../z")
ANNOTATIONS: tuple[dict[str, str], ...] = (
    {},
    {"higress.io/rewrite-target": "/new"},
    {"higress.io/timeout": "7"},
    {"higress.io/canary": "true", "higress.io/canary-weight": "20"},
    {"higress.io/exact-match-header-x": "1"},
    {"higress.io/load-balance": "least_conn"},
    {"higress.io/upstream-hash-by": "$request_uri"},
    {"higress.io/upstream-hash-by": "$host"},
    {"higress.io/ssl-redirect": "true"},
    {"kubernetes.io/ingress.class": "other"},
    {"nginx.ingress.kubernetes.io/auth-url": "http://auth.test"},
    {"nginx.ingress.kubernetes.io/auth-url": "http://auth.test", "xdsaudit.io/ignore": "XA212"},
)
BEGIN = datetime(2026, 11, 24, tzinfo=UTC)


class Changing(RuleBasedStateMachine):
    """A cluster in which anything changes: Ingresses, Services, what pilot and gateways serve, the time."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.items: dict[str, dict[str, Any]] = {}
        self.services = [service("web"), service("api")]
        self.served: dict[str, dict[Place, Any]] = {"pilot": {}, "gateway": {}, "fresh": {}}
        self.now = BEGIN
        self.grace = 0.0
        self.gateways = 1
        self.without_clusters = False

    def expected(self) -> dict[Place, Any]:
        return dict(worlds.expectation(self.items.values()).tables)

    @initialize()
    def begin(self) -> None:
        self.change("a", "foo.test", ["/"], {}, "web", None)
        self.sync(["pilot", "gateway", "fresh"])

    @rule(
        name=st.sampled_from(NAMES),
        host=st.sampled_from(HOSTS),
        paths=st.lists(st.sampled_from(PATHS), min_size=1, max_size=2),
        annotations=st.sampled_from(ANNOTATIONS),
        backend=st.sampled_from(("web", "api", "absent")),
        tls=st.sampled_from((None, "cert")),
    )
    def change(
        self, name: str, host: str | None, paths: list[str], annotations: dict[str, str], backend: str, tls: str | None
    ) -> None:
        port = "http" if backend == "api" else 80
        item = ingress(name, host, *paths, annotations=annotations, service=backend, port=port, tls=tls)
        item["metadata"]["creationTimestamp"] = (self.now - timedelta(seconds=5)).isoformat()
        self.items[name] = item

    @rule(name=st.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        self.items.pop(name, None)

    @rule(name=st.sampled_from(NAMES), host=st.sampled_from(HOSTS[:2]), other=st.sampled_from(HOSTS[:2]))
    def span_two_hosts(self, name: str, host: str, other: str) -> None:
        item = ingress(name, host, "/two")
        item["spec"]["rules"] += ingress(name, other, "/three")["spec"]["rules"]
        self.items[name] = item

    @rule(name=st.sampled_from(NAMES))
    def default_backend(self, name: str) -> None:
        item = ingress(name, "foo.test", "/x")
        item["spec"]["defaultBackend"] = {"service": {"name": "web", "port": {"number": 80}}}
        self.items[name] = item

    @rule(which=st.lists(st.sampled_from(("pilot", "gateway", "fresh")), min_size=1, unique=True))
    def sync(self, which: list[str]) -> None:
        for name in which:
            self.served[name] = self.expected()

    @rule(which=st.sampled_from(("pilot", "gateway")), data=st.data())
    def lose_a_table(self, which: str, data: st.DataObject) -> None:
        if self.served[which]:
            self.served[which].pop(data.draw(st.sampled_from(sorted(self.served[which]))))

    @rule(which=st.sampled_from(("pilot", "gateway")), data=st.data())
    def turn_a_table_round(self, which: str, data: st.DataObject) -> None:
        if self.served[which]:
            place = data.draw(st.sampled_from(sorted(self.served[which])))
            self.served[which][place] = tuple(reversed(self.served[which][place]))

    @rule(names=st.sets(st.sampled_from(("web", "api"))), port=st.sampled_from((80, 8080)))
    def services_change(self, names: set[str], port: int) -> None:
        self.services = [service(n, ("http", port)) for n in sorted(names)]

    @rule(gateways=st.integers(0, 2))
    def gateways_come_and_go(self, gateways: int) -> None:
        self.gateways = gateways

    @rule()
    def clusters_come_and_go(self) -> None:
        self.without_clusters = not self.without_clusters

    def dump(self) -> dict[str, bytes]:
        found = json.loads(worlds.config_dump(self.served["gateway"]))
        for section in found["configs"] if self.without_clusters else ():
            section.pop("dynamic_active_clusters", None)
        return {"config_dump.json": json.dumps(found).encode()}

    @rule(seconds=st.sampled_from((0, 1, 4, 30)))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(grace=st.sampled_from((0.0, 15.0)))
    def judge_otherwise(self, grace: float) -> None:
        self.grace = grace

    @invariant()
    def as_from_scratch(self) -> None:
        snapshot = replace(
            worlds.world([], pilot={}, gateway={}),
            gateway={f"gateway-{n}": self.dump() for n in range(self.gateways)},
            captured_at=self.now.isoformat(),
            grace=self.grace,
            kube={
                "ingresses": ingress_list(self.items.values()),
                "services": ingress_list(self.services, "Service"),
            },
            pilot={
                "pilot-0": PilotCapture(worlds.responses(self.served["pilot"]), worlds.responses(self.served["fresh"]))
            },
        )
        assert audit(snapshot, memory=self.memory) == audit(snapshot)
        assert audit(snapshot, memory=self.memory) == audit(snapshot)  # nothing changed


Changing.TestCase.settings = settings(max_examples=100, stateful_step_count=15, deadline=None)
TestChanging = Changing.TestCase


def young(seconds: int) -> Any:
    """A rule of 00:00:00 that no gateway serves, looked at so many seconds later."""
    item = ingress("a", "foo.test", "/")
    item["metadata"]["creationTimestamp"] = BEGIN.isoformat()
    now = (BEGIN + timedelta(seconds=seconds)).isoformat()
    return worlds.world([item], gateway={}, captured_at=now, grace=15.0)


def test_a_young_rule_grows_old_though_nothing_else_changes() -> None:
    memory = Memory()
    found = [audit(young(s), memory=memory).rules[0].verdict.value for s in (5, 10, 16, 20)]
    assert found == ["pending", "pending", "lost", "lost"]


def test_an_audit_ends_when_a_certificate_begins_or_ends() -> None:
    world, result = judged(young(5))
    held = Held(world, result, (BEGIN + timedelta(seconds=10),))
    assert held.now(young(9)) is not None
    assert held.now(young(10)) is None
    assert held.now(young(11)) is None
    assert held.now(young(4)) is None, "a clock that goes back"


def test_an_audit_that_holds_says_the_new_time() -> None:
    memory = Memory()
    audit(young(20), memory=memory)
    again = audit(young(30), memory=memory)
    assert again == audit(young(30))
    assert again.captured_at == young(30).captured_at


def test_certificates_turn_audits(recording: Any) -> None:
    world, _ = judged(recording("healthy-scoped"))
    gateway = world.read(ViewName.GATEWAY)[0]
    certified = replace(gateway.view, certificates={"c": Certificate((), BEGIN.isoformat(), "2027-01-01T00:00:00Z")})
    world.judgements[ViewName.GATEWAY] = [replace(gateway, view=certified)]
    assert turns(world, ()) == (BEGIN, datetime(2027, 1, 1, tzinfo=UTC))


def test_a_service_that_changes_its_ports_changes_the_rules_that_name_one() -> None:
    memory = Memory()
    items = ingress_list([ingress("a", "foo.test", "/", port="http")])
    found = []
    for port in (80, 8080, 80):
        services = ingress_list([service("web", ("http", port))], "Service")
        snapshot = replace(young(60), kube={"ingresses": items, "services": services})
        found.append(audit(snapshot, memory=memory))
        assert found[-1] == audit(snapshot)
        world, _ = judged(snapshot, memory=memory)
        (route,) = world.expectation.tables[80, "foo.test"][:1]
        assert route.cluster == f"outbound|{port}||web.default.svc.cluster.local"
