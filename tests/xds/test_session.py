"""The ADS session against the xDS protocol: examples, and a state machine that plays any server."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests import worlds
from xdsaudit.testing import ingress
from xdsaudit.xds.pool import TYPES, message
from xdsaudit.xds.reader import fold
from xdsaudit.xds.session import AdsSession, Node

HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def response(short: str, *resources: bytes, version: str = "1", nonce: str = "n1") -> bytes:
    found = message("envoy.service.discovery.v3.DiscoveryResponse")(
        version_info=version, nonce=nonce, type_url=TYPES[short]
    )
    for data in resources:
        found.resources.add(type_url=TYPES[short], value=data)
    return found.SerializeToString()


def request(data: bytes):
    return message("envoy.service.discovery.v3.DiscoveryRequest").FromString(data)


def listener(*tables: str, scoped: bool = False) -> bytes:
    found = message("envoy.config.listener.v3.Listener")(name="l")
    for table in tables:
        manager = message(HCM)()
        manager.rds.route_config_name = table
        _chain(found, manager)
    if scoped:
        manager = message(HCM)()
        manager.scoped_routes.name = "s"
        _chain(found, manager)
    return found.SerializeToString()


def _chain(found, manager) -> None:
    config = found.filter_chains.add().filters.add().typed_config
    config.type_url, config.value = f"type.googleapis.com/{HCM}", manager.SerializeToString()


def scope(table: str) -> bytes:
    return message("envoy.config.route.v3.ScopedRouteConfiguration")(
        name=table, route_configuration_name=table
    ).SerializeToString()


def cluster(name: str) -> bytes:
    return message("envoy.config.cluster.v3.Cluster")(name=name, type=3).SerializeToString()


def test_the_node_is_said_once_and_carries_the_gateways_identity() -> None:
    session = AdsSession(Node(istio_version="1.19.5-x", labels={"higress": "mine"}))
    first, second = map(request, session.start())
    assert first.node.id == "router~127.0.0.1~xdsaudit.higress-system~higress-system.svc.cluster.local"
    assert first.node.metadata["ISTIO_VERSION"] == "1.19.5-x"
    assert first.node.metadata["LABELS"]["higress"] == "mine"
    assert not second.HasField("node")
    assert {first.type_url, second.type_url} == {TYPES["CDS"], TYPES["LDS"]}
    assert not first.resource_names


def test_ack_repeats_version_and_nonce() -> None:
    session = AdsSession(Node())
    session.start()
    (ack,) = map(request, session.receive(response("LDS", listener(), version="7", nonce="abc")))
    assert (ack.version_info, ack.response_nonce, ack.type_url) == ("7", "abc", TYPES["LDS"])
    assert not ack.HasField("error_detail")


def test_nack_keeps_the_last_good_version() -> None:
    session = AdsSession(Node())
    session.start()
    session.receive(response("LDS", listener(), version="1", nonce="a"))
    (nack,) = map(request, session.receive(response("LDS", b"\x0a\xff", version="2", nonce="b")))
    assert (nack.version_info, nack.response_nonce) == ("1", "b")
    assert "Listener" in nack.error_detail.message
    assert list(session.refused) == ["LDS"]
    assert len(session.responses) == 1


def test_subscriptions_follow_from_content() -> None:
    session = AdsSession(Node())
    session.start()
    _, srds, rds = map(request, session.receive(response("LDS", listener("http.80", scoped=True))))
    assert (srds.type_url, list(srds.resource_names)) == (TYPES["SRDS"], [])
    assert (rds.type_url, list(rds.resource_names)) == (TYPES["RDS"], ["http.80"])
    _, more = map(request, session.receive(response("SRDS", scope("r1"), scope("r2"))))
    assert (more.type_url, list(more.resource_names)) == (TYPES["RDS"], ["http.80", "r1", "r2"])
    _, eds = map(request, session.receive(response("CDS", cluster("c1"))))
    assert (eds.type_url, list(eds.resource_names)) == (TYPES["EDS"], ["c1"])
    assert not session.settled
    assert set(session.waiting) == {"RDS", "EDS"}
    session.receive(response("RDS"))
    session.receive(response("EDS"))
    assert session.settled


def test_settled_when_nothing_is_served() -> None:
    session = AdsSession(Node())
    session.start()
    session.receive(response("CDS"))
    session.receive(response("LDS"))
    assert session.settled  # an empty list of names would mean the wildcard: nothing more is asked for


def test_shrinking_names_resubscribes_without_waiting() -> None:
    session = AdsSession(Node())
    session.start()
    session.receive(response("CDS"))
    session.receive(response("LDS", listener("a", "b")))
    session.receive(response("RDS", nonce="r"))
    _, smaller = map(request, session.receive(response("LDS", listener("a"), nonce="n2")))
    assert (list(smaller.resource_names), smaller.response_nonce) == (["a"], "r")
    assert session.settled


def test_resumed_keeps_names_and_versions_and_forgets_nonces() -> None:
    session = AdsSession(Node())
    session.start()
    session.receive(response("LDS", listener("a"), version="5", nonce="x"))
    again = session.resumed()
    found = {request(r).type_url: request(r) for r in again.restart()}
    assert found[TYPES["LDS"]].version_info == "5"
    assert {r.response_nonce for r in found.values()} == {""}
    assert list(found[TYPES["RDS"]].resource_names) == ["a"]
    assert not again.settled
    assert sum(r.HasField("node") for r in found.values()) == 1


def test_answers_nobody_asked_for_are_not_acknowledged() -> None:
    session = AdsSession(Node())
    session.start()
    assert session.receive(response("RDS")) == []


def test_a_whole_world_settles() -> None:
    session = AdsSession(Node())
    session.start()
    for data in worlds.responses(worlds.expectation([ingress("a", "foo.test")]).tables):
        session.receive(data)
    assert session.settled


class Server(RuleBasedStateMachine):
    """Answers in any order, with good and bad resources; the session must keep to the protocol."""

    @initialize()
    def connect(self) -> None:
        self.session = AdsSession(Node())
        self.asked: dict[str, tuple[str, ...]] = {}
        self.sent: dict[str, str] = {}
        self.accepted: dict[str, str] = {}
        self.count = 0
        self.take(self.session.start())

    def take(self, requests: list[bytes]) -> None:
        for data in requests:
            found = request(data)
            short = next(s for s, u in TYPES.items() if u == found.type_url)
            assert found.response_nonce in ("", self.sent.get(short, "")), (
                "answers only what it received, and the newest"
            )
            assert found.version_info == self.accepted.get(short, ""), "never forgets the last accepted version"
            assert list(found.resource_names) == sorted(set(found.resource_names))
            self.asked[short] = tuple(found.resource_names)

    def answer(self, short: str, resources: list[bytes], good: bool) -> None:
        self.count += 1
        nonce, version = f"n{self.count}", f"v{self.count}"
        self.sent[short] = nonce
        if good:
            self.accepted[short] = version
        requests = self.session.receive(response(short, *resources, version=version, nonce=nonce))
        first = request(requests[0])
        assert (first.response_nonce, first.type_url) == (nonce, TYPES[short])
        assert first.HasField("error_detail") is not good
        self.take(requests)

    @rule(names=st.sets(st.sampled_from("abc")), scoped=st.booleans())
    def listeners(self, names: set[str], scoped: bool) -> None:
        self.answer("LDS", [listener(*sorted(names), scoped=scoped)], True)
        self.listed = names

    @rule(names=st.sets(st.sampled_from("xyz")))
    def clusters(self, names: set[str]) -> None:
        self.answer("CDS", [cluster(n) for n in sorted(names)], True)

    @precondition(lambda self: "SRDS" in self.asked)
    @rule(names=st.sets(st.sampled_from("pqr")))
    def scopes(self, names: set[str]) -> None:
        self.answer("SRDS", [scope(n) for n in sorted(names)], True)

    @rule(data=st.data())
    def named(self, data: st.DataObject) -> None:
        open_ = [s for s in ("RDS", "EDS") if s in self.asked]
        if open_:
            self.answer(data.draw(st.sampled_from(open_)), [], True)

    @rule(data=st.data())
    def broken(self, data: st.DataObject) -> None:
        self.answer(data.draw(st.sampled_from(sorted(self.asked))), [b"\x0a\xff"], False)

    @rule()
    def reconnect(self) -> None:
        self.session = self.session.resumed()
        self.sent = {}
        self.take(self.session.restart())

    @invariant()
    def waits_only_for_what_it_asked(self) -> None:
        if hasattr(self, "asked"):
            assert set(self.session.waiting) <= set(self.asked)
            assert self.session.settled == (not self.session.waiting)


TestServer = Server.TestCase


def test_a_pruned_session_says_the_same(recording) -> None:
    """Dropping what later responses replace changes no resource, and leaves no more than one response per resource."""
    capture = next(iter(recording("batch-loss").pilot.values()))
    session = AdsSession(Node())
    session.start()
    for _ in range(5):
        for response in (*capture.served, *(capture.fresh or ())):
            session.receive(response)
    whole = {k: sorted(v) for k, v in fold(session.responses).items()}
    tables = fold(session.responses)["RDS"]
    before = len(session.responses)
    session.prune()
    assert len(session.responses) < before
    assert {k: sorted(v) for k, v in fold(session.responses).items()} == whole
    assert fold(session.responses)["RDS"] == tables
    once = session.responses
    session.prune()
    assert session.responses == once
