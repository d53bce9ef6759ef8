"""``make soak``: many random changes under ``watch`` with a real Envoy; no false verdict, each loss and healing told once.

Not part of ``make test``. ``python -m tests.soak [CHANGES]``. ``--churn [SECONDS]`` is the other one: 10,000 rules and ten changes a
second under the command ``watch``, with its memory and what it and Envoy spend.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from tests import worlds
from tests.e2e.test_envoy import until
from tests.e2e.test_wait import HOST, Stand
from xdsaudit.collect.kubeconfig import kube_api
from xdsaudit.collect.rounds import LiveReader
from xdsaudit.collect.snapshot import load
from xdsaudit.collect.sources import Sources
from xdsaudit.collect.watches import KubeStore
from xdsaudit.ingress.objects import read_objects
from xdsaudit.ingress.profile import profile_of
from xdsaudit.ingress.translate import translate
from xdsaudit.live import Watcher
from xdsaudit.model.verdict import FAILING, Rule, Verdict
from xdsaudit.testing import Backend, ControlPlane, FakeKube, LoopbackRewrite, RealEnvoy, ingress, ingress_list
from xdsaudit.testing.rewrite import resources_of
from xdsaudit.xds.pool import message, pool
from xdsaudit.xds.session import Node

_RECORDINGS = Path(__file__).parent / "recordings"
_RATE = 10
_WITHHELD = 15
"""Seconds for which pilot keeps one change back."""
_SETTLED = 30.0
"""Seconds without a change after which every rule must be in sync."""


def soak(changes: int, seed: int = 1) -> None:
    """Run and print; raises AssertionError at the first false verdict."""
    rng = random.Random(seed)
    snapshot = load(_RECORDINGS / "batch-loss")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found = Stand(snapshot, Path(folder), stack)
        store = stack.enter_context(KubeStore(kube_api(str(found.config)), "higress-system"))
        sources = Sources(
            ads=(found.plane.endpoint,),
            gateways=(found.envoy.admin_url,),
            node=Node(),
            controller=snapshot.controller,
            grace=0.0,
        )
        reader = stack.enter_context(LiveReader(sources, store.read))
        watcher = Watcher(reader, time.monotonic)
        lost: set[str] = set()
        names: list[str] = []
        told = false = 0
        peak = 0
        for number in range(changes):
            before = set(lost)
            kind = rng.choice(("add", "add", "remove", "lose", "heal")) if names else "add"
            if kind == "add":
                name = f"soak-{number}"
                names.append(name)
                item = ingress(name, HOST, f"/{name}", namespace="live", service="app-10060", port=8080)
                found.kube.apply("ingresses", item)
            elif kind == "remove":
                name = names.pop(rng.randrange(len(names)))
                found.kube.delete("ingresses", "live", name)
                lost.discard(name)
            elif kind == "lose":
                lost.add(rng.choice(names))
            else:
                lost.clear()
            found.sync(lost=lost)
            wanted = {n: 404 if n in lost else 200 for n in {*names[-3:], *((before ^ lost) & set(names))}}
            until(lambda wanted=wanted: all(found.status(f"/{n}") == s for n, s in wanted.items()), "the gateway")  # type: ignore[misc]
            seen: list[tuple[str, str]] = []
            for _ in range(4):
                seen += [(t.rule.ingress, t.after.verdict.value if t.after else "gone") for t in watcher.round()]
                reader._whole_at = 0.0  # the soak does not wait a second between dumps
            assert watcher.audit is not None
            bad = {r.rule.ingress for r in watcher.audit.rules if r.verdict in FAILING}
            false += len(bad ^ lost)
            assert bad == lost, f"change {number} ({kind}): audited {bad}, made {lost}"
            assert all(r.slug == "stale-route-cache" for r in watcher.audit.of(Verdict.LOST)), number
            losses = [n for n, v in seen if v == "lost"]
            assert sorted(losses) == sorted(lost - before), f"change {number}: told {losses}, made {lost - before}"
            told += len(seen)
            if number == changes // 10:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / max(peak, 1)
        print(
            f"{changes} changes, {watcher.rounds} rounds, {told} transitions told, {false} false verdicts, "
            f"{watcher.wholes} whole looks, memory x {grown:.2f} since the first tenth"
        )


class Churn:
    """The recording of 10,000 rules, live: Ingresses that get another timeout, and tables that follow once a second as pilot does."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        with tarfile.open(_RECORDINGS / "scale-10k.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        snapshot = load(folder / "scale-10k")
        listed = {plural: json.loads(data)["items"] for plural, data in snapshot.kube.items()}
        self.items: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for item in listed["ingresses"]:
            self.items[item["spec"]["rules"][0]["host"]].append(item)
        self.around = {k: v for k, v in snapshot.kube.items() if k != "ingresses"}
        self.profile = profile_of(snapshot.controller, scoped=True)
        self.kube = stack.enter_context(FakeKube(listed))
        served = resources_of(next(iter(snapshot.pilot.values())).served)
        rewrite = LoopbackRewrite(stack.enter_context(Backend()).port)
        self.plane = stack.enter_context(ControlPlane(served, None, rewrite=rewrite))
        self.envoy = stack.enter_context(RealEnvoy(self.plane.endpoint))
        self.config = folder / "kubeconfig"
        self.config.write_text(self.kube.kubeconfig())

    def change(self, host: str, number: int, rng: random.Random) -> list[tuple[object, ...]]:
        """Give one Ingress of a host another timeout; returns its rules."""
        item = rng.choice(self.items[host])
        notes = {**item["metadata"].get("annotations", {}), "higress.io/timeout": str(1 + number % 60)}
        item["metadata"] = {**item["metadata"], "annotations": notes}
        self.kube.apply("ingresses", item)
        objects, _ = read_objects({**self.around, "ingresses": ingress_list([item])})
        return [tuple(plan.rule) for plan in translate(objects, self.profile).plans]

    def push(self, hosts: set[str]) -> None:
        """Let pilot serve what these hosts have become."""
        mine = [item for host in hosts for item in self.items[host]]
        objects, _ = read_objects({**self.around, "ingresses": ingress_list(mine)})
        tables = {}
        for place, routes in translate(objects, self.profile).tables.items():
            config = message("envoy.config.route.v3.RouteConfiguration")()
            json_format.ParseDict(worlds.plain_table(place, routes), config, descriptor_pool=pool())
            tables[config.name] = config.SerializeToString()
        self.plane.update("RDS", tables)


