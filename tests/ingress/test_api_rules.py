"""What the API server would refuse: each rule with a value on either side of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from kubernetes.client import models

from xdsaudit.ingress.api_rules import fields, shape_faults, value_faults
from xdsaudit.testing import ingress

PATH = ("spec", "rules", 0, "http", "paths", 0)
PORT = (*PATH, "backend", "service", "port")


def changed(*changes: tuple[tuple[str | int, ...], Any]) -> dict[str, Any]:
    item = copy.deepcopy(ingress("a", "foo.test", "/a"))
    for keys, value in changes:
        inner: Any = item
        for key in keys[:-1]:
            inner = inner[key]
        if value is None:
            inner.pop(keys[-1], None)
        else:
            inner[keys[-1]] = value
    return item


@pytest.mark.parametrize(
    ("keys", "good", "bad"),
    [
        (("metadata", "name"), "a.b-c", "a_b"),
        (("metadata", "name"), "a", "a/b"),
        (("metadata", "namespace"), "a-b", "a.b"),
        (("metadata", "annotations"), {"higress.io/x": "1"}, {"higress.io/": "1"}),
        (("spec", "ingressClassName"), "higress", "Higress"),
        (("spec", "rules", 0, "host"), "*.foo.test", "*foo.test"),
        (("spec", "rules", 0, "host"), "foo.test", "10.0.0.1"),
        (("spec", "rules", 0, "host"), "foo", "Foo"),
        ((*PATH, "path"), "/a", "a"),
        ((*PATH, "path"), "/a/b", "/a//b"),
        ((*PATH, "path"), "/a./b", "/a/./b"),
        ((*PATH, "path"), "/%2e", "/%2F"),
        ((*PATH, "path"), "/...", "/.."),
        ((*PATH, "pathType"), "Exact", "exact"),
        ((*PATH, "pathType"), "ImplementationSpecific", None),
        ((*PATH, "backend"), {"resource": {"kind": "McpBridge", "name": "default"}}, {}),
        ((*PORT, "number"), 65535, 65536),
        ((*PORT, "number"), 1, 0),
        (PORT, {"name": "http"}, {}),
        (PORT, {"name": "http-2"}, {"name": "http--2"}),
        (PORT, {"name": "a"}, {"name": "1"}),
        (PORT, {"number": 80}, {"number": 80, "name": "http"}),
        ((*PATH, "backend", "service", "name"), "web", "web.other"),
        (("spec", "rules"), [{"host": "a.test"}], [{"host": "a.test", "http": {"paths": []}}]),
    ],
)
def test_a_value_on_either_side(keys: tuple[str | int, ...], good: Any, bad: Any) -> None:
    assert value_faults("Ingress", changed((keys, good))) == []
    (fault,) = value_faults("Ingress", changed((keys, bad)))
    assert fault.keys[: len(keys) - 1] == keys[: len(keys) - 1]


def test_a_path_of_no_certain_type_may_hold_what_others_may_not() -> None:
    item = changed(((*PATH, "pathType"), "ImplementationSpecific"), ((*PATH, "path"), "/a//b"))
    assert value_faults("Ingress", item) == []


def test_an_ingress_with_nothing_to_serve() -> None:
    (fault,) = value_faults("Ingress", changed((("spec", "rules"), None)))
    assert "neither rules nor defaultBackend" in fault.text


def test_fields_are_those_of_the_package() -> None:
    for name in (
        "Ingress",
        "IngressSpec",
        "IngressRule",
        "HTTPIngressPath",
        "IngressServiceBackend",
        "ServiceBackendPort",
    ):
        assert set(fields()[name]) == set(getattr(models, f"V1{name}").attribute_map.values())


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("spec", "ingressClassname"), "x", "did you mean ingressClassName?"),
        (("speck",), {}, "did you mean spec?"),
        ((*PATH, "pathtype"), "Prefix", "did you mean pathType?"),
        (("spec", "zzz"), 1, "is no field of an IngressSpec"),
    ],
)
def test_unknown_fields_are_told_with_what_was_meant(keys: tuple[str | int, ...], value: Any, said: str) -> None:
    (fault,) = shape_faults("Ingress", changed((keys, value)))
    assert fault.unknown
    assert said in fault.text


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        ((*PORT, "number"), "80", "leave the quotes out"),
        (("metadata", "name"), 5, "put it in quotes"),
        (("metadata", "annotations"), {"a": True}, "put it in quotes"),
        (("spec", "rules"), {}, "is a mapping, expected a list"),
        (("spec", "rules", 0), [], "is a list, expected a mapping"),
        (("spec",), "x", "expected a mapping"),
        ((*PORT, "number"), 80.5, "expected a whole number"),
        ((*PORT, "number"), True, "expected a whole number"),
    ],
)
def test_values_of_another_type(keys: tuple[str | int, ...], value: Any, said: str) -> None:
    (fault,) = shape_faults("Ingress", changed((keys, value)))
    assert fault.typed
    assert said in fault.text


def test_a_sound_ingress_has_no_fault() -> None:
    assert shape_faults("Ingress", ingress("a", "foo.test", tls="s")) == []
    assert value_faults("Ingress", ingress("a", "foo.test", tls="s")) == []
    assert shape_faults("McpBridge", {"anything": 1}) == []
