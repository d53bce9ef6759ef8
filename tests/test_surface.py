"""The library's surface: its names, what importing it costs, and what it must not import."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import xdsaudit
from xdsaudit.cli.front import answer_at_once, program

HEAVY = (
    "grpc",
    "google.protobuf",
    "kubernetes",
    "deepdiff",
    "envoy_data_plane",
    "click",
    "yaml",
    "msgspec",
    "prometheus_client",
    "hypothesis",
)
NAMES = [
    "Audit",
    "Connection",
    "Finding",
    "FormatError",
    "InputError",
    "LiveReader",
    "NotCaptured",
    "Outcome",
    "ReadError",
    "Route",
    "Rule",
    "RuleVerdict",
    "Scope",
    "Snapshot",
    "SourceOptions",
    "Sources",
    "Stage",
    "Verdict",
    "XdsauditError",
    "__version__",
    "audit",
    "connect",
    "load",
    "narrow",
    "read",
    "redact",
    "render",
    "rollout",
    "save",
    "typed",
    "wait",
]


def test_exported_names() -> None:
    assert sorted(xdsaudit.__all__) == sorted(NAMES) == dir(xdsaudit)
    for name in NAMES:
        assert getattr(xdsaudit, name).__doc__
    assert callable(xdsaudit.audit)
    assert importlib.import_module("xdsaudit.audit.causes.catalogue").CATALOGUE
    assert callable(xdsaudit.audit)
    with pytest.raises(AttributeError, match="nothing"):
        _ = xdsaudit.nothing


@pytest.mark.parametrize(
    "code",
    [
        "import xdsaudit",
        "import pytest, xdsaudit.pytest_plugin",
        "import xdsaudit.errors, xdsaudit.model.verdict, xdsaudit.model.route",
    ],
)
def test_import_is_light(code: str) -> None:
    script = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], []])
def test_help_loads_no_command_and_no_click(arguments: list[str]) -> None:
    assert loaded(arguments, (*HEAVY, "click", "msgspec", "dataclasses", "pathlib", "xdsaudit.cli.group")) == []


def test_a_code_loads_the_catalogue_alone() -> None:
    assert loaded(["explain", "XA401"], (*HEAVY, "xdsaudit.audit.verdicts", "xdsaudit.report.json")) == []


def test_the_audit_of_a_folder_loads_nothing_that_reads_archives_or_networks(recordings: Path) -> None:
    unused = ("xdsaudit.collect.sources", "xdsaudit.collect.archive", "tarfile", "zipfile", "lzma", "shutil")
    elsewhere = ("grpc", "kubernetes", "ssl", "socket", "concurrent.futures", "logging", "tomllib")
    arguments = ["diff", "--snapshot", str(recordings / "batch-loss")]
    assert loaded(arguments, (*unused, *elsewhere, "tempfile", "importlib.resources")) == []


def test_the_audit_itself_loads_no_protobuf() -> None:
    script = "import sys, xdsaudit.audit.verdicts; print([m for m in sys.modules if m.startswith('google.protobuf')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def loaded(arguments: list[str], modules: tuple[str, ...]) -> list[str]:
    """Which of these modules a command line has imported when it ends."""
    script = (
        f"import sys; sys.argv = ['xdsaudit', *{arguments!r}]; from xdsaudit.cli.main import run; run(); "
        f"print(*[m for m in {modules!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, env=ENV)
    assert done.stdout
    return done.stderr.split()


ENV = {**os.environ, "COLUMNS": "100", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


@pytest.mark.parametrize("called", ["xdsaudit", "/usr/local/bin/kubectl-xdsaudit"])
@pytest.mark.parametrize("columns", ["80", "200"])
@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["--version"]])
def test_help_at_hand_is_what_click_says(
    called: str, columns: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = program(called)
    monkeypatch.setenv("COLUMNS", columns)
    script = f"from xdsaudit.cli.group import cli; cli.main({arguments!r}, prog_name={name!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer_at_once(arguments, name) == done.stdout


@pytest.mark.parametrize(
    "arguments", [["diff"], ["--help", "diff"], ["diff", "--help"], ["--bogus"], ["--version", "x"]]
)
def test_anything_else_is_left_to_the_commands(arguments: list[str]) -> None:
    assert answer_at_once(arguments, "xdsaudit") is None


@pytest.mark.parametrize("word", ["XA401", "xa101"])
def test_a_code_at_hand_is_what_the_command_says(word: str) -> None:
    script = f"from xdsaudit.cli.group import cli; cli.main(['explain', {word!r}], standalone_mode=False)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer_at_once(["explain", word], "xdsaudit") == done.stdout


@pytest.mark.parametrize("word", ["XA999", "XAB", "lost-in-pilot"])
def test_what_is_no_code_is_left_to_the_command(word: str) -> None:
    assert answer_at_once(["explain", word], "xdsaudit") is None


def test_a_file_that_is_called_like_a_code_is_left_to_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "XA401").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert answer_at_once(["explain", "XA401"], "xdsaudit") is None


def test_a_narrow_terminal_gets_help_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert answer_at_once(["--help"], "xdsaudit") is None


def test_shell_completion_knows_the_commands() -> None:
    env = {**os.environ, "_XDSAUDIT_COMPLETE": "bash_complete", "COMP_WORDS": "xdsaudit wa", "COMP_CWORD": "1"}
    script = "import sys; sys.argv = ['xdsaudit']; from xdsaudit.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False)
    assert {"plain,wait", "plain,watch"} == set(done.stdout.split())


def test_the_wheel_holds_all_it_needs(tmp_path: Path) -> None:
    """Built, unpacked beside the checkout and used by a suite of somebody else, with its plugin, page and data."""
    pytest.importorskip("hatchling")
    root = Path(__file__).parent.parent
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(root),
    ]
    subprocess.run(build, check=True, timeout=120)
    (wheel,) = tmp_path.glob("xdsaudit-*.whl")
    place = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
        names = archive.namelist()
    assert not [n for n in names if n.startswith(("tests", "docs", "tools"))]
    assert any(n.endswith("entry_points.txt") for n in names)
    (tmp_path / "test_suite.py").write_text(
        f"""
import xdsaudit

def test_it(xds_audit, xds_control_plane):
    assert xdsaudit.__file__.startswith({str(place)!r})
    audit = xds_audit({str(root / "tests" / "recordings" / "batch-loss")!r})
    assert [r.slug for r in audit.lost] == ["stale-route-cache"]
    for form in ("html", "sarif", "junit", "table"):
        assert "app-10061" in xdsaudit.render(audit, form)
    snapshot = xdsaudit.load({str(root / "tests" / "recordings" / "batch-loss")!r})
    assert xds_control_plane(snapshot).endpoint
"""
    )
    run = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path / "test_suite.py"),
    ]
    env = {**os.environ, "PYTHONPATH": str(place)}
    done = subprocess.run(run, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_that_is_ignored_is_tracked() -> None:
    """A virtual environment or a log that got in by mistake breaks every other checkout."""
    root = Path(__file__).parent.parent
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("no checkout of git")
    command = ["git", "-C", str(root), "ls-files", "--cached", "--ignored", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
