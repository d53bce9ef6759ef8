"""One model, two readers: what pilot sends and what Envoy dumps of it become the same values."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import NotCaptured, typed
from xdsaudit.envoy.config_dump import read_config_dump
from xdsaudit.envoy.routes import JsonRouteReader
from xdsaudit.errors import ReadError
from xdsaudit.model.canonical import ROUTE, clean, fields_of, known, match_of
from xdsaudit.model.view import ViewName
from xdsaudit.testing.strategies import ingresses
from xdsaudit.xds.plain import duration, to_plain
from xdsaudit.xds.pool import TYPES, message, pool
from xdsaudit.xds.reader import read_pilot
from xdsaudit.xds.routes import ProtoRouteReader


def both(snapshot):
    (pod, capture), (name, pages) = next(iter(snapshot.pilot.items())), next(iter(snapshot.gateway.items()))
    return (
        read_pilot(capture.served, name=ViewName.PILOT, replica=pod),
        read_config_dump(pages["config_dump.json"], replica=name),
    )


@pytest.mark.parametrize(
    "name", ["healthy-scoped", "healthy-flat", "batch-loss", "gateway-warming", "scale-10k.tar.xz"]
)
def test_readers_agree_on_recordings(recording, name: str) -> None:
    pilot, gateway = both(recording(name))
    assert pilot.tables.keys() == gateway.tables.keys()
    for place, table in pilot.tables.items():
        assert [r[:4] for r in table.routes] == [r[:4] for r in gateway.tables[place].routes]
    assert pilot.scopes == gateway.scopes
    assert pilot.clusters == {n: c for n, c in gateway.clusters.items() if n in pilot.clusters}


STRINGS = st.sampled_from(("/", "/a", "x", "a.b", "^ü$", "*", "💥", ""))
ROUTES = st.fixed_dictionaries(
    {
        "match": st.fixed_dictionaries(
            {},
            optional={
                "prefix": STRINGS,
                "case_sensitive": st.booleans(),
                "headers": st.lists(
                    st.fixed_dictionaries(
                        {
                            "name": STRINGS,
                            "string_match": st.dictionaries(st.sampled_from(("exact",)), STRINGS, min_size=1),
                        },
                        optional={"invert_match": st.just(True)},
                    ),
                    max_size=2,
                ),
                "query_parameters": st.lists(
                    st.fixed_dictionaries({"name": STRINGS, "present_match": st.just(True)}), max_size=2
                ),
            },
        ),
        "route": st.fixed_dictionaries(
            {"cluster": st.sampled_from(("outbound|80||web", 'quo"te', "uni\u00e9"))},
            optional={
                "timeout": st.sampled_from(("0s", "1.500s", "3s")),
                "prefix_rewrite": STRINGS,
                "retry_policy": st.fixed_dictionaries({"num_retries": st.integers(0, 5)}),
                "hash_policy": st.lists(st.just({"header": {"header_name": "x"}}), min_size=1, max_size=2),
            },
        ),
    },
    optional={"name": STRINGS, "request_headers_to_remove": st.lists(STRINGS.filter(bool), min_size=1, max_size=2)},
)


@given(st.lists(ROUTES, max_size=4))
def test_readers_agree_on_generated_tables(routes) -> None:
    config = json_format.ParseDict(
        {"name": "http.80", "virtual_hosts": [{"name": "h:80", "domains": ["h"], "routes": routes}]},
        message("envoy.config.route.v3.RouteConfiguration")(),
        descriptor_pool=pool(),
    )
    response = message("envoy.service.discovery.v3.DiscoveryResponse")(type_url=TYPES["RDS"])
    response.resources.add(type_url=TYPES["RDS"], value=config.SerializeToString())
    dumped = json_format.MessageToDict(config, preserving_proto_field_name=True, descriptor_pool=pool())
    section = {
        "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
        "dynamic_route_configs": [{"route_config": dumped}],
    }
    listeners = {
        "@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump",
        "dynamic_listeners": [
            {
                "active_state": {
                    "listener": {
                        "filter_chains": [
                            {
                                "filters": [
                                    {
                                        "typed_config": {
                                            "@type": "x.HttpConnectionManager",
                                            "rds": {"route_config_name": "http.80"},
                                        }
                                    }
                                ]
                            }
                        ]
                    }
                }
            }
        ],
    }
    clusters = {"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump"}
    pilot = read_pilot([response.SerializeToString()], name=ViewName.PILOT, replica="p")
    gateway = read_config_dump(json.dumps({"configs": [section, listeners, clusters]}).encode(), replica="g")
    assert [r[:4] for r in pilot.tables[80, "h"].routes] == [r[:4] for r in gateway.tables[80, "h"].routes]


@given(ROUTES)
def test_canonical_forms_are_fixed_points(route) -> None:
    fields, cluster = fields_of(known(route, ROUTE))
    again, _ = fields_of(
        {
            "route": {**{k: v for k, v in fields.items() if k != "request_headers_to_remove"}},
            **{k: v for k, v in fields.items() if k == "request_headers_to_remove"},
        }
    )
    assert again == fields
    assert clean(clean(route)) == clean(route)
    key = match_of(route["match"])
    turned = {**route["match"]}
    for part in ("headers", "query_parameters"):
        if part in turned:
            turned[part] = list(reversed(turned[part]))
    assert match_of(turned) == key
    assert cluster == route["route"]["cluster"]


@given(
    st.lists(
        ingresses(), min_size=1, max_size=5, unique_by=lambda i: (i["metadata"]["namespace"], i["metadata"]["name"])
    )
)
def test_readers_agree_on_translated_worlds(items) -> None:
    pilot, gateway = both(worlds.world(items))
    assert {p: [r[:4] for r in t.routes] for p, t in pilot.tables.items()} == {
        p: [r[:4] for r in t.routes] for p, t in gateway.tables.items()
    }


def test_unknown_any_and_unknown_fields_are_kept_as_opaque() -> None:
    route = message("envoy.config.route.v3.Route")(name="r")
    route.match.prefix = "/"
    route.route.cluster = "c"
    route.typed_per_filter_config["f"].type_url = "type.googleapis.com/no.such.Filter"
    route.typed_per_filter_config["f"].value = b"\x08\x01"
    config = message("envoy.config.route.v3.RouteConfiguration")(name="http.80")
    vhost = config.virtual_hosts.add(name="h:80", domains=["h"])
    vhost.routes.append(route)
    data = config.SerializeToString()
    response = message("envoy.service.discovery.v3.DiscoveryResponse")(type_url=TYPES["RDS"])
    response.resources.add(type_url=TYPES["RDS"], value=data)
    (found,) = read_pilot([response.SerializeToString()], name=ViewName.PILOT, replica="p").tables[80, "h"].routes
    assert found.fields["typed_per_filter_config"] == {"f": {"@type": "type.googleapis.com/no.such.Filter"}}
    assert found.opaque
    assert found.opaque[0].startswith("type.googleapis.com/no.such.Filter=")


def test_typed_gives_the_whole_route_and_only_from_pilot(recording) -> None:
    pilot, gateway = both(recording("batch-loss"))
    route = next(iter(pilot.tables.values())).routes[3]
    assert typed(route).name == route.name
    with pytest.raises(NotCaptured, match="pilot"):
        typed(next(iter(gateway.tables.values())).routes[3])


def test_blackhole_and_unbound_tables(recording) -> None:
    pilot, _ = both(recording("healthy-scoped"))
    assert pilot.tables[80, "intranet.higress-system"].blackhole
    assert pilot.unbound == frozenset()


@pytest.mark.parametrize("data", [b"\xff\xff", b"", json.dumps({"a": 1}).encode()])
def test_garbage_names_the_response(data: bytes) -> None:
    with pytest.raises(ReadError, match="response 0"):
        read_pilot([data], name=ViewName.PILOT, replica="p")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not Envoy's config dump"),
        (b'{"configs": [{', "not Envoy's config dump"),
        (b'{"items": []}', "configs"),
        (b'{"configs": []}', "no section"),
        (b'{"configs": [{"@type": "x", "dynamic_route_configs": 3}]}', r"\$\.configs\[0\]\.dynamic_route_configs"),
        (b"[" * 100_000, "config_dump"),
    ],
)
def test_foreign_json_names_the_place(data: bytes, said: str) -> None:
    with pytest.raises(ReadError, match=said):
        read_config_dump(data, replica="g")


@pytest.mark.parametrize(
    ("seconds", "nanos", "text"),
    [(45, 0, "45s"), (0, 250_000_000, "0.250s"), (1, 1, "1.000000001s"), (-3, 0, "-3s"), (0, -500_000_000, "-0.500s")],
)
def test_duration(seconds: int, nanos: int, text: str) -> None:
    assert duration(seconds, nanos) == text


def test_to_plain_keeps_presence() -> None:
    action = message("envoy.config.route.v3.RedirectAction")(path_redirect="")
    assert to_plain(action, []) == {"path_redirect": ""}


@pytest.mark.parametrize(
    "condition",
    [
        {"cookies": [{"name": "beta", "string_match": {"exact": "always"}}]},
        {"filter_state": [{"key": "k", "string_match": {"exact": "1"}}]},
    ],
)
def test_conditions_that_are_not_judged_are_part_of_the_key_in_both_readers(condition) -> None:
    plain = {"match": {"prefix": "/", **condition}, "name": "r", "route": {"cluster": "c"}}
    config = json_format.ParseDict(
        {"name": "http.80", "virtual_hosts": [{"name": "h:80", "domains": ["h"], "routes": [plain]}]},
        message("envoy.config.route.v3.RouteConfiguration")(),
        descriptor_pool=pool(),
    )
    _, (host,) = ProtoRouteReader().table(config.SerializeToString())
    _, (other,) = JsonRouteReader().table(
        json.dumps({"virtual_hosts": [{"domains": ["h"], "routes": [plain]}]}).encode()
    )
    assert host.routes[0].key == other.routes[0].key
    assert next(iter(condition)) in host.routes[0].key.other
    assert not host.routes[0].key.catch_all
