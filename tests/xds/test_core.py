"""Core's VirtualServices, read without their parts being taken apart, are what they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xdsaudit.model.route import HeaderMatch, MatchKey
from xdsaudit.xds.core import read_core
from xdsaudit.xds.pool import message

URIS = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(("exact", "prefix", "regex")),
        st.sampled_from(("", "/", "/ü", "/" + "x" * 122, "/" + "x" * 125, "/" + "x" * 300)),
    ),
)


@given(
    st.lists(st.tuples(URIS, st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.sampled_from((0, 80)),
    st.integers(1, 2),
)
def test_routes_of_core_are_as_its_virtual_services_say(matches, port: int, destinations: int) -> None:
    service = message("istio.networking.v1alpha3.VirtualService")(hosts=["h"])
    http = service.http.add(name="r")
    expected = []
    for uri, method, insensitive in matches:
        match = http.match.add(ignore_uri_case=insensitive)
        kind, text = uri or (None, "/")
        if kind:
            setattr(match.uri, kind, text)
        if method:
            match.method.exact = "GET"
        path = {"exact": "path", "regex": "safe_regex"}.get(kind, "prefix")
        headers = (HeaderMatch(":method", "exact", "GET"),) if method else ()
        expected.append(MatchKey(path, text, insensitive and path != "safe_regex", headers))
    for n in range(destinations):
        destination = http.route.add().destination
        destination.host, destination.port.number = f"s{n}", port
    gateway = message("istio.networking.v1alpha3.Gateway")()
    gateway.servers.add(hosts=["h"]).port.number = 80
    answers = []
    for body in (service, gateway):
        resource = message("istio.mcp.v1alpha1.Resource")()
        resource.metadata.name = "default/v"
        resource.body.type_url = f"type.googleapis.com/{body.DESCRIPTOR.full_name}"
        resource.body.value = body.SerializeToString()
        response = message("envoy.service.discovery.v3.DiscoveryResponse")(
            type_url=f"networking.istio.io/v1alpha3/{body.DESCRIPTOR.name}"
        )
        response.resources.add().value = resource.SerializeToString()
        answers.append(response.SerializeToString())
    (table,) = read_core(answers, replica=None).tables.values()
    assert [r.key for r in table.routes] == expected
    cluster = "outbound|80||s0" if port and destinations == 1 else None
    assert {(r.name, r.cluster) for r in table.routes} == {("r", cluster)}
