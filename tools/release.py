"""Everything that a release needs, built and tried, and nothing published: ``python tools/release.py``, or ``make release-check``.

Into ``dist``: wheel and sdist, the man page, an SBOM of what an installation brings, digests of all of it, and, where pyproject.toml names the repository,
krew's archive and manifest. The wheel is installed into an empty environment of every Python that is found, and ``tests/installed`` is run against it there.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
DIST: Final = ROOT / "dist"
PYTHONS: Final = ("python3.11", "python3.12", "python3.13", "python3.14")
_LIST: Final = """
import json
from importlib import metadata
print(json.dumps([
    {"name": d.metadata["Name"], "version": d.version, "license": d.metadata.get("License-Expression") or ""}
    for d in metadata.distributions()
]))
"""


def version() -> str:
    """The version of the checkout."""
    sys.path.insert(0, str(ROOT))
    from xdsaudit.version import __version__

    return __version__


def repository() -> str:
    """Where the project is published, as pyproject.toml says; empty where its owner has not said."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"]).rstrip("/")


def run(*command: str | Path, **more: Any) -> str:
    """Run a command to its end, or end with what it said."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def pythons() -> dict[str, str]:
    """Interpreters by version, of those that are on the PATH, or that pyenv has, and start."""
    found: dict[str, str] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for name in PYTHONS:
        places = [shutil.which(name), *sorted(pyenv.glob(f"{name.removeprefix('python')}.*/bin/python"))]
        found |= _started([str(place) for place in places if place is not None])
    return found


def _started(places: list[str]) -> dict[str, str]:
    """The first of these that starts, by its version."""
    for place in places:
        code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
        done = subprocess.run([place, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            number, executable = done.stdout.split(maxsplit=1)
            return {number: executable.strip()}
    return {}


def tried(python: str, wheel: Path) -> list[dict[str, str]]:
    """Install the wheel into an empty environment, run the suite there, and say what was installed besides pytest."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run(python, "-m", "venv", place / "venv")
        binary = place / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        run(binary, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
        brought: list[dict[str, str]] = json.loads(run(binary, "-c", _LIST))
        run(binary, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest")
        shutil.copytree(ROOT / "tests" / "installed", place / "suite")
        shutil.copytree(ROOT / "tests" / "recordings" / "batch-loss", place / "suite" / "batch-loss")
        clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = (
            binary,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            place / "suite",
            place / "suite",
        )
        print(run(*command, cwd=place, env={**clean, "XDSAUDIT_VERSION": version()}).strip().splitlines()[-1])
    return brought


def sbom(brought: list[dict[str, str]]) -> dict[str, Any]:
    """What an installation holds, as CycloneDX 1.5: names, versions and, where the package says so, licences."""
    components = []
    for each in sorted(brought, key=lambda d: d["name"].lower()):
        if each["name"].lower() in ("pip", "setuptools", "xdsaudit"):
            continue
        purl = f"pkg:pypi/{each['name'].lower().replace('_', '-')}@{each['version']}"
        row: dict[str, Any] = {
            "type": "library",
            "bom-ref": purl,
            "purl": purl,
            "name": each["name"],
            "version": each["version"],
        }
        if each["license"]:
            row["licenses"] = [{"expression": each["license"]}]
        components.append(row)
    own = {"type": "application", "name": "xdsaudit", "version": version(), "licenses": [{"expression": "Apache-2.0"}]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
    }


def krew(place: Path) -> None:
    """Krew's archive, the same bytes each time, and the manifest that names its digest."""
    archive = place / f"kubectl-xdsaudit-{version()}.tar.gz"
    launcher = (ROOT / "deploy" / "krew" / "kubectl-xdsaudit").read_text(encoding="utf-8")
    files = {
        "kubectl-xdsaudit": launcher.replace("@VERSION@", version()).encode(),
        "LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    with archive.open("wb") as raw, _gzip(raw) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if name.startswith("kubectl") else 0o644
            tar.addfile(info, io.BytesIO(data))
    text = (ROOT / "deploy" / "krew" / "xdsaudit.yaml.in").read_text(encoding="utf-8")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    for name, value in (("@VERSION@", version()), ("@REPOSITORY@", repository()), ("@SHA256@", digest)):
        text = text.replace(name, value)
    (place / "krew.yaml").write_text(text, encoding="utf-8")


def _gzip(raw: Any) -> Any:
    import gzip

    return gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)


def sums(place: Path) -> str:
    """Digests of the files of a folder, as sha256sum -c reads them."""
    files = sorted(p for p in place.iterdir() if p.is_file() and p.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files)


def main() -> int:
    """Build, check, try."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    print("building", flush=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    wheel, sdist = next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))
    print(run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist).strip())
    for size, path in ((p.stat().st_size, p) for p in (wheel, sdist)):
        print(f"{path.name}: {size / 1e3:,.0f} kB")
    found = pythons()
    brought: list[dict[str, str]] = []
    for number, python in found.items():
        print(f"Python {number}: ", end="", flush=True)
        brought = tried(python, wheel)
    print(
        f"not tried, not found here: {', '.join(p for p in PYTHONS if p.removeprefix('python') not in found) or 'none'}"
    )
    (DIST / "sbom.cdx.json").write_text(json.dumps(sbom(brought), indent=1) + "\n", encoding="utf-8")
    run(sys.executable, ROOT / "tools" / "man_page.py", DIST)
    if repository():
        krew(DIST)
    else:
        print("pyproject.toml names no repository: the README's links are text alone, and krew's manifest is left out")
    (DIST / "SHA256SUMS").write_text(sums(DIST), encoding="utf-8")
    print(f"in dist: {', '.join(sorted(p.name for p in DIST.iterdir()))}. Nothing was published.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
