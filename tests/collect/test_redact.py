"""No planted credential in any byte of a capture, and a redacted snapshot says what it said before."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests import worlds
from xdsaudit import Snapshot, audit, load, redact, render, save
from xdsaudit.collect.redact.literals import Literals
from xdsaudit.collect.redact.messages import _clean
from xdsaudit.collect.snapshot import to_files
from xdsaudit.model.verdict import Verdict
from xdsaudit.model.view import State, ViewInfo, ViewName
from xdsaudit.report import FORMATS
from xdsaudit.testing import ingress
from xdsaudit.xds.pool import TYPES, message, resource_class

pytestmark = pytest.mark.slow

Plant = Callable[[Snapshot], Snapshot]
RECORDINGS = Path(__file__).parents[1] / "recordings"
SECRET = "pl4nted-cr3dential"
X_TOKENS = {"x-token-a": SECRET, "x-token-b": SECRET, "Authorization": SECRET}


def header(name: str, value: str) -> Any:
    return message("envoy.config.core.v3.HeaderValue")(key=name, value=value)


def text(value: str) -> Any:
    return message("google.protobuf.Value")(string_value=value)


def _in_service(resource: Any, edit: Callable[[Any], object]) -> None:
    service = message("istio.networking.v1alpha3.VirtualService").FromString(resource.body.value)
    edit(service)
    resource.body.value = service.SerializeToString()


H = "higress.io/"
SECRETS = st.from_regex(r"s3cr3t-[a-z0-9]{12}", fullmatch=True)
HEADERS = st.sampled_from(("Authorization", "cookie", "x-api-key", "X-Auth-Token", "client-secret"))


def planted(secret: str, header: str):
    notes = {
        H + "request-header-control-add": f"{header} {secret}\nx-plain fine",
        H + "exact-match-header-" + header: secret,
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"x": secret}),
    }
    items = [ingress("a", "foo.test", "/a", annotations=notes)]
    snapshot = worlds.world(items)
    https = yaml.safe_dump({"acmeIssuer": [{"ak": secret, "sk": secret, "email": secret, "name": "le"}]})
    maps = [
        {
            "kind": "ConfigMap",
            "metadata": {"name": "higress-https", "namespace": "higress-system"},
            "data": {"cert": https},
        },
        {"kind": "ConfigMap", "metadata": {"name": "app", "namespace": "default"}, "data": {"password": secret}},
    ]
    listed = [{"kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "data": {"tls.key": secret}}]
    dump = json.loads(snapshot.gateway["gateway-0"]["config_dump.json"])
    dump["configs"].insert(
        0, {"@type": "x.BootstrapConfigDump", "bootstrap": {"node": {"id": "router~n"}, "admin": {"password": secret}}}
    )
    manager = dump["configs"][2]["dynamic_listeners"][0]["active_state"]["listener"]["filter_chains"][0]["filters"][0]
    wasm = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"configuration": {"value": secret}},
    }
    manager["typed_config"]["http_filters"] = [{"name": "w", "typed_config": wasm}]
    return replace(
        snapshot,
        kube={
            **snapshot.kube,
            "configmaps": json.dumps({"kind": "List", "items": maps}).encode(),
            "secrets": json.dumps({"kind": "List", "items": listed}).encode(),
        },
        gateway={"gateway-0": {**snapshot.gateway["gateway-0"], "config_dump.json": json.dumps(dump).encode()}},
    )


@given(SECRETS, HEADERS)
def test_no_planted_credential_is_left(secret: str, header: str) -> None:
    snapshot = planted(secret, header)
    assert secret.encode() in b"".join(to_files(snapshot).values())
    clean = redact(snapshot)
    assert secret.encode() not in b"".join(to_files(clean).values())
    result = audit(clean)
    assert [r.verdict for r in result.rules] == [Verdict.IN_SYNC]
    assert result.extra == ()


def test_each_capture_has_a_key_of_its_own() -> None:
    snapshot = planted("s3cr3t-abcdefabcdef", "cookie")
    assert to_files(redact(snapshot)) != to_files(redact(snapshot))
    assert redact(snapshot, b"k") == redact(snapshot, b"k")
    once = redact(snapshot, b"k")
    assert redact(once, b"other").pilot == once.pilot  # nothing is hidden twice


@pytest.mark.parametrize("name", sorted(p.name for p in RECORDINGS.iterdir() if p.is_dir()))
def test_an_audit_of_a_redacted_recording_is_the_same_in_every_field(recording, name: str) -> None:
    before = recording(name)
    after = redact(before)
    assert audit(after) == audit(before)
    assert redact(after, b"another key") == after  # nothing is hidden twice, and nothing more is dropped


SENSITIVE = (
    "Authorization",
    "cookie",
    "x-api-key",
    "X-Auth-Token",
    "X-Access-Key",
    "X-Amz-Credential",
    "X-Passwd",
    "x-auth",
)
NAMES = st.sampled_from((*SENSITIVE, "x-team", "x-ver"))
VALUES = st.sampled_from(
    ("v", "Bearer abcdefgh", "always", "secret-value-1", "a(", "[0-9]+", "x|y", "pa$$word", "*", "a b")
)


@st.composite
def annotations(draw: st.DrawFn) -> dict[str, str]:
    """Annotations of every kind that carries names and values of headers and query parameters."""
    name, value, other = draw(NAMES), draw(VALUES), draw(VALUES)
    blank = draw(st.sampled_from((" ", "\t", "  ", " \t ")))
    quote = draw(st.sampled_from(("", '"', "'")))
    op = draw(st.sampled_from(("exact", "prefix", "regex")))
    return draw(
        st.sampled_from(
            (
                {H + "request-header-control-add": f"{name}{blank}{quote}{value}{quote}\nx-copy {value}"},
                {H + "response-header-control-update": f"{quote}{name}{quote}{blank}{value}\n\nx {other}"},
                {H + f"{op}-match-header-{name}": value},
                {H + f"{op}-match-query-{name}": value},
                {H + f"{op}-match-pseudo-header-authority": value},
                {H + f"exact-match-header-{name}": value, H + "request-header-control-add": f"x-team {value}"},
                {H + "permanent-redirect": f"https://user:{draw(st.sampled_from(('pw', 'p%40w')))}@else.test/x"},
                {H + "canary": "true", H + "canary-by-header": name},
                {H + "canary": "true", H + "canary-by-header": name, H + "canary-by-header-value": value},
                {H + "canary": "true", H + "canary-by-header": name, H + "canary-by-header-pattern": value},
                {H + "canary": "true", H + "canary-by-cookie": "beta"},
                {H + "rewrite-target": "/$1", H + "no-such-key": value},
            )
        )
    )


@given(st.lists(annotations(), min_size=1, max_size=5))
def test_an_audit_of_a_redacted_world_is_the_same(notes: list[dict[str, str]]) -> None:
    items = [ingress("base", "foo.test", "/a")]
    items += [ingress(f"i{n}", "foo.test", "/a", annotations=each) for n, each in enumerate(notes)]
    snapshot = worlds.world(items)
    lost = replace(snapshot, gateway=worlds.world(items[:1]).gateway)
    for each in (snapshot, lost):
        clean = redact(each)
        assert audit(clean) == audit(each)
        assert redact(clean, b"another key") == clean


# --- plantings --------------------------------------------------------------------------------------------------------
def _edited(data: bytes, edit: Callable[[Any], object]) -> bytes:
    found = json.loads(data)
    edit(found)
    return json.dumps(found).encode()


def _kube(plural: str, edit: Callable[[dict[str, Any]], object]) -> Plant:
    return lambda s: replace(s, kube={**s.kube, plural: _edited(s.kube[plural], lambda f: edit(f["items"][0]))})


def _note(key: str, value: str) -> Plant:
    return _kube("ingresses", lambda i: i["metadata"].setdefault("annotations", {}).update({key: value}))


def _page(name: str, edit: Callable[[Any], object]) -> Plant:
    return lambda s: replace(s, gateway={pod: {**p, name: _edited(p[name], edit)} for pod, p in s.gateway.items()})


def _section(kind: str, edit: Callable[[dict[str, Any]], object]) -> Plant:
    return _page("config_dump.json", lambda d: edit(next(c for c in d["configs"] if c["@type"].endswith("." + kind))))


def _response(short: str, edit: Callable[[Any], object], *, unknown: bool = False) -> Plant:
    """Change the first resource of that type, or append an unknown field to it."""

    def changed(data: bytes) -> bytes:
        response = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
        if response.type_url != TYPES[short] or not response.resources:
            return data
        if unknown:
            response.resources[0].value += b"\xfa\x7d" + bytes([len(SECRET)]) + SECRET.encode()
        else:
            inner = resource_class(short).FromString(response.resources[0].value)
            edit(inner)
            response.resources[0].value = inner.SerializeToString()
        return response.SerializeToString()

    return lambda s: replace(
        s, pilot={pod: replace(c, served=tuple(map(changed, c.served))) for pod, c in s.pilot.items()}
    )


def _core(kind: str, edit: Callable[[Any], object]) -> Plant:
    def changed(data: bytes) -> bytes:
        response = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
        if response.type_url.rpartition("/")[2] != kind or not response.resources:
            return data
        resource = message("istio.mcp.v1alpha1.Resource").FromString(response.resources[0].value)
        edit(resource)
        response.resources[0].value = resource.SerializeToString()
        return response.SerializeToString()

    return lambda s: replace(s, core={pod: tuple(map(changed, answers)) for pod, answers in s.core.items()})


def _with_list(plural: str, item: dict[str, Any]) -> Plant:
    data = json.dumps({"kind": "List", "items": [item]}).encode()
    return lambda s: replace(s, kube={**s.kube, plural: data})


def _route(config: Any) -> Any:
    return config.virtual_hosts[0].routes[0]


def _json_route(section: dict[str, Any]) -> dict[str, Any]:
    return section["dynamic_route_configs"][0]["route_config"]["virtual_hosts"][0]["routes"][0]


def _named(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "higress-system"}, **more}


PLANTS: dict[str, Plant] = {
    "header-control": _note(H + "request-header-control-add", f"Authorization\t{SECRET}"),
    "header-control quoted": _note(H + "response-header-control-update", f"X-Access-Key '{SECRET}'"),
    "the same value under a plain name": _note(H + "request-header-control-add", f"x-token {SECRET}\nx-plain {SECRET}"),
    "match header": _note(H + "exact-match-header-x-api-key", SECRET),
    "match query": _note(H + "prefix-match-query-access_token", SECRET),
    "unknown key": _note(H + "no-such", SECRET),
    "nginx snippet": _note("nginx.ingress.kubernetes.io/configuration-snippet", SECRET),
    "nginx auth-url": _note("nginx.ingress.kubernetes.io/auth-url", f"https://u:{SECRET}@auth.test"),
    "foreign annotation": _note("example.test/key", SECRET),
    "last applied": _note("kubectl.kubernetes.io/last-applied-configuration", json.dumps({"x": SECRET})),
    "redirect userinfo": _note(H + "permanent-redirect", f"https://u:{SECRET}@else.test/"),
    "ingress status": _kube("ingresses", lambda i: i.update(status={"x": SECRET})),
    "service annotation": _kube("services", lambda i: i["metadata"].update(annotations={"key": SECRET})),
    "service spec": _kube("services", lambda i: i["spec"].update(externalName=SECRET)),
    "mcpbridge": _with_list(
        "mcpbridges",
        _named(
            "default",
            "McpBridge",
            spec={"registries": [{"name": "n", "type": "nacos2", "nacosSecretKey": SECRET, "authSecretName": SECRET}]},
        ),
    ),
    "secret": _with_list("secrets", _named("s", "Secret", data={"tls.key": SECRET}, stringData={"a": SECRET})),
    "higress-config": _with_list(
        "configmaps", _named("higress-config", "ConfigMap", data={"higress": f"redis: {{password: {SECRET}}}"})
    ),
    "higress-https": _with_list(
        "configmaps",
        _named("higress-https", "ConfigMap", data={"cert": f"acmeIssuer:\n- ak: |\n    {SECRET}\n  eab: {SECRET}"}),
    ),
    "void higress-https": _with_list(
        "configmaps", _named("higress-https", "ConfigMap", data={"cert": f"ak: [{SECRET}"})
    ),
    "another kind": lambda s: replace(s, kube={**s.kube, "pods": SECRET.encode()}),
    "no list": lambda s: replace(s, kube={**s.kube, "services": SECRET.encode()}),
    "route header": _response(
        "RDS", lambda r: _route(r).request_headers_to_add.add().header.MergeFrom(header("Authorization", SECRET))
    ),
    "route metadata": _response(
        "RDS", lambda r: _route(r).metadata.filter_metadata["x"].fields["apiKey"].MergeFrom(text(SECRET))
    ),
    "cluster metadata": _response(
        "CDS", lambda c: c.metadata.filter_metadata["x"].fields["apiKey"].MergeFrom(text(SECRET))
    ),
    **{
        f"unknown field of {short}": _response(short, lambda _: None, unknown=True)
        for short in ("LDS", "CDS", "RDS", "EDS")
    },
    "core header": _core(
        "VirtualService", lambda r: _in_service(r, lambda v: v.http[0].headers.request.add.update(X_TOKENS))
    ),
    "core annotations": _core("VirtualService", lambda r: r.metadata.annotations.update({"x": SECRET})),
    "core unknown": _core(
        "DestinationRule",
        lambda r: setattr(r.body, "value", r.body.value + b"\xfa\x7d" + bytes([len(SECRET)]) + SECRET.encode()),
    ),
    "no response": lambda s: replace(s, core={"c": (SECRET.encode(),)}),
    "bootstrap": _page(
        "config_dump.json",
        lambda d: d["configs"].insert(
            0, {"@type": "x.BootstrapConfigDump", "bootstrap": {"node": {"metadata": {"K": SECRET}}, "admin": SECRET}}
        ),
    ),
    "an unknown section": _page(
        "config_dump.json", lambda d: d["configs"].append({"@type": "x.NewConfigDump", "a": SECRET})
    ),
    "json header": _section(
        "RoutesConfigDump",
        lambda s: _json_route(s).update(
            request_headers_to_add=[{"header": {"key": "X-Api-Key", "raw_value": SECRET, "value": SECRET}}]
        ),
    ),
    "json metadata": _section(
        "RoutesConfigDump",
        lambda s: _json_route(s).update(metadata={"filter_metadata": {"a": {"client-secret": SECRET}}}),
    ),
    "json filter": _section(
        "RoutesConfigDump",
        lambda s: _json_route(s).update(
            typed_per_filter_config={"w": {"@type": "type.googleapis.com/x.Wasm", "config": SECRET}}
        ),
    ),
    "json listener key": _section(
        "ListenersConfigDump",
        lambda s: s["dynamic_listeners"][0]["active_state"]["listener"].update(
            listener_filters=[{"name": "x", "typed_config": {"@type": "t", "private_key": SECRET}}],
            tracing={"token": SECRET},
        ),
    ),
    "json cluster": _section(
        "ClustersConfigDump",
        lambda s: s["dynamic_active_clusters"][0]["cluster"].update(
            health_checks=[
                {
                    "http_health_check": {
                        "request_headers_to_add": [{"header": {"key": "Authorization", "value": SECRET}}]
                    }
                }
            ],
            metadata={"filter_metadata": {"x": {"apiKey": SECRET}}},
        ),
    ),
    "sds key": _section(
        "SecretsConfigDump",
        lambda s: s.update(
            dynamic_active_secrets=[
                {"name": "c", "secret": {"name": "c", "tls_certificate": {"private_key": {"inline_string": SECRET}}}}
            ]
        ),
    ),
    "server_info": _page("server_info.json", lambda i: i.update(command_line_options={"config_yaml": SECRET})),
    "server_info metadata": _page(
        "server_info.json", lambda i: i.setdefault("node", {}).update(metadata={"KEY": SECRET})
    ),
    "a page nobody reads": lambda s: replace(
        s, gateway={p: {**v, "certs.json": SECRET.encode()} for p, v in s.gateway.items()}
    ),
    "stats": _page("stats.json", lambda s: s["stats"].append({"name": SECRET, "value": 1})),
    "pilot's pages": lambda s: replace(
        s,
        pilot={
            p: replace(
                c, pages={"metrics.txt": f"x {SECRET}\n".encode(), "syncz.json": json.dumps([{"key": SECRET}]).encode()}
            )
            for p, c in s.pilot.items()
        },
    ),
    "endpoint": lambda s: replace(
        s,
        views=(
            ViewInfo(
                ViewName.GATEWAY, "g", State.UNREAD, f"http://u:{SECRET}@h:1 is silent", None, f"http://u:{SECRET}@h:1"
            ),
        ),
    ),
    "extra": lambda s: replace(s, extra={"later": SECRET}),
}


@pytest.mark.parametrize("name", PLANTS)
def test_no_planted_credential_is_in_any_byte_or_format(recording, tmp_path: Path, name: str) -> None:
    """One planting each, in every reader's input; the whole, in every form that leaves this machine."""
    snapshot = PLANTS[name](recording("healthy-scoped"))
    assert SECRET.encode() in b"".join(to_files(snapshot).values())
    save(snapshot, tmp_path / "out.zip")
    loaded = load(tmp_path / "out.zip")
    assert SECRET.encode() not in b"".join(to_files(loaded).values())
    for form in FORMATS:
        assert SECRET not in render(audit(loaded), form)


