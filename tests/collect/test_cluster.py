"""A cluster: what is listed, found and reached, what is refused, and which calls are made at all."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests import worlds
from xdsaudit import InputError, ReadError, Snapshot
from xdsaudit.cli.main import run
from xdsaudit.collect.cluster import lists
from xdsaudit.collect.discovery import Where, discover
from xdsaudit.collect.kinds import LISTED
from xdsaudit.collect.kube import GoneError, KubeApi
from xdsaudit.collect.kubeconfig import kube_api
from xdsaudit.testing import ControlPlane, FakeAdmin, FakeKube, higress_pods, ingress, service

pytestmark = pytest.mark.slow

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
    return kube_api(str(place), timeout=5)


# --- lists ------------------------------------------------------------------------------------------------------------
def test_lists_are_read_page_by_page_and_again_after_410(tmp_path: Path) -> None:
    many = [ingress(f"i{n:03}", "foo.test", f"/{n}") for n in range(25)]
    with FakeKube({"ingresses": many}) as kube:
        kube.page = 10
        api = api_of(kube, tmp_path)
        found, version = api.list(LISTED[0])
        assert len(found) == 25
        assert version == "25"
        kube.expire = 1
        assert len(api.list(LISTED[0])[0]) == 25
        kube.expire = 99
        with pytest.raises(ReadError, match="changing faster"):
            api.list(LISTED[0])


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
        kube_api(str(tmp_path / "config"), timeout=2).list(LISTED[0])
    with pytest.raises(InputError, match="no cluster to read"):
        kube_api()
    with pytest.raises(InputError, match="no such context"):
        kube_api(str(tmp_path / "config"), "elsewhere")
    (tmp_path / "config").write_text("{broken")
    with pytest.raises(InputError):
        kube_api(str(tmp_path / "config"))


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
        assert "all 2 gateways lack path /10061" in out
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


@pytest.mark.parametrize("command", [["diff"], ["status"], ["watch", "--max-rounds", "1"], ["wait", "--deadline", "9"]])
def test_a_port_that_the_pod_does_not_open_is_told_by_the_pod(capsys, tmp_path: Path, command: list[str]) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _), socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for place in (("gw-0", 15000), ("higress-controller-0", 15010)):
            kube.forwards[place] = closed.getsockname()[1]
        assert run([*command, "--kubeconfig", config, "--timeout", "2"]) == 3
    err = capsys.readouterr().err
    told = ["pod higress-system/gw-0, port 15000: the port-forward failed: error forwarding port 15000 to pod gw-0"]
    told.append(
        "pod higress-system/higress-controller-0, port 15010: the port-forward failed: error forwarding port 15010"
    )
    assert any(t in err for t in told) if command[0] == "wait" else all(t in err for t in told), err
    assert "Connection refused" in err
    assert "127.0.0.1" not in err
    assert "--ads-tls" not in err


def test_a_refused_port_forward_is_told_by_the_pod(capsys, tmp_path: Path) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        del kube.forwards["gw-0", 15000]
        assert run(["diff", "--kubeconfig", config]) == 3
    err = capsys.readouterr().err
    assert "gateway pod higress-system/gw-0, port 15000: the port-forward was refused: HTTP 404 nothing listens" in err


def test_pods_that_are_odd_or_none(capsys, tmp_path: Path) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        pod = higress_pods("gw-9")["pods"][-1] | {"status": None}
        kube.apply("pods", pod)
        assert run(["diff", "--kubeconfig", config]) == 3
        assert "gateway gw-9: unread: the pod is in an unknown phase" in capsys.readouterr().err
        kube.apply("pods", pod | {"status": {"phase": 5}})
        assert run(["diff", "--kubeconfig", config]) == 3
        assert "higress-system/gw-9 is not a Pod" in capsys.readouterr().err


def test_a_certificate_that_is_not_verified_is_told_once(tmp_path: Path) -> None:
    """By our own note, and not by a warning of urllib3 for each call."""
    authority = trustme.CA()
    chain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(chain)
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, plane, admins):
        kube._server.socket = chain.wrap_socket(kube._server.socket, server_side=True)
        found = json.loads(Path(config).read_text())
        found["clusters"][0]["cluster"] = {
            "server": kube.url.replace("http:", "https:"),
            "insecure-skip-tls-verify": True,
        }
        Path(config).write_text(json.dumps(found))
        command = [sys.executable, "-c", "from xdsaudit.cli.main import main; main()", "diff", "--kubeconfig", config]
        more = ["--ads", plane.endpoint, "--gateway", admins[0].url, "--system-namespace", "higress-system"]
        done = subprocess.run([*command, *more], capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done
    assert done.stderr.decode().splitlines() == [
        f"xdsaudit: Kubernetes {kube.url.replace('http:', 'https:')}: its certificate is not verified (insecure-skip-tls-verify)"
    ]


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
        assert 'xdsaudit_rules_by_stage{stage="cache",verdict="lost"} 1.0' in metrics.read_text()
        assert run(["watch", "--kubeconfig", config, "--listen", "nowhere", "--max-rounds", "1"]) == 2
        assert run(["watch", "--snapshot", "x"]) == 2


# --- what must exist --------------------------------------------------------------------------------------------------
def workload(name: str, app: str, replicas: int | None, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": more.pop("namespace", "higress-system"), "labels": {"app": app}}
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": []}}
    spec = {"selector": {"matchLabels": {"app": app}}, "template": template}
    return {"metadata": meta, "spec": spec if replicas is None else {**spec, "replicas": replicas}, **more}


def gateway_gaps(objects: dict[str, Any], tmp_path: Path, **where: Any) -> list[str]:
    with FakeKube(objects) as kube:
        found = discover(api_of(kube, tmp_path), Where(**where))
    return [f"{i.replica}: {i.why}" for i in found.missing if i.name.value == "gateway"]


def test_a_replica_that_is_wanted_and_not_there_is_a_gap(tmp_path: Path) -> None:
    objects = higress_pods("gw-0")
    assert gateway_gaps(objects, tmp_path) == []
    objects["deployments"][1]["spec"]["replicas"] = 3
    gaps = gateway_gaps(objects, tmp_path)
    assert [g.partition(":")[0] for g in gaps] == ["higress-gateway-missing-2", "higress-gateway-missing-3"]
    assert "Deployment higress-system/higress-gateway wants 3 replicas but has 1 pods" in gaps[0]


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("daemonsets", workload("gw", "higress-gateway", None, status={"desiredNumberScheduled": 2})),
        ("statefulsets", workload("gw", "higress-gateway", 2)),
    ],
)
def test_daemonsets_and_statefulsets_want_replicas_too(tmp_path: Path, kind: str, made: dict[str, Any]) -> None:
    objects = higress_pods("gw-0")
    del objects["deployments"][1]
    assert len(gateway_gaps({**objects, kind: [made]}, tmp_path)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda o: o["deployments"][1]["spec"].update(replicas=0), "wants 0 replicas"),
        (lambda o: o["deployments"].pop(1), "no pod with app=higress-gateway in higress-system"),
    ],
)
def test_no_gateway_at_all_is_never_in_sync(capsys, tmp_path: Path, recording, change: Any, said: str) -> None:
    with cluster(worlds.world(ITEMS), tmp_path) as (kube, config, _, _):
        objects = higress_pods()
        change(objects)
        kube.delete("pods", "higress-system", "gw-0")
        kube.delete("deployments", "higress-system", "higress-gateway")
        for each in objects["deployments"][1:]:
            kube.apply("deployments", each)
        assert run(["diff", "--kubeconfig", config]) == 3
        out, err = capsys.readouterr()
        assert said in err
        assert "inconclusive" in out
        assert run(["diff", "--kubeconfig", config, "-o", "json"]) == 3
        assert json.loads(capsys.readouterr().out)["conclusive"] is False
        run(["diff", "--kubeconfig", config, "--no-gateway"])
        assert "gateway" not in capsys.readouterr().err


def test_a_gateway_of_other_labels_and_namespace_is_hinted_at_and_found(tmp_path: Path) -> None:
    objects = higress_pods("gw-0")
    gateway = next(p for p in objects["pods"] if p["metadata"]["name"] == "gw-0")
    gateway["metadata"].update(namespace="edge")
    del objects["deployments"][1]
    assert "--gateway-namespace edge" in gateway_gaps(objects, tmp_path)[0]
    assert gateway_gaps(objects, tmp_path, gateway_namespace="edge") == []
    gateway["metadata"]["labels"] = {"role": "door"}
    assert gateway_gaps(objects, tmp_path, gateway_namespace="edge")
    assert gateway_gaps(objects, tmp_path, gateway_namespace="edge", gateway_selector="role=door") == []


def test_several_controllers_are_told_apart(tmp_path: Path) -> None:
    objects = higress_pods("gw-0")
    other = json.loads(json.dumps(objects["deployments"][0]))
    other["metadata"]["name"] = "blue"
    other["spec"]["selector"]["matchLabels"] = {"app": "higress-controller", "color": "blue"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "higress-controller", "color": "blue"}
    objects["deployments"].append(other)
    pod = json.loads(json.dumps(objects["pods"][0]))
    pod["metadata"] = {**pod["metadata"], "name": "blue-0", "labels": {"app": "higress-controller", "color": "blue"}}
    objects["pods"].append(pod)
    with FakeKube(objects) as kube:
        api = api_of(kube, tmp_path)
        with pytest.raises(InputError, match=r"blue, higress-controller.*--controller"):
            discover(api)
        assert [p.name for p in discover(api, Where(controller="blue")).controllers] == ["blue-0"]
        with pytest.raises(InputError, match="there is blue, higress-controller"):
            discover(api, Where(controller="green"))


def test_without_the_right_to_list_workloads_it_says_what_is_unknown(tmp_path: Path) -> None:
    with FakeKube(higress_pods("gw-0")) as kube:
        kube.forbidden = {"deployments"}
        found = discover(api_of(kube, tmp_path))
    assert found.missing == ()
    assert any("the number of replicas" in text for text in found.remarks)


def test_secrets_that_are_not_meant_to_be_listed_are_no_gap(capsys, tmp_path: Path, recording) -> None:
    with cluster(recording("batch-loss"), tmp_path) as (kube, config, _, _):
        kube.forbidden = {"secrets"}
        one = ["live/app-10060", "--kubeconfig", config]
        assert run(["diff", *one]) == 3
        assert "secrets" in capsys.readouterr().out
        kube.calls.clear()
        assert run(["diff", *one, "--no-secrets"]) == 0, capsys.readouterr().out
        assert run(["wait", *one, "--no-secrets", "--timeout", "20"]) == 0
        assert not any("secrets" in path for _, path in kube.calls)
