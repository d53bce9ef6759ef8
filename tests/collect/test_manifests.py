"""Manifests to lists, and what is said of those that are none."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from xdsaudit import InputError
from xdsaudit.collect.manifests import read_manifests, read_whole
from xdsaudit.ingress.objects import read_objects
from xdsaudit.testing import ingress, service


def write(folder: Path, name: str, *items: object) -> Path:
    place = folder / name
    place.write_text("---\n".join(yaml.safe_dump(i) for i in items))
    return place


def test_files_folders_lists_and_other_kinds(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", ingress("a", "foo.test"), None, service("web"))
    write(
        tmp_path,
        "b.yml",
        {"kind": "List", "items": [ingress("b", "foo.test")]},
        {"kind": "Deployment", "metadata": {"name": "x"}},
    )
    bare = {k: v for k, v in ingress("c", "foo.test").items() if k != "kind"}
    (tmp_path / "c.json").write_text(json.dumps({"kind": "IngressList", "items": [bare]}))
    objects, complaints = read_objects(read_manifests([str(tmp_path)]).lists)
    assert [i.metadata.name for i in objects.ingresses] == ["a", "b", "c"]
    assert list(objects.services or ()) == [("default", "web")]
    assert complaints == []


def test_kinds_that_were_not_given_are_unread(tmp_path: Path) -> None:
    objects, _ = read_objects(read_manifests([str(write(tmp_path, "a.yaml", ingress("a", "foo.test")))]).lists)
    assert objects.services is None
    assert objects.secrets is None


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    text = yaml.safe_dump(ingress("a", "foo.test")).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert "ingresses" in read_manifests(["-"]).lists


def test_values_of_secrets_are_dropped(tmp_path: Path) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"tls.key": "aHVzaA=="}, "stringData": {"x": "hush"}}
    found = read_manifests([str(write(tmp_path, "a.yaml", ingress("a", "foo.test"), secret))]).lists
    assert b"aHVzaA" not in found["secrets"]
    assert b"hush" not in found["secrets"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "line 2.*not YAML"),
        ("key: value", "line 1.*no kind"),
        ("- 1\n- 2", "line 1.*no kind"),
        ("kind: Ingress\napiVersion: extensions/v1beta1\nmetadata: {name: a}", "extensions/v1beta1"),
        ("kind: Ingress\napiVersion: networking.k8s.io/v1\nmetadata: {}", "metadata.name"),
        ("kind: Service\nmetadata: {name: a}", "no Ingress or WasmPlugin among 1 document"),
        ("", "no Ingress or WasmPlugin among 0 document"),
        ("\x00", "not YAML"),
        ("a: &a [*a]\nkind: 3", r"line 1, column 8: has the alias \*a inside"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str, said: str) -> None:
    place = tmp_path / "x.yaml"
    place.write_text(text)
    with pytest.raises(InputError, match=said):
        read_manifests([str(place)])


def test_missing_and_empty_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_manifests([str(tmp_path / "none.yaml")])
    with pytest.raises(InputError, match="contains no"):
        read_manifests([str(tmp_path)])


CASES = Path(__file__).with_name("manifests")


@pytest.mark.parametrize(
    ("name", "unread"),
    [
        ("bomb", "17:38: repeats more than 100,000 values"),
        ("cyc", "13:14: has the alias"),
        ("deepj", "nested deeper"),
        ("nslist", "12:21: Service c: metadata.namespace is a list, expected text"),
        ("secnum", "13:1: Secret default/c: data is a number, expected a mapping"),
        ("crd", ""),
        ("kindlist", ""),
        ("ts", ""),
    ],
)
def test_one_bad_document_never_stops_the_rest(name: str, unread: str) -> None:
    given = read_manifests([str(CASES / f"{name}.yaml")])
    assert given.refs == {"default/a"}
    assert [unread in text for text in given.unread] == ([True] if unread else [])


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("port-as-text", ["4:138"]),
        ("unknown-fields", ["5:3", "11:9", "10:9"]),
        ("api-would-refuse", ["3:12", "7:5", "10:9", "13:9", "14:45", "17:19"]),
    ],
)
def test_each_fault_has_its_line_and_column(name: str, places: list[str]) -> None:
    given = read_manifests([str(CASES / f"check-{name}.yaml")], to_check=True)
    assert [f"{c.origin.line}:{c.origin.column}" for c in given.complaints] == places


def test_values_of_secrets_and_annotations_are_in_no_complaint(tmp_path: Path) -> None:
    place = tmp_path / "a.yaml"
    place.write_text(
        yaml.safe_dump_all(
            [
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": "CANARY"},
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": ["CANARY"]}},
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s", "annotations": "CANARY"}},
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a": 777777}},
            ]
        )
    )
    said = "\n".join(map(str, read_manifests([str(place)], to_check=True).complaints))
    assert said.count("expected") == 3
    assert "CANARY" not in said
    assert "777777" not in said


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("replicas: 2\nimage: {tag: x}", "skipped"),
        ("apiVersion: v1\nmetadata: {name: a}", "unreadable"),
        ("apiVersion: networking.internal.knative.dev/v1alpha1\nkind: Ingress\nmetadata: {name: a}", "skipped"),
        ("apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: a}", "unreadable"),
    ],
)
def test_what_is_none_of_ours_is_left_out_and_what_may_be_is_not(tmp_path: Path, text: str, grade: str) -> None:
    (tmp_path / "a.yaml").write_text(text + "\n---\n" + yaml.safe_dump(ingress("a", "foo.test")))
    given = read_manifests([str(tmp_path)])
    assert [c.grade.value for c in given.complaints] == [grade]
    assert given.refs == {"default/a"}


def test_a_file_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdsaudit.collect.manifests._MOST_BYTES", 1 << 20)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_manifests(["/dev/zero"])


def test_those_who_must_know_every_rule_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"13:14: has the alias.*xdsaudit check -f"):
        read_whole([str(CASES / "cyc.yaml")])


def test_annotations_and_objects_beside_have_places_and_are_not_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "a.yaml"
    place.write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: demo}\nspec: {ports: [{port: 80}]}\n---\n"
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  namespace: demo\n  annotations:\n"
        '    higress.io/timeout: "5"\nspec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n'
    )
    given = read_manifests([str(place)])
    assert str(given.origins["demo/a", "", "@higress.io/timeout"]) == f"{place}:12:5"
    assert str(given.origins["service/demo/web", "", ""]) == f"{place}:1"
    assert given.refs == given.chosen == {"demo/a"}
