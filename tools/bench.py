"""Speed and size as ratios to a floor that is measured in the same run, beside what is aimed at.

The floor is what any tool must do: a raw parse of the pilot responses by upb and ``json.loads`` of the config dump and the
Kubernetes lists, with no code of ours and with the garbage collector off, as an audit itself runs. Prints medians of CPU seconds;
asserts nothing, since machines differ. ``--quick`` leaves out all above 10,000 rules, ``--envoy`` measures a real Envoy too.
"""

from __future__ import annotations

import gc
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from synthetic import changed, items, synthetic

from xdsaudit import Snapshot, audit, load, save
from xdsaudit.audit.memory import Memory
from xdsaudit.xds.pool import TYPES, message

ROOT = Path(__file__).resolve().parent.parent
RUNS = 5
SIZES = (1_000, 10_000, 30_000, 100_000)
BINARY = str(Path(sys.executable).parent / "xdsaudit")


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of one run, of CPU unless by another clock; garbage collected before it and not during it."""
    gc.collect()
    gc.disable()
    start = clock()
    work()
    found = clock() - start
    gc.enable()
    return found


def median(work: Callable[[], object]) -> float:
    """Median of several runs."""
    return statistics.median(seconds(work) for _ in range(RUNS))


def process(arguments: list[str]) -> tuple[float, float]:
    """Median CPU seconds and peak MB of a command, by the children's resource usage of a helper."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=False)\n"
        "r = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(r.ru_utime + r.ru_stime, r.ru_maxrss / 1024)\n"
    )
    rows = []
    # As installed: with the bytecode of its modules beside them.
    around = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(RUNS):
        command = [sys.executable, "-c", code, *arguments]
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=around)
        used, peak = map(float, out.stdout.split())
        rows.append((used, peak))
    return statistics.median(r[0] for r in rows), max(r[1] for r in rows)


def row(what: str, found: str, aim: str = "") -> None:
    """One line of the table."""
    print(f"{what:<62} {found:>26}   {aim}", flush=True)


