"""``make soak``: many random changes under ``watch`` with a real Envoy; no false verdict, each loss and healing told once.

Not part of ``make test``. ``python -m tests.soak [CHANGES]``.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.test_envoy import until
from tests.e2e.test_wait import HOST, Stand
from xdsaudit.collect.kubeconfig import connect
from xdsaudit.collect.rounds import LiveReader
from xdsaudit.collect.snapshot import load
from xdsaudit.collect.sources import Sources
from xdsaudit.collect.watches import KubeStore
from xdsaudit.live import Watcher
from xdsaudit.model.verdict import FAILING, Verdict
from xdsaudit.testing import ingress
from xdsaudit.xds.session import Node


def soak(changes: int, seed: int = 1) -> None:
    """Run and print; raises AssertionError at the first false verdict."""
    rng = random.Random(seed)
    snapshot = load(Path(__file__).parent / "recordings" / "batch-loss")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found = Stand(snapshot, Path(folder), stack)
        store = stack.enter_context(KubeStore(connect(str(found.config)), "higress-system"))
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


if __name__ == "__main__":
    soak(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
