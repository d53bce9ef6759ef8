"""What a package index and an installer are told: one version, links that lead somewhere, extras that hold what they promise."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import xdsaudit

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RELATIVE = re.compile(r"\]\((?![a-z]+:|#)[^)]+\)")


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("package_metadata", ROOT / "tools" / "package_metadata.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def core() -> Any:
    """The metadata as the build writes it."""
    metadata = pytest.importorskip("hatchling.metadata.core")
    manager = pytest.importorskip("hatchling.plugin.manager")
    return metadata.ProjectMetadata(str(ROOT), manager.PluginManager()).core


def test_the_version_has_one_place_and_a_section_of_the_changelog(core: Any) -> None:
    assert core.version == xdsaudit.__version__
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1].rstrip(",") == xdsaudit.__version__
    assert f'"{xdsaudit.__version__}"' not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_examples_name_this_version() -> None:
    """Images and the action, wherever a page, a manifest or a comment names one of them with a version."""
    named = re.compile(r"xdsaudit[:@]v?(\d+\.\d+\.\d+)")
    places = [*ROOT.glob("*.md"), ROOT / "action.yml", *(p for f in ("docs", "deploy") for p in (ROOT / f).rglob("*"))]
    found = {
        (path.relative_to(ROOT).as_posix(), version)
        for path in places
        if path.is_file() and path.suffix in (".md", ".yaml", ".yml", "") and "_build" not in path.parts
        for version in named.findall(path.read_text(encoding="utf-8"))
    }
    assert {"action.yml", "docs/deploy/watch.yaml", "docs/how-to/ci.md", "docs/how-to/deploy.md"} <= {
        p for p, _ in found
    }
    assert {version for _, version in found} == {xdsaudit.__version__}


def test_the_readme_has_no_link_that_an_index_would_break(core: Any) -> None:
    assert RELATIVE.search(README), "the README itself is read beside the files it links"
    assert not RELATIVE.search(core.readme)
    assert "## Install" in core.readme


def test_links_become_absolute_where_the_repository_is_known(hook: ModuleType) -> None:
    text = "[a](docs/a.md), ![p](docs/p.svg), [w](https://w.test), [here](#here)"
    assert hook.absolute(text, "https://forge.test/o/x", "1.2.3") == (
        "[a](https://forge.test/o/x/blob/v1.2.3/docs/a.md), ![p](https://forge.test/o/x/raw/v1.2.3/docs/p.svg), "
        "[w](https://w.test), [here](#here)"
    )
    assert hook.absolute(text, "", "1.2.3") == "a, , [w](https://w.test), [here](#here)"
    assert {"Repository", "Issues", "Changelog"} <= set(hook.urls("https://forge.test/o/x"))
    assert set(hook.urls("")) == {"Incident"}, "what is not known is not invented"


def test_classifiers_name_every_python_that_is_promised(core: Any) -> None:
    trove = pytest.importorskip("trove_classifiers")
    assert set(core.classifiers) <= trove.classifiers
    assert {f"Programming Language :: Python :: 3.{n}" for n in (11, 12, 13, 14)} <= set(core.classifiers)
    assert "Framework :: Pytest" in core.classifiers
    assert core.authors_data["name"]


def test_what_needs_no_extra_is_a_dependency() -> None:
    """Every package that the code imports is a plain dependency, but for what an extra names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plain = {re.split(r"[>=;\[]", d)[0].strip().lower() for d in project["dependencies"]}
    assert "jinja2" in plain
    extras = project["optional-dependencies"]
    assert extras["html"] == []
    assert [d.split(">")[0] for d in extras["strategies"]] == ["hypothesis"]
    names = {
        "betterproto2": "envoy-data-plane",
        "envoy_data_plane": "envoy-data-plane",
        "google.protobuf": "protobuf",
        "grpc": "grpcio",
        "markupsafe": "jinja2",
        "prometheus_client": "prometheus-client",
        "re2": "google-re2",
        "websocket": "websocket-client",
        "yaml": "pyyaml",
    }
    extra = {"envoy", "hypothesis", "pytest", "_pytest", "xdist"}
    code = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "xdsaudit").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (google\.protobuf|[A-Za-z_][A-Za-z_0-9]*)", code, re.MULTILINE))
    foreign = {
        n for n in imported if n not in sys.stdlib_module_names and n not in {"xdsaudit", "__future__", "_typeshed"}
    }
    assert {names.get(n, n) for n in foreign - extra} == plain


def test_the_module_runs() -> None:
    done = subprocess.run([sys.executable, "-m", "xdsaudit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"xdsaudit {xdsaudit.__version__} ")


def test_every_dependency_has_its_reason_on_the_page_of_installation() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
    rows = {name.strip() for row in re.findall(r"^\| ([^|]+) \| \d+ \|", page, re.MULTILINE) for name in row.split(",")}
    assert rows == {re.split(r"[>=;\[]", d)[0].strip() for d in project["dependencies"]}
    for extra, brings in project["optional-dependencies"].items():
        assert not brings or f"xdsaudit[{extra}]" in page
