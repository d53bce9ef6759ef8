"""Mutation testing: which small wrongs in the code would no test notice (``make mutants``).

Tests are collected once. Each is run with coverage first, so that a mutant is tried by the tests that reach its line alone, the
quickest and the deadliest first, in a process forked for it: its functions get the mutant's code there. What is known is kept in
``.mutants``, so that a run that was broken off goes on; survivors are tried again when a test has changed.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import importlib
import json
import os
import random
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pytest
from mutations import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".mutants"
EQUIVALENT = ROOT / "tools" / "equivalent_mutants.toml"
MODULES = ("xdsaudit/audit", "xdsaudit/ingress/order.py")
REACHED = ("xdsaudit/audit", "xdsaudit/ingress")
TESTS = ("tests/audit", "tests/ingress", "tests/xds", "tests/envoy", "tests/test_recordings.py")
LANE = "not slow and not envoy and not browser and not hostile"
MEMORY = 4 << 30
KILLED, SURVIVED, UNREACHED = "killed", "survived", "unreached"


class Options(NamedTuple):
    """What a run was asked for; ``budget`` is the seconds of tests that one mutant may take."""

    modules: tuple[str, ...]
    sample: int
    seed: str
    budget: float


class Reached(NamedTuple):
    """What the tests did without any mutant: the seconds each took, and the numbers of those that ran each line of each module."""

    seconds: dict[str, float]
    lines: dict[str, dict[str, list[int]]]

    def at(self, mutant: Mutant) -> list[str]:
        """Tests that run a mutant's line; one of the module itself concerns all that run any."""
        names = list(self.seconds)
        lines = self.lines.get(mutant.module, {})
        numbers = lines.get(str(mutant.line), []) if mutant.function else {n for ns in lines.values() for n in ns}
        return [names[n] for n in numbers]


def digest(*folders: str) -> str:
    """Of all Python files below, by name and content."""
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def equivalent() -> dict[str, str]:
    """Mutants that change nothing a test could see, with the reason."""
    rows = tomllib.loads(EQUIVALENT.read_text())["mutant"]
    return {row["name"]: row["why"] for row in rows}


class Driver:
    """A pytest plugin that runs the collected tests its own way."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.failed = False
        self.tests = digest("tests")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all mutants, and print the survivors."""
        self.items = {item.nodeid: item for item in session.items}
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self.reached = self._reached()
        survivors = [s for module in self.options.modules for s in self._module(module)]
        print(f"\n{len(survivors)} survivors:" if survivors else "\nno survivor")
        for mutant, status in survivors:
            print(
                f"\n{mutant.module}:{mutant.line} ({mutant.function or 'module'}), {status}\n{mutant.diff(source(mutant.module))}"
            )
            print(f"  {mutant.name!r}")
        return True

    def _run(self, names: list[str]) -> str | None:
        """The first of these tests that fails, or None."""
        for name in names:
            item = self.items[name]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self.failed:
                return name
        return None

    def _reached(self) -> Reached:
        """Seconds and lines of each test, from a run in a child; kept until code or tests change."""
        place = KEPT / "reached.json"
        key = digest("xdsaudit", "tests")
        if not place.exists() or json.loads(place.read_text())["key"] != key:
            print(f"running {len(self.items)} tests with coverage", flush=True)
            child(lambda: self._measure(place, key), timeout=3600)
        held = json.loads(place.read_text())
        return Reached(held["seconds"], held["lines"])

    def _measure(self, place: Path, key: str) -> int:
        from coverage import Coverage

        cover = Coverage(data_file=None, source=[str(ROOT / folder) for folder in REACHED], config_file=False)
        seconds: dict[str, float] = {}
        cover.start()
        for name in self.items:
            cover.switch_context(name)
            self.failed, begun = False, time.perf_counter()
            self._run([name])
            if not self.failed:
                seconds[name] = time.perf_counter() - begun
        cover.stop()
        data = cover.get_data()
        number = {name: n for n, name in enumerate(seconds)}
        lines = {
            str(Path(path).relative_to(ROOT)): {
                str(line): [number[n] for n in names if n in number]
                for line, names in data.contexts_by_lineno(path).items()
            }
            for path in data.measured_files()
        }
        place.write_text(json.dumps({"key": key, "seconds": seconds, "lines": lines}))
        return 0

    def _module(self, module: str) -> Iterator[tuple[Mutant, str]]:
        """Try a module's sample; the survivors that are not known to be equivalent."""
        text = source(module)
        every = mutants(module, text)
        drawn = list(every)
        random.Random(f"{self.options.seed} {module}").shuffle(drawn)
        if self.options.sample:
            drawn = drawn[: self.options.sample]
        place = KEPT / f"{module.replace('/', '.')}.json"
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        held = json.loads(place.read_text()) if place.exists() else {}
        known: dict[str, list[str]] = held["mutants"] if held.get("key") == key else {}
        kills: dict[str, int] = {}
        same = equivalent()
        for mutant in drawn:
            before = known.get(mutant.name)
            if before is None or (before[0] != KILLED and before[1] != self.tests and mutant.name not in same):
                status, by = self._try(mutant, kills)
                known[mutant.name] = [status, by if status == KILLED else self.tests, by]
                place.write_text(json.dumps({"key": key, "mutants": known}))
        gone = same.keys() - {m.name for m in every}
        for name in sorted(n for n in gone if n.startswith(f"{module}::")):
            print(f"{EQUIVALENT.name}: the code has changed, look again at {name!r}")
        left = [m for m in drawn if known[m.name][0] != KILLED]
        told = [m for m in left if m.name not in same]
        killed = len(drawn) - len(left)
        print(
            f"{module}: {len(drawn)} of {len(every)} mutants tried, {killed} killed, {len(left) - len(told)} equivalent, {len(told)} survive",
            flush=True,
        )
        return ((m, f"{known[m.name][0]} {known[m.name][2]}") for m in sorted(told, key=lambda m: m.line))

    def _try(self, mutant: Mutant, kills: dict[str, int]) -> tuple[str, str]:
        """What became of a mutant, and by which test or how many."""
        names = self.reached.at(mutant)
        if not names:
            return UNREACHED, ""
        seconds = self.reached.seconds
        names = sorted(names, key=lambda n: (seconds[n] + 0.01) / (1 + kills.get(n, 0)))
        spent, chosen = 0.0, []
        for name in names:
            if chosen and spent + seconds[name] > self.options.budget:
                continue
            spent += seconds[name]
            chosen.append(name)
        killer = child(lambda: self._mutated(mutant, chosen), timeout=5 + 4 * spent)
        if killer == 0:
            return SURVIVED, f"{len(chosen)} of the {len(names)} tests that reach it"
        by = chosen[killer - 1] if 0 < killer <= len(chosen) else "time, memory or a crash"
        kills[by] = kills.get(by, 0) + 1
        return KILLED, by

    def _mutated(self, mutant: Mutant, names: list[str]) -> int:
        apply(mutant)
        self.failed = False
        by = self._run(names)
        return 0 if by is None else 1 + names.index(by)


