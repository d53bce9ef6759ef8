"""Routes read without their parts being taken apart are those of a reader that decodes every message in full."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from xdsaudit.envoy.routes import JsonRouteReader
from xdsaudit.model.canonical import fields_of, match_of
from xdsaudit.model.plain import as_mapping
from xdsaudit.model.route import Route
from xdsaudit.xds.plain import to_plain
from xdsaudit.xds.pool import Message, message, pool
from xdsaudit.xds.routes import ProtoRouteReader

TEXTS = st.sampled_from(
    ("", "c", "outbound|80||web.default.svc.cluster.local", "x" * 130, "a\nb", "\x0a\x01c", "ü", '"\x02\x08\x01')
)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "case_sensitive": st.booleans(),
        "headers": st.just([{"name": "x", "string_match": {"exact": "1"}}]),
        "query_parameters": st.just([{"name": "q", "present_match": True}]),
    },
).flatmap(lambda rest: st.sampled_from(("prefix", "path")).flatmap(lambda kind: TEXTS.map(lambda t: {kind: t, **rest})))
ACTIONS = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.just("3s"),
        "retry_policy": st.fixed_dictionaries(
            {"retry_on": TEXTS}
        ),  # the first field of a part that may stand at the end
        "host_rewrite_literal": TEXTS,
        "prefix_rewrite": TEXTS,
    },
).flatmap(
    lambda rest: st.one_of(
        TEXTS.map(lambda cluster: {"cluster": cluster, **rest}),
        st.just(rest),
        st.just({"weighted_clusters": {"clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 2}]}, **rest}),
    )
)
ROUTES = st.fixed_dictionaries(
    {"name": TEXTS, "match": MATCHES},
    optional={
        "route": ACTIONS,
        "metadata": st.just({"filter_metadata": {"istio": {"config": "/apis/x"}}}),
        "request_headers_to_remove": st.just(["x"]),
        "response_headers_to_add": st.just([{"header": {"key": "a", "value": "b"}}]),
    },
).flatmap(
    lambda r: (
        st.just(r)
        if "route" in r
        else st.sampled_from(({"redirect": {"path_redirect": "/n"}}, {"direct_response": {"status": 404}}, {})).map(
            lambda a: {**r, **a}
        )
    )
)


def configuration(routes: list[dict[str, object]]) -> Message:
    plain = {"name": "t", "virtual_hosts": [{"name": "h:80", "domains": ["h"], "routes": routes}]}
    made = message("envoy.config.route.v3.RouteConfiguration")()
    return json_format.ParseDict(plain, made, descriptor_pool=pool())


def in_full(route: Message) -> tuple[object, ...]:
    """Name, key, fields, cluster and digests of a route by decoding all of it."""
    hidden: list[str] = []
    key = match_of(as_mapping(to_plain(route.match, hidden)))
    rest = type(route)()
    rest.CopyFrom(route)
    for part in ("match", "name", "metadata", "decorator"):
        rest.ClearField(part)
    fields, cluster = fields_of(as_mapping(to_plain(rest, hidden)))
    return route.name, key, fields, cluster, tuple(hidden)


def told(route: Route) -> tuple[object, ...]:
    return route.name, route.key, route.fields, route.cluster, route.opaque


def as_go_writes(config: Message) -> bytes:
    """The same message with members of oneofs behind all other fields, as Go's encoder has them."""
    turned = message("xdsaudit.flat.RouteConfiguration").FromString(config.SerializeToString())
    for host in turned.virtual_hosts:
        for route in host.routes:
            route.match = _last(route.match, b"\x0a", b"\x12")
            if route.HasField("route"):
                route.route = _last(route.route, b"\x0a")
    return turned.SerializeToString()


def _last(data: bytes, *tags: bytes) -> bytes:
    """A message whose first field, if it is a text with one of these tags, stands at the end."""
    if data[:1] not in tags or data[1] > 127:
        return data
    end = 2 + data[1]
    return data[end:] + data[:end]


@given(st.lists(ROUTES, max_size=6))
def test_each_route_is_as_it_is_decoded_in_full_however_its_encoder_orders_fields(
    routes: list[dict[str, object]],
) -> None:
    config = configuration(routes)
    expected = [in_full(route) for route in config.virtual_hosts[0].routes]
    for data in (config.SerializeToString(), as_go_writes(config)):
        name, (host,) = ProtoRouteReader().table(data)
        assert (name, host.name, host.domains) == ("t", "h:80", ("h",))
        assert [told(route) for route in host.routes] == expected
        assert [r.source.message().name for r in host.routes if r.source is not None] == [e[0] for e in expected]


@given(st.lists(ROUTES, max_size=4))
def test_pilots_protobuf_and_envoys_json_of_the_same_routes_come_out_alike(routes: list[dict[str, object]]) -> None:
    config = configuration(routes)
    _, (one,) = ProtoRouteReader().table(config.SerializeToString())
    text = json.dumps(
        json_format.MessageToDict(config, preserving_proto_field_name=True, descriptor_pool=pool())
    ).encode()
    _, (other,) = JsonRouteReader().table(text)
    assert [(r.name, r.key, r.fields, r.cluster) for r in one.routes] == [
        (r.name, r.key, r.fields, r.cluster) for r in other.routes
    ]


def test_a_text_at_the_end_of_another_part_is_no_cluster() -> None:
    routes: list[dict[str, object]] = [
        {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "a"}]}}}
    ]
    _, (host,) = ProtoRouteReader().table(configuration(routes).SerializeToString())
    assert host.routes[0].cluster is None
    assert "weighted_clusters" in host.routes[0].fields


@pytest.mark.parametrize("part", ["match", "route"])
def test_a_part_that_is_not_what_it_says_is_refused(part: str) -> None:
    turned = message("xdsaudit.flat.RouteConfiguration").FromString(
        configuration([{"match": {"prefix": "/"}, "route": {}}]).SerializeToString()
    )
    setattr(turned.virtual_hosts[0].routes[0], part, b"\x0a\x7fshort")
    with pytest.raises(DecodeError):
        ProtoRouteReader().table(turned.SerializeToString())