def _spent(pid: int) -> tuple[float, float]:
    """CPU seconds and resident MB of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks, pages = int(fields[11]) + int(fields[12]), int(fields[21])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def churn(seconds: int, seed: int = 1) -> None:
    """Run and print; raises AssertionError where anything is told but the change that was kept back and its healing."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found = Churn(Path(folder), stack)
        lines = Path(folder) / "told"
        command = [str(Path(sys.executable).parent / "xdsaudit"), "watch", "--kubeconfig", str(found.config)]
        command += [
            "--ads",
            found.plane.endpoint,
            "--gateway",
            found.envoy.admin_url,
            "--istio-version",
            "1.19.5",
            "-o",
            "jsonl",
        ]
        command += ["--interval", "1", "--grace", "0"]
        watch = stack.enter_context(subprocess.Popen(command, stdout=lines.open("wb")))
        stack.callback(watch.kill)
        time.sleep(20)
        begun, before, envoy = time.monotonic(), _spent(watch.pid), found.envoy.cpu_seconds()
        sizes, dirty = [before[1]], set[str]()
        changes = seconds * _RATE
        withheld, *hosts = rng.sample(list(found.items), len(found.items))
        for number in range(changes):
            # In the middle of it all pilot keeps one change back, which must be told, and healed by what it serves at last.
            late = changes // 2 <= number < changes // 2 + _WITHHELD * _RATE
            host = withheld if number == changes // 2 else rng.choice(hosts)
            changed = found.change(host, number, rng)
            if host is withheld:
                expected = {(rule, verdict) for rule in changed for verdict in ("changed", "in_sync")}
            dirty.add(host)
            if number % _RATE == _RATE - 1:
                found.push(dirty - {withheld} if late else dirty)
                dirty &= {withheld} if late else set()
                sizes.append(_spent(watch.pid)[1])
            time.sleep(max(begun + (number + 1) / _RATE - time.monotonic(), 0))
        took = time.monotonic() - begun
        own, theirs = _spent(watch.pid)[0] - before[0], found.envoy.cpu_seconds() - envoy
        time.sleep(_SETTLED)
        watch.send_signal(signal.SIGTERM)
        watch.wait(30)
        told = Counter((tuple(e["rule"][k] for k in Rule._fields), e["after"]) for e in map(json.loads, lines.open()))
    assert told == Counter(expected), (
        f"told {told - Counter(expected)} too much and {Counter(expected) - told} too little"
    )
    tenth = len(sizes) // 10 or 1
    first, final = max(sizes[tenth : 2 * tenth + 1]), max(sizes[-tenth:])
    print(
        f"{changes} changes of 10,000 rules in {took:.0f} s, one of them kept back for {_WITHHELD} s: {len(expected)} transitions told, "
        f"none of them false; watch: {own / took:.2f} CPUs, {first:.0f} MB in the second tenth, {final:.0f} MB in the last; "
        f"Envoy: {theirs / took:.2f} CPUs"
    )


if __name__ == "__main__":
    if "--churn" in sys.argv:
        churn(int(sys.argv[2]) if len(sys.argv) > 2 else 120)
    else:
        soak(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
