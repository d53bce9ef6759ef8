"""What an installation costs: the wheel, each package that comes with it and who asks for it, and what imports take."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from constraints import ROOT, closure, plain
from packaging.utils import canonicalize_name

RUNS = 5
SHOWN = 12


def installed(name: str) -> int:
    """Bytes of a distribution's files, its compiled caches left out."""
    files = metadata.distribution(name).files or ()
    return sum(p.stat().st_size for f in files if f.suffix != ".pyc" and (p := Path(str(f.locate()))).is_file())


def imported(code: str) -> float:
    """Median milliseconds that a fresh interpreter takes longer for this."""

    def seconds(text: str) -> float:
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", text], check=True, cwd=ROOT)
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    return (seconds(code) - seconds("pass")) * 1e3


def main() -> None:
    """Measure and print."""
    sizes = {name: installed(name) for name in closure()}
    own = sum(p.stat().st_size for p in (ROOT / "xdsaudit").rglob("*") if p.is_file() and p.suffix != ".pyc")
    with tempfile.TemporaryDirectory() as folder:
        build = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            folder,
            str(ROOT),
        ]
        subprocess.run(build, check=True)
        wheel = next(Path(folder).glob("*.whl")).stat().st_size
    print(
        f"wheel: {wheel / 1e6:.1f} MB; installed: {own / 1e6:.1f} MB and {sum(sizes.values()) / 1e6:.0f} MB of {len(sizes)} packages"
    )
    asked = {canonicalize_name(r.name) for r in plain()}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:SHOWN]:
        print(f"  {name}{'' if name in asked else ' (brought by another)'}: {size / 1e6:.1f} MB")
    for code in (
        "import xdsaudit",
        "import xdsaudit.pytest_plugin",
        "from xdsaudit import audit, load; load; audit.audit",
    ):
        print(f"{code}: {imported(code):.0f} ms")


if __name__ == "__main__":
    main()
