"""Places of routes: by scope, and where nothing is scoped by the listeners that name a table."""

from __future__ import annotations

from xdsaudit.model.assemble import RouteScope, VirtualHost, assemble, scope_of
from xdsaudit.model.route import Route, simple_key
from xdsaudit.model.view import FilterChain, Listener

ONE = (Route(simple_key("prefix", "/"), "one", {}, "cluster"),)
TWO = (Route(simple_key("path", "/two"), "two", {}, "cluster"),)


def listener(port: int, *tables: str) -> Listener:
    return Listener("l", port, "active", tuple(FilterChain((), name, False, (), False) for name in tables))


def test_a_table_belongs_to_the_listeners_that_name_it_at_the_port_of_its_name() -> None:
    tables = {
        "http.80": (VirtualHost("a", ("a.test", "b.test:80"), ONE),),
        "http.8080": (VirtualHost("b", ("*",), TWO),),
    }
    places, scopes, unbound = assemble(tables, None, [listener(31080, "http.80"), listener(9000, "odd")])
    assert {place: table.routes for place, table in places.items()} == {(80, "a.test"): ONE, (80, "b.test"): ONE}
    assert scopes is None
    assert unbound == {"odd"}  # a listener asks for it, and nobody has it


def test_a_table_without_a_port_in_its_name_is_of_its_listeners_port() -> None:
    places, _, _ = assemble({"odd": (VirtualHost("a", ("a.test",), ONE),)}, None, [listener(9000, "odd")])
    assert list(places) == [(9000, "a.test")]


def test_without_listeners_the_names_of_tables_tell_the_port() -> None:
    hosts = (VirtualHost("a", ("a.test",), ONE),)
    places, _, unbound = assemble({"https.443.a": hosts, "http.80": hosts, "odd": hosts}, None, None)
    assert sorted(places) == [(80, "a.test"), (443, "a.test")]
    assert unbound == frozenset()


def test_a_blackhole_of_a_table_that_is_not_scoped_is_no_place() -> None:
    hosts = (VirtualHost("blackhole:80", ("*",), ()), VirtualHost("a", ("a.test",), ONE))
    places, _, _ = assemble({"http.80": hosts}, None, [listener(80, "http.80")])
    assert list(places) == [(80, "a.test")]


def scoped(*hosts: VirtualHost) -> object:
    places, by_scope, unbound = assemble({"t": hosts}, [RouteScope((80, "a.test"), "t")], None)
    assert by_scope == {(80, "a.test"): "t"}
    assert unbound == frozenset()
    table = places.get((80, "a.test"))
    return None if table is None else (table.routes, table.blackhole)


def test_a_scope_is_answered_by_its_own_host_or_by_the_wildcard_behind_it() -> None:
    own, every = VirtualHost("a", ("a.test",), ONE), VirtualHost("every", ("*",), TWO)
    assert scoped(every, own) == (ONE, False)
    assert scoped(every) == (TWO, False)
    assert scoped(VirtualHost("b", ("b.test",), ONE)) is None  # the table is there, and nothing in it is this host's


def test_a_scope_without_any_host_and_one_with_a_blackhole_answer_nothing() -> None:
    assert scoped() == ((), True)
    assert scoped(VirtualHost("blackhole:80", ("*",), ())) == ((), True)


def test_a_scope_leads_to_a_table_that_is_not_there_or_to_no_place() -> None:
    places, by_scope, unbound = assemble({}, [RouteScope((80, "a.test"), "gone"), RouteScope(None, "t")], None)
    assert (places, by_scope, unbound) == ({}, {(80, "a.test"): "gone"}, {"gone"})


def test_a_scopes_key_counts_and_its_name_where_the_key_is_not_higresss() -> None:
    assert scope_of("x", ("80", "a.test"), "t").place == (80, "a.test")
    assert scope_of("80.a.test", ("somebody", "elses", "key"), "t").place == (80, "a.test")
    assert scope_of("other", ("http", "a.test"), "t").place is None