@pytest.mark.parametrize(
    "name", ["header-control", "match header", "match query", "route header", "core header", "json header", "sds key"]
)
def test_what_is_audited_live_is_never_shown(recording, name: str) -> None:
    """Before redaction too: the credential makes a difference, and no format prints it."""
    result = audit(PLANTS[name](recording("healthy-scoped")))
    for form in FORMATS:
        assert SECRET not in render(result, form), form
    assert SECRET not in "\n".join(map(str, (*result.rules, *result.extra, *result.findings)))
    assert SECRET not in json.dumps(result.to_rows())


def test_two_credentials_that_differ_are_told_apart_without_being_shown() -> None:
    notes = {H + "request-header-control-add": "Authorization Bearer-one"}
    other = {H + "request-header-control-add": "Authorization Bearer-two"}
    snapshot = worlds.world([ingress("a", "foo.test", "/a", annotations=notes)])
    changed = replace(snapshot, gateway=worlds.world([ingress("a", "foo.test", "/a", annotations=other)]).gateway)
    (rule,) = audit(changed).rules
    assert rule.verdict is Verdict.CHANGED
    assert "(hidden 1)" in str(rule.fields[0].expected)
    assert "(hidden 2)" in str(rule.fields[0].actual)
    assert "Bearer" not in str(rule)


