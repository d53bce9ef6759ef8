"""What goes beside a release: the list of what an installation holds, digests, and krew's archive, the same bytes each time."""

from __future__ import annotations

import hashlib
import importlib.util
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import xdsaudit

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "tools" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sbom_names_what_was_brought_and_no_tool_of_the_installation(release: ModuleType) -> None:
    brought = [
        {"name": "PyYAML", "version": "6.0", "license": ""},
        {"name": "click", "version": "8.2", "license": "BSD-3-Clause"},
        {"name": "pip", "version": "26", "license": "MIT"},
        {"name": "xdsaudit", "version": "9", "license": "Apache-2.0"},
    ]
    found = release.sbom(brought)
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    assert [c["purl"] for c in found["components"]] == ["pkg:pypi/click@8.2", "pkg:pypi/pyyaml@6.0"]
    assert ["licenses" in c for c in found["components"]] == [True, False], (
        "a licence that nobody stated is not invented"
    )
    assert found["metadata"]["component"]["version"] == xdsaudit.__version__


def test_digests_are_of_the_files(release: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"wheel")
    (tmp_path / "SHA256SUMS").write_text("old")
    assert release.sums(tmp_path) == f"{hashlib.sha256(b'wheel').hexdigest()}  a.whl\n"


def test_krew_gets_an_archive_and_a_manifest_that_agree(release: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(release, "repository", lambda: "https://forge.test/o/xdsaudit")
    bytes_of = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        release.krew(tmp_path / name)
        (archive,) = (tmp_path / name).glob("*.tar.gz")
        bytes_of.append(archive.read_bytes())
    assert bytes_of[0] == bytes_of[1]
    (platform,) = yaml.safe_load((tmp_path / "one" / "krew.yaml").read_text(encoding="utf-8"))["spec"]["platforms"]
    assert platform["sha256"] == hashlib.sha256(bytes_of[0]).hexdigest()
    assert platform["uri"].endswith(f"/releases/download/v{xdsaudit.__version__}/{archive.name}")
    with tarfile.open(archive) as tar:
        modes = {m.name: m.mode for m in tar.getmembers()}
        launcher = tar.extractfile("kubectl-xdsaudit")
        assert launcher is not None
        assert f"version={xdsaudit.__version__}\n".encode() in launcher.read()
    assert set(modes) == {f["from"] for f in platform["files"]}
    assert modes[platform["bin"]] & 0o111


def test_interpreters_that_do_not_start_are_left_out(release: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    broken = tmp_path / "python3.12"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert release.pythons() == {}
