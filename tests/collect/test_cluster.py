"""A cluster: what is listed, found and reached, what is refused, and which calls are made at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import worlds
from xdsaudit import InputError, ReadError, Snapshot
from xdsaudit.cli.main import run
from xdsaudit.collect.cluster import discover, lists
from xdsaudit.collect.kube import KINDS, GoneError, KubeApi
from xdsaudit.collect.kubeconfig import connect
from xdsaudit.testing import ControlPlane, FakeAdmin, FakeKube, higress_pods, ingress, service

ITEMS = [ingress("a", "foo.test", "/a"), ingress("b", "foo.test", "/b", namespace="other")]


@contextmanager
def cluster(
    snapshot: Snapshot, tmp_path: Path, *gateways: str
) -> Iterator[tuple[FakeKube, str, ControlPlane, list[FakeAdmin]]]:
    """An API server that leads to a control plane and to gateways of one snapshot, and a kubeconfig for it."""
    names = gateways or ("gw-0",)
    objects: dict[str, Any] = {k: json.loads(v)["items"] for k, v in snapshot.kube.items()}
    pages = next(iter(snapshot.gateway.values()))
    with FakeKube({**objects, **higress_pods(*names)}) as kube, ControlPlane.of(snapshot) as plane:
        port = int(plane.endpoint.rpartition(":")[2])
        for remote in (15010, 15051) if snapshot.core else (15010,):
            kube.forwards["higress-controller-0", remote] = port
        admins = [FakeAdmin(pages) for _ in names]
        try:
            for name, admin in zip(names, admins, strict=True):
                admin.__enter__()
                kube.forwards[name, 15000] = admin.port
            place = tmp_path / "kubeconfig"
            place.write_text(kube.kubeconfig())
            yield kube, str(place), plane, admins
        finally:
            for admin in admins:
                admin.__exit__()


def api_of(kube: FakeKube, tmp_path: Path) -> KubeApi:
    place = tmp_path / "config"
    place.write_text(kube.kubeconfig())
    return connect(str(place), timeout=5)


# --- lists ------------------------------------------------------------------------------------------------------------
def test_lists_are_read_page_by_page_and_again_after_410(tmp_path: Path) -> None:
    many = [ingress(f"i{n:03}", "foo.test", f"/{n}") for n in range(25)]
    with FakeKube({"ingresses": many}) as kube:
        kube.page = 10
        api = api_of(kube, tmp_path)
        found, version = api.list(KINDS[0])
        assert len(found) == 25
        assert version == "25"
        kube.expire = 1
        assert len(api.list(KINDS[0])[0]) == 25
        kube.expire = 99
        with pytest.raises(ReadError, match="changes faster"):
            api.list(KINDS[0])


def test_secrets_are_names_alone(tmp_path: Path) -> None:
    secret = {
        "metadata": {"name": "cert", "namespace": "x", "annotations": {"a": "hunter2"}},
        "data": {"tls.key": "aHVudGVyMg=="},
    }
    with FakeKube({"ingresses": ITEMS, "secrets": [secret]}) as kube:
        found, complaints = lists(api_of(kube, tmp_path), "higress-system")
    assert complaints == []
    assert b"cert" in found["secrets"]
    assert b"hunter2" not in found["secrets"]
    assert b"aHVudGVyMg" not in found["secrets"]


def test_403_degrades_and_names_the_rule(tmp_path: Path) -> None:
    with FakeKube({"ingresses": ITEMS}) as kube:
        kube.forbidden = {"endpointslices", "configmaps"}
        found, complaints = lists(api_of(kube, tmp_path), "higress-system")
    assert "ingresses" in found
    assert "endpointslices" not in found
    assert any(
        '{apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list"]}' in c for c in complaints
    )
    assert any('{apiGroups: [""], resources: ["configmaps"], verbs: ["get"]}' in c for c in complaints)


@pytest.mark.parametrize(("status", "words"), [(401, "log in"), (404, "not found"), (500, "try again")])
def test_refusals(status: int, words: str) -> None:
    from xdsaudit.collect.kube import _refusal

    assert words in str(_refusal("http://h", "GET", "/api/v1/services", status, '{"message": "said"}'))
    assert isinstance(_refusal("h", "GET", "/api/v1/services", 410, "<html>"), GoneError)


def test_no_server_and_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeKube() as kube:
        config = kube.kubeconfig()
    (tmp_path / "config").write_text(config)
    with pytest.raises(ReadError, match="cannot be reached"):
        connect(str(tmp_path / "config"), timeout=2).list(KINDS[0])
    with pytest.raises(InputError, match="no cluster to read"):
        connect()
    with pytest.raises(InputError, match="no such context"):
        connect(str(tmp_path / "config"), "elsewhere")
    (tmp_path / "config").write_text("{broken")
    with pytest.raises(InputError):
        connect(str(tmp_path / "config"))


# --- what is found ----------------------------------------------------------------------------------------------------
def test_options_come_from_the_deployment(tmp_path: Path) -> None:
    objects = higress_pods(
        "gw-0",
        image="registry/higress/higress:v2.1.9@sha256:0",
        args=["serve", "--ingressClass", "mine", "--gatewayHttpPort=8080"],
    )
    containers = objects["deployments"][0]["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "discovery", "env": [{"name": "ENBALE_SCOPED_RDS", "value": "false"}]})
    objects["pods"][0]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with FakeKube(objects) as kube:
        found = discover(api_of(kube, tmp_path))
    assert found.controller == {
        "kind": "higress",
        "system_namespace": "higress-system",
        "ingress_class": "mine",
        "http_port": 8080,
        "version": "2.1.9",
        "scoped_rds": False,
    }
    assert [(p.name, p.why) for p in found.controllers] == [("higress-controller-0", "the pod is terminating")]
    assert [p.name for p in found.gateways] == ["gw-0"]


def test_no_higress(tmp_path: Path) -> None:
    with FakeKube() as kube, pytest.raises(ReadError, match="--system-namespace"):
        discover(api_of(kube, tmp_path))


# --- the whole way ----------------------------------------------------------------------------------------------------
def test_diff_against_a_cluster(capsys, tmp_path: Path, recording) -> None:
    with cluster(recording("batch-loss"), tmp_path, "gw-0", "gw-1") as (kube, config, plane, _):
        assert run(["diff", "--kubeconfig", config, "--probe-cache"]) == 1
        out = capsys.readouterr().out
        assert "stage cache - XA401" in out
        assert "gateway gw-1 lacks path /10061" in out
        posts = {path.rpartition("/")[2] for method, path in kube.calls if method == "POST"}
        assert posts == {"selfsubjectaccessreviews"}
        assert {path.rpartition("/")[2] for method, path in kube.calls if "portforward" in path} == {"portforward"}
        assert plane.nacks() == []


def test_a_healthy_cluster_and_the_batch_of_f(capsys, tmp_path: Path) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (_, config, _, _):
        assert run(["diff", "--kubeconfig", config]) == 3  # these worlds have no core
        capsys.readouterr()
        place = tmp_path / "batch.yaml"
        place.write_text(json.dumps(ITEMS[0]))
        assert run(["diff", "--kubeconfig", config, "-f", str(place), "-o", "json"]) == 3
        found = json.loads(capsys.readouterr().out)
        assert [r["ingress"] for r in found["rules"]] == ["a"]
        assert run(["status", "--kubeconfig", config]) == 3


def test_a_terminating_pod_degrades(capsys, tmp_path: Path) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        pod = higress_pods("gw-9")["pods"][-1]
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        kube.apply("pods", pod)
        assert run(["diff", "--kubeconfig", config]) == 3
        assert "gateway gw-9: unread: the pod is terminating" in capsys.readouterr().err


def test_port_forward_forbidden_is_told_before_anything_hangs(capsys, tmp_path: Path) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        kube.forbidden = {"pods/portforward"}
        assert run(["diff", "--kubeconfig", config]) == 3
        assert 'resources: ["pods/portforward"]' in capsys.readouterr().err


def test_the_ingresses_forbidden(capsys, tmp_path: Path) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        kube.forbidden = {"ingresses"}
        assert run(["diff", "--kubeconfig", config]) == 3
        assert 'resources: ["ingresses"]' in capsys.readouterr().err


def test_a_minted_token_is_sent_over_tls_alone_and_never_shown(capsys, tmp_path: Path) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        assert run(["diff", "--kubeconfig", config, "--mint-token", "higress-gateway"]) == 2
        err = capsys.readouterr().err
        assert "over TLS only" in err
        assert "minted.token" not in err
        posts = {path.rpartition("/")[2] for method, path in kube.calls if method == "POST"}
        assert posts == {"selfsubjectaccessreviews", "token"}


def test_check_against_a_cluster(capsys, tmp_path: Path) -> None:
    place = tmp_path / "batch.yaml"
    place.write_text(json.dumps(ingress("new", "foo.test", "/new", service="gone")))
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        kube.apply("services", service("web", namespace="other"))
        assert run(["check", "-f", str(place), "--kubeconfig", config]) == 1
        assert "Service default/gone does not exist" in " ".join(capsys.readouterr().out.split())


def test_a_standalone_higress_has_no_pods(capsys, tmp_path: Path, recording) -> None:
    snapshot = recording("batch-loss")
    pages = next(iter(snapshot.gateway.values()))
    objects = {k: json.loads(v)["items"] for k, v in snapshot.kube.items()}
    place = tmp_path / "config"
    with FakeKube(objects) as kube, ControlPlane.of(snapshot) as plane, FakeAdmin(pages) as admin:
        place.write_text(kube.kubeconfig())
        arguments = ["--kubeconfig", str(place), "--ads", plane.endpoint, "--gateway", admin.url]
        assert run(["diff", *arguments, "--probe-cache"]) == 1
        assert "22 rules: 1 lost, 21 in sync" in capsys.readouterr().out
        assert not any("selfsubject" in path for _, path in kube.calls)


def test_capture_waits_until_two_rounds_agree(capsys, tmp_path: Path, recording) -> None:
    from xdsaudit import audit, load

    with cluster(recording("batch-loss"), tmp_path) as (_, config, _, _):
        assert run(["capture", "--kubeconfig", config, "-O", str(tmp_path / "snap.tar.gz")]) == 0
    captured = load(tmp_path / "snap.tar.gz")
    assert captured.extra["consistency"]["agreed"] is True
    assert captured.extra["consistency"]["rounds"] == 2
    assert [r.rule.ingress for r in audit(captured).lost] == ["app-10061"]
    assert set(captured.gateway) == {"gw-0"}


def test_watch_from_the_command_line(capsys, tmp_path: Path, recording) -> None:
    with cluster(recording("batch-loss"), tmp_path) as (_, config, _, _):
        metrics = tmp_path / "metrics.prom"
        arguments = [
            "--kubeconfig",
            config,
            "--interval",
            "1",
            "--max-rounds",
            "3",
            "--textfile",
            str(metrics),
            "-o",
            "jsonl",
        ]
        assert run(["watch", *arguments]) == 1
        (line,) = capsys.readouterr().out.splitlines()
        found = json.loads(line)
        assert (found["before"], found["after"], found["rule"]["slug"]) == (None, "lost", "stale-route-cache")
        assert 'xdsaudit_rules_by_stage{verdict="lost",stage="cache"} 1' in metrics.read_text()
        assert run(["watch", "--kubeconfig", config, "--listen", "nowhere", "--max-rounds", "1"]) == 2
        assert run(["watch", "--snapshot", "x"]) == 2