def test_a_map_of_headers_keeps_no_credential_whatever_stands_beside_it() -> None:
    """Protobuf maps skip entries when they are changed while they are walked."""
    operations_of = message("istio.networking.v1alpha3.Headers.HeaderOperations")
    names = [*SENSITIVE, "x-team", "a", "b"]
    for size in range(2, 6):
        for chosen in itertools.combinations(names, size):
            operations = operations_of()
            for each in chosen:
                operations.add[each] = f"PLANT-{each}"
            _clean(operations, Literals(b"k"))
            left = {each for each in chosen if operations.add[each].startswith("PLANT")}
            assert left == {each for each in chosen if each in ("x-team", "a", "b")}


@pytest.mark.parametrize(
    "pattern", ["a" * 40_000, "redacted:" * 5_000, "://" + "x" * 60_000, "\n" * 40_000, "always|" * 300]
)
def test_hiding_is_linear(pattern: str) -> None:
    literals = Literals(b"k")
    literals.hide("a-long-credential")
    literals.scrub = True
    literals.text(pattern * 3)
    literals.hide_regex(pattern)


def test_metadata_of_pilots_clients_is_dropped() -> None:
    from dataclasses import replace

    from tests import worlds
    from xdsaudit.collect.redact import redact
    from xdsaudit.model.snapshot import PilotCapture

    client = {
        "connectionId": "gw.ns-1",
        "connectedAt": "2026-01-01T00:00:00Z",
        "metadata": {"PROXY_CONFIG": {"token": "hunter2"}},
    }
    pages = {"adsz.json": json.dumps({"clients": [client]}).encode(), "metrics.txt": b"x 1\n"}
    found = redact(replace(worlds.world([]), pilot={"p": PilotCapture((), None, pages)})).pilot["p"].pages
    assert b"hunter2" not in b"".join(found.values())
    assert b"gw.ns-1" in found["adsz.json"]
    assert found["metrics.txt"] == b""