@contextmanager
def recording() -> Iterator[tuple[Path, Snapshot]]:
    """The recording, unpacked and read."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(ROOT / "tests" / "recordings" / "scale-10k.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        place = Path(folder) / "scale-10k"
        yield place, load(place)


def floor_of(snapshot: Snapshot) -> tuple[float, float]:
    """Seconds of the raw parse of what pilot answered, and of ``json.loads`` of the rest."""
    capture = next(iter(snapshot.pilot.values()))
    texts = [next(iter(snapshot.gateway.values()))["config_dump.json"], *snapshot.kube.values()]
    response = message("envoy.service.discovery.v3.DiscoveryResponse")
    classes = {url: message(url.rpartition("/")[2]) for url in TYPES.values()}

    def parse() -> None:
        for data in capture.served:
            found = response.FromString(data)
            cls = classes[found.type_url]
            for resource in found.resources:
                cls.FromString(resource.value)

    return median(parse), median(lambda: [json.loads(text) for text in texts])


def of_the_recording() -> None:
    """Rows of the recording."""
    with recording() as (place, snapshot):
        pilot_floor, json_floor = floor_of(snapshot)
        floor = pilot_floor + json_floor
        row("scale-10k: floor (upb + json.loads, collector off)", f"{floor * 1e3:.0f} ms")
        first = median(lambda: audit(snapshot))
        row("scale-10k: audit from memory", f"{first * 1e3:.0f} ms = {first / floor:.2f} x", "<= 1.5 x the floor")
        used, peak = process([BINARY, "diff", "--snapshot", str(place)])
        row("diff --snapshot, whole process", f"{used * 1e3:.0f} ms = {used / json_floor:.2f} x", "<= 2 x json.loads")
        texts = [*place.glob("kube/*.json"), *place.glob("gateway/*/config_dump.json")]
        loads = "import gc, json, sys; gc.disable(); [json.load(open(name)) for name in sys.argv[1:]]"
        bare, _ = process([sys.executable, "-c", loads, *map(str, texts)])
        row(
            "diff --snapshot, against a process that loads the same JSON", f"{used / bare:.2f} x of {bare * 1e3:.0f} ms"
        )
        row("diff --snapshot, peak", f"{peak:.0f} MB", "<= 300 MB")
        if shutil.which("jq"):
            names = ".. | .routes? // empty | .[] | [.name, .match.path // .match.prefix] | @tsv"
            peer, _ = process(["jq", "-r", names, str(next(place.glob("gateway/*/config_dump.json")))])
            what = "jq, which prints the dump's routes and compares nothing"
            row(what, f"{peer * 1e3:.0f} ms = {peer / json_floor:.2f} x")
        of_files(place)
        capture = next(iter(snapshot.pilot.values()))
        pages = next(iter(snapshot.gateway.values()))
        fleet = replace(
            snapshot,
            pilot={f"pilot-{n}": capture for n in range(3)},
            gateway={f"gateway-{n}": pages for n in range(20)},
        )
        many = median(lambda: audit(fleet))
        row("20 gateways x 3 pilots", f"{many * 1e3:.0f} ms = {many / first:.1f} x one of each", "for 11.5 x the views")


def of_files(place: Path) -> None:
    """A row of Ingresses from a file against a dump in another."""
    (dump,) = place.glob("gateway/*/config_dump.json")
    used, _ = process([BINARY, "diff", "-f", str(place / "kube" / "ingresses.json"), "--gateway", str(dump)])
    row("diff -f ingresses.json --gateway config_dump.json", f"{used * 1e3:.0f} ms", "< 1000 ms")


def of_size() -> None:
    """Rows of memory: 100,000 rules, and fleets whose replicas serve the same in answers of their own."""
    sizes = (
        (100_000, 1, 1, "<= 700 MB"),
        (10_000, 50, 5, "<= 150 MB above the answers"),
        (30_000, 50, 5, "<= 300 MB above the answers"),
    )
    with tempfile.TemporaryDirectory() as folder:
        for rules, gateways, pilots, aim in sizes:
            place = str(Path(folder) / str(rules))
            save(synthetic(rules), place, redacted=False)
            command = [sys.executable, str(ROOT / "tools" / "fleet.py"), place, str(gateways), str(pilots)]
            around = {**os.environ, "PYTHONPATH": str(ROOT)}
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=around)
            used, peak, raw = map(float, out.stdout.split())
            what = f"{rules:,} rules, {gateways} gateways, {pilots} pilots: peak, answers, CPU"
            row(what, f"{peak:.0f} MB of {raw:.0f} MB, {used:.1f} s", aim)


def of_start_up() -> None:
    """Rows of commands that read nothing."""
    bare, _ = process([sys.executable, "-c", "pass"])
    for arguments, aim in (
        (["--help"], 3),
        (["--version"], 3),
        ([], 3),
        (["explain", "XA401"], 8),
    ):
        used, _ = process([BINARY, *arguments])
        row(" ".join(["xdsaudit", *arguments]), f"{used * 1e3:.0f} ms = {used / bare:.1f} x", f"<= {aim} x bare Python")


def of_changes(rules: int, aim_ms: int) -> float:
    """Rows of a second audit; returns the seconds of the first."""
    snapshot, listed = synthetic(rules), items(rules)
    step = len(listed) // (RUNS + 1)
    later = [changed(snapshot, listed, step * (n + 1)) for n in range(RUNS)]
    first = median(lambda: audit(snapshot))
    memory = Memory()
    audit(snapshot, memory=memory)
    again = median(lambda: audit(snapshot, memory=memory))
    label = f"{rules:,} rules"
    row(
        f"{label}: audit again, nothing changed", f"{again * 1e3:.1f} ms = {again / first:.3f} x", "<= 0.02 x the first"
    )
    alone, every = [], []
    for each in later:
        audit(snapshot, memory=memory)
        alone.append(seconds(partial(audit, replace(snapshot, kube=each.kube), memory=memory)))
        every.append(seconds(partial(audit, each, memory=memory)))
    found = statistics.median(alone)
    row(f"{label}: one Ingress changed", f"{found * 1e3:.0f} ms = {found / first:.3f} x", f"<= {aim_ms} ms, 0.03 x")
    found = statistics.median(every)
    row(f"{label}: pilot and gateway follow, read whole", f"{found * 1e3:.0f} ms = {found / first:.3f} x")
    return first


def of_growth(quick: bool) -> None:
    """Rows of growing worlds."""
    took = {}
    for rules in SIZES[: 2 if quick else None]:
        snapshot = synthetic(rules)
        took[rules] = median(partial(audit, snapshot))
        row(f"{rules:,} rules: audit", f"{took[rules] * 1e3:.0f} ms = {took[rules] / rules * 1e6:.0f} us a rule")
    sizes = [n for n in took if n >= 10_000] or list(took)
    if len(took) > 1:
        small, large = (sizes[0], sizes[-1]) if len(sizes) > 1 else (min(took), max(took))
        exponent = math.log(took[large] / took[small]) / math.log(large / small)
        row(f"growth from {small:,} to {large:,} rules", f"n^{exponent:.2f}", "n^1")


def of_envoy() -> None:
    """Rows of what a real Envoy spends while it is watched."""
    from xdsaudit.collect.follow import GatewayFollower
    from xdsaudit.collect.limits import Budget
    from xdsaudit.collect.parts import PartReader
    from xdsaudit.testing import Backend, ControlPlane, LoopbackRewrite, RealEnvoy
    from xdsaudit.testing.rewrite import resources_of

    with recording() as (_, snapshot):
        served = resources_of(next(iter(snapshot.pilot.values())).served)
        with (
            Backend() as backend,
            ControlPlane(served, served, rewrite=LoopbackRewrite(backend.port)) as plane,
            RealEnvoy(plane.endpoint) as envoy,
        ):
            time.sleep(15)
            of_a_live_diff(snapshot, plane.endpoint, envoy.admin_url)
            follower = GatewayFollower(envoy.admin_url)
            host = min(served["RDS"]).partition(".")[2]
            part = PartReader(envoy.admin_url)
            follower.read(30, 1 << 30)
            for what, work in (
                ("watch round, nothing changed", lambda: follower.read(30, 1 << 30)),
                ("wait round, one host of 500", lambda: part.read([host], Budget(30))),
            ):
                before, own = envoy.cpu_seconds(), time.process_time()
                for _ in range(10):
                    work()
                spent = (envoy.cpu_seconds() - before) * 100
                mine = (time.process_time() - own) * 100
                row(
                    f"scale-10k: {what}, Envoy's CPU and our own",
                    f"{spent:.0f} ms, {mine:.0f} ms",
                    "<= 20 ms each" if what.startswith("watch") else "own <= 20 ms",
                )


def of_a_live_diff(snapshot: Snapshot, pilot: str, gateway: str) -> None:
    """A row of one look at a pilot and a gateway, against the time in which the gateway alone writes its dump."""
    from xdsaudit.collect.admin import fetch_dump
    from xdsaudit.collect.limits import Budget
    from xdsaudit.collect.sources import Sources, read

    sources = Sources(kube=snapshot.kube, controller=snapshot.controller, ads=(pilot,), gateways=(gateway,))

    dumps, looks = [], []
    for _ in range(RUNS):
        dumps.append(seconds(lambda: fetch_dump(gateway, Budget(30)), time.monotonic))
        looks.append(seconds(lambda: audit(read(sources)), time.monotonic))
    dump, look = statistics.median(dumps), statistics.median(looks)
    what = "scale-10k: live diff (Kubernetes in memory), against the gateway's dump"
    row(what, f"{look * 1e3:.0f} ms = {look / dump:.1f} x", "<= 1.2 x")


def main() -> None:
    """Measure and print."""
    quick = "--quick" in sys.argv
    of_the_recording()
    of_start_up()
    of_changes(10_000, 20)
    if not quick:
        of_changes(100_000, 50)
    of_growth(quick)
    if not quick:
        of_size()
    if "--envoy" in sys.argv:
        of_envoy()


if __name__ == "__main__":
    main()
