"""Manifests to lists, and what is said of those that are none."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from xdsaudit import InputError
from xdsaudit.collect.manifests import read_manifests
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
        ("kind: Service\nmetadata: {name: a}", "no Ingress among 1 document"),
        ("", "no Ingress among 0 document"),
        ("\x00", "not YAML"),
        ("a: &a [*a]\nkind: 3", "no kind"),
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
    with pytest.raises(InputError, match="holds no"):
        read_manifests([str(tmp_path)])