def source(module: str) -> str:
    """A module's text."""
    return (ROOT / module).read_text()


def apply(mutant: Mutant) -> None:
    """Give the functions and constants of an imported module, wherever they are held, the mutant's."""
    module = importlib.import_module(mutant.module.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    own = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__module__ == module.__name__]
    namespace: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(compile(mutant.text, str(module.__file__), "exec", dont_inherit=True), namespace)
    old = {id(f) for f in own}
    new = {
        f.__qualname__: f
        for f in gc.get_objects()
        if isinstance(f, FunctionType) and f.__module__ == module.__name__ and id(f) not in old
    }
    for function in own:
        other = new.get(function.__qualname__)
        if other is not None and other.__code__.co_freevars == function.__code__.co_freevars:
            function.__code__ = other.__code__
            function.__defaults__, function.__kwdefaults__ = other.__defaults__, other.__kwdefaults__
    for name, value in namespace.items():
        before = vars(module).get(name)
        if name.startswith("__") or isinstance(value, type | FunctionType | ModuleType) or repr(value) == repr(before):
            continue
        for each in list(sys.modules.values()):
            if each.__name__.startswith(("xdsaudit", "tests")) and vars(each).get(name) is before:
                setattr(each, name, value)


def child(work: Callable[[], int], *, timeout: float) -> int:
    """What some work returns in a process of its own without output; 255 where it takes too long, too much memory or dies."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = -1
        try:
            os.setpgid(0, 0)
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.alarm(int(timeout) + 1)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            code = work()
        finally:
            os.write(tell, str(code).encode())
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what a test may have started
    return int(text) if text else -1


def listed(names: list[str]) -> tuple[str, ...]:
    """Modules below some folders; those that hold nothing are left out."""
    found: list[str] = []
    for name in names:
        path = ROOT / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        found += [str(f.relative_to(ROOT)) for f in files if mutants("", f.read_text())]
    return tuple(dict.fromkeys(found))


def main() -> int:
    """Run as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(MODULES), help="files or folders; default: %(default)s")
    parser.add_argument("--sample", type=int, default=0, help="mutants of each module, drawn by the seed; 0 takes all")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--budget", type=float, default=6, help="seconds of tests for one mutant")
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    given = parser.parse_args()
    os.chdir(ROOT)
    os.environ["HYPOTHESIS_PROFILE"] = "brief"
    os.environ.pop("XDSAUDIT_DEBUG", None)
    KEPT.mkdir(exist_ok=True)
    options = Options(listed(given.modules), given.sample, given.seed, given.budget)
    arguments = ["-q", "-s", "-x", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", LANE, *given.tests]
    return int(pytest.main(arguments, plugins=[Driver(options)]))


if __name__ == "__main__":
    raise SystemExit(main())
