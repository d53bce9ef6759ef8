"""Speed and size on the recording ``scale-10k``, as ratios to a floor that is measured in the same run.

The floor is what any tool must do: a raw parse of the pilot responses by upb and ``json.loads`` of the config dump and the
Kubernetes lists, with no code of ours and with the garbage collector off, as an audit itself runs. Prints medians; asserts
nothing, since machines differ.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 7


def median(work: Callable[[], object]) -> float:
    """Median CPU seconds of several runs, garbage collected before each and not during it."""
    times = []
    for _ in range(RUNS):
        gc.collect()
        gc.disable()
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
        gc.enable()
    return statistics.median(times)


def process(arguments: list[str]) -> tuple[float, float]:
    """Median seconds and peak MB of a command, by the children's resource usage of a helper."""
    code = (
        "import resource, subprocess, sys, time\n"
        "t = time.perf_counter()\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False)\n"
        "print(time.perf_counter() - t, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
    )
    rows = []
    for _ in range(RUNS):
        out = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        seconds, peak = map(float, out.stdout.split())
        rows.append((seconds, peak))
    return statistics.median(r[0] for r in rows), max(r[1] for r in rows)


def plugins() -> None:
    """Print what WasmPlugins cost: as many match rules again must cost as much again."""
    sys.path.insert(0, str(ROOT))
    from tests import plugin_worlds
    from xdsaudit import audit
    from xdsaudit.model.plugin import settings_from_text
    from xdsaudit.testing import ingress

    items = [ingress(f"i{n}", f"h{n}.test", "/") for n in range(500)]
    costs = []
    for count in (200, 400):
        objects = [
            plugin_worlds.wasm(
                f"p{n:03d}",
                priority=n,
                defaultConfig={"keys": ["x-api-key"], "limit": n},
                matchRules=[
                    plugin_worlds.rule({"allow": [f"c{m}"], "limit": m}, ingress=f"default/i{(n * 25 + m) % 500}")
                    for m in range(25)
                ],
            )
            for n in range(count)
        ]
        snapshot = plugin_worlds.world(objects, items=items, core=plugin_worlds.served(objects))

        def look(snapshot: object = snapshot) -> None:
            settings_from_text.cache_clear()
            audit(snapshot)  # type: ignore[arg-type]

        costs.append(median(look))
    without = plugin_worlds.world((), items=items)
    bare = median(lambda: audit(without))
    first, second = (c - bare for c in costs)
    print(
        f"200 plugins with 5,000 match rules: {first * 1e3:.0f} ms more; 400 with 10,000: {second / first:.1f} x that (aim: 2)"
    )


def main() -> None:
    """Measure and print."""
    from xdsaudit import audit, load
    from xdsaudit.audit.memory import Memory
    from xdsaudit.xds.pool import TYPES, message

    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(ROOT / "tests" / "recordings" / "scale-10k.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        place = Path(folder) / "scale-10k"
        snapshot = load(place)
        capture = next(iter(snapshot.pilot.values()))
        dump = next(iter(snapshot.gateway.values()))["config_dump.json"]
        texts = [dump, *snapshot.kube.values()]
        response = message("envoy.service.discovery.v3.DiscoveryResponse")
        classes = {url: message(url.rpartition("/")[2]) for url in TYPES.values()}

        def parse() -> None:
            for data in capture.served:
                found = response.FromString(data)
                cls = classes[found.type_url]
                for resource in found.resources:
                    cls.FromString(resource.value)

        def loads() -> None:
            for text in texts:
                json.loads(text)

        pilot_floor, json_floor = median(parse), median(loads)
        floor = pilot_floor + json_floor
        result = audit(snapshot)
        memory = median(lambda: audit(snapshot))
        binary = str(Path(sys.executable).parent / "xdsaudit")
        diff, peak = process([binary, "diff", "--snapshot", str(place)])
        bare, _ = process([sys.executable, "-c", "pass"])
        help_, _ = process([binary, "--help"])
        print(f"scale-10k: {len(result.rules):,} rules, {result.by_verdict['in_sync']:,} in sync")
        print(
            f"floor: upb parse {pilot_floor * 1e3:.0f} ms + json.loads {json_floor * 1e3:.0f} ms = {floor * 1e3:.0f} ms"
        )
        print(f"audit from memory: {memory * 1e3:.0f} ms = {memory / floor:.2f} x the floor (aim: 2)")
        print(
            f"diff --snapshot, whole process: {diff * 1e3:.0f} ms = {diff / json_floor:.2f} x json.loads (aim: 4), peak {peak:.0f} MB (aim: 300)"
        )
        fleet = replace(
            snapshot,
            pilot={f"pilot-{n}": capture for n in range(3)},
            gateway={f"gateway-{n}": {"config_dump.json": dump} for n in range(20)},
        )
        many = median(lambda: audit(fleet))
        kept = Memory()
        audit(snapshot, memory=kept)
        again = median(lambda: audit(snapshot, memory=kept))
        print(f"20 gateways x 3 pilots: {many * 1e3:.0f} ms = {many / memory:.1f} x one of each, for 11.5 x the views")
        print(f"audit again, nothing changed: {again * 1e3:.0f} ms = {again / memory:.2f} x the first")
        plugins()
        print(f"--help: {help_ * 1e3:.0f} ms = {help_ / bare:.1f} x bare Python (aim: 10)")


if __name__ == "__main__":
    main()
