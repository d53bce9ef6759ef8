"""What stands around the command: completion for kubectl, the man page, the krew manifest and the GitHub action."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import xdsaudit
from xdsaudit.cli.complete import FILES, NO_FILES, complete
from xdsaudit.cli.group import _COMMANDS

ROOT = Path(__file__).parent.parent.parent


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- kubectl's completion ---------------------------------------------------------------------------------------------
def test_kubectl_completes_commands_with_what_they_do() -> None:
    found, directive = complete([""])
    assert directive == NO_FILES
    assert [name for name, _ in found] == sorted(_COMMANDS) or {name for name, _ in found} == set(_COMMANDS)
    assert all(text for _, text in found)
    assert [name for name, _ in complete(["wa"])[0]] == ["wait", "watch"]
    assert complete([]) == complete([""])


def test_kubectl_completes_options_and_their_values() -> None:
    assert "--probe-cache" in [name for name, _ in complete(["diff", "--pro"])[0]]
    assert {"json", "junit", "jsonl"} == {name for name, _ in complete(["diff", "-o", "j"])[0]}


def test_kubectl_completes_codes_words_formats_and_contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def names(*typed: str) -> list[str]:
        return [name for name, _ in complete(["diff", *typed])[0]]

    assert "XA401" in names("--skip", "XA40")
    assert names("--only", "XA204,stale-r") == ["XA204,stale-route-cache"]
    assert names("--fail-on", "lost,ch") == ["lost,changed"]
    assert names("--report", "ht") == ["html="]
    place = tmp_path / "config"
    place.write_text("contexts: [{name: prod, context: {cluster: c1}}, {name: stage, context: {cluster: c2}}]")
    monkeypatch.setenv("KUBECONFIG", str(place))
    assert names("--context", "p") == ["prod"]
    assert names("--context", "") == ["prod", "stage"]
    for broken in ("contexts: 5", "[", "contexts: [{}]"):
        place.write_text(broken)
        assert names("--context", "") == []
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert names("--context", "") == []


@pytest.mark.parametrize("option", ["-f", "--snapshot", "--kubeconfig", "--gateway", "--baseline", "--ca"])
def test_kubectl_leaves_file_names_to_the_shell(option: str) -> None:
    assert complete(["diff", option, "k8s/"]) == ([], FILES)


def test_what_kubectl_calls_prints_what_cobra_prints() -> None:
    command = [sys.executable, "-m", "xdsaudit.cli.complete", "stat"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, last = done.stdout.splitlines()
    assert first.startswith("status\t")
    assert last == ":4"


# --- the man page -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def page() -> str:
    found: str = tool("man_page").page()
    return found


def test_the_man_page_has_every_command_and_option(page: str) -> None:
    plain = page.replace("\\-", "-").replace("\\(aq", "'")
    commands = tool("command_line").commands()
    assert [c.name for c in commands] == list(_COMMANDS)
    for command in commands:
        part = plain.split(f".SS {command.usage}\n")[1].split(".SS ")[0]
        options = [o for listed in command.groups.values() for o in listed]
        assert options
        for option in options:
            assert all(spelling in option.flags for spelling in option.spellings)
            assert f".TP\n\\fB{option.flags}\\fR\n" in part
            assert option.text
    for code in (0, 1, 2, 3, 4, 70, 130):
        assert f".B {code}\n" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_the_man_page_is_set_without_a_warning(page: str) -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", "-b"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)
    # Long flags that cannot be broken are wider than a line in places; that is no mistake of the page.
    assert [line for line in done.stderr.splitlines() if "break" not in line and "backtrace" not in line] == []
    struck = re.sub(r".\x08|\x1b\[[0-9;]*m", "", done.stdout)  # bold is a letter struck twice
    assert "--probe-cache" in struck.replace("\u2010", "-")


# --- krew -------------------------------------------------------------------------------------------------------------
def manifest() -> Any:
    text = (ROOT / "deploy" / "krew" / "xdsaudit.yaml.in").read_text(encoding="utf-8")
    values = {"@VERSION@": xdsaudit.__version__, "@REPOSITORY@": "https://forge.test/o/xdsaudit", "@SHA256@": "0" * 64}
    for name, value in values.items():
        text = text.replace(name, value)
    assert "@" not in text
    return yaml.safe_load(text)


def test_the_krew_manifest_is_what_krew_asks_for() -> None:
    found = manifest()
    assert (found["apiVersion"], found["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    spec = found["spec"]
    assert spec["version"] == f"v{xdsaudit.__version__}"
    assert len(spec["shortDescription"]) <= 50
    assert max(map(len, spec["description"].splitlines())) <= 90
    (platform,) = spec["platforms"]
    assert platform["uri"].endswith(".tar.gz")
    sent = {f["from"] for f in platform["files"]}
    assert platform["bin"] in sent
    assert all((ROOT / "deploy" / "krew" / name).exists() or (ROOT / name).exists() for name in sent)


@pytest.fixture
def launcher(tmp_path: Path) -> Path:
    """What krew installs, and nothing on its PATH but the commands that a test puts there."""
    text = (ROOT / "deploy" / "krew" / "kubectl-xdsaudit").read_text(encoding="utf-8")
    place = tmp_path / "kubectl-xdsaudit"
    place.write_text(text.replace("@VERSION@", "9.9.9"))
    place.chmod(0o755)
    return place


@pytest.mark.skipif(os.name == "nt", reason="krew's archive is for Linux and macOS")
@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["xdsaudit", "uvx", "pipx"], "xdsaudit: diff -A"),
        (["uvx", "pipx"], "uvx: --quiet --from xdsaudit==9.9.9 xdsaudit diff -A"),
        (["pipx"], "pipx: run --spec xdsaudit==9.9.9 xdsaudit diff -A"),
    ],
    ids=str,
)
def test_the_launcher_takes_what_there_is(launcher: Path, there: list[str], said: str) -> None:
    for name in there:
        stub = launcher.parent / name
        stub.write_text(f'#!/bin/sh\necho "{name}: $*"\nexit 3\n')
        stub.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(launcher), "diff", "-A"],
        capture_output=True,
        text=True,
        env={"PATH": str(launcher.parent)},
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (3, said), "the exit code is xdsaudit's"


@pytest.mark.skipif(os.name == "nt", reason="krew's archive is for Linux and macOS")
def test_the_launcher_says_what_is_missing(launcher: Path) -> None:
    command = ["/bin/sh", str(launcher), "diff"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(launcher.parent)}, check=False)
    assert done.returncode == 2
    assert "Python 3.11" in done.stderr


# --- the action -------------------------------------------------------------------------------------------------------
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def test_the_action_uses_only_inputs_it_declares() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    assert all(step.get("shell") == "bash" or "uses" in step for step in ACTION["runs"]["steps"])
    assert not [s for s in ACTION["runs"]["steps"] if "inputs." in s.get("run", "")], (
        "inputs come in by the environment"
    )
    assert f"@v{xdsaudit.__version__}" in text


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="a step of bash")
@pytest.mark.parametrize(
    ("args", "code"),
    [
        ("diff --snapshot 'tests/recordings/batch-loss' -o github", 1),
        ("--version", 0),
        ("diff --snapshot nowhere", 2),
        ("--version $(touch expanded) `touch expanded` ; touch expanded", 0),
    ],
)
def test_the_step_of_the_action_runs_xdsaudit_and_no_shell(tmp_path: Path, args: str, code: int) -> None:
    (step,) = [s for s in ACTION["runs"]["steps"] if s.get("id") == "run"]
    place = tmp_path / "xdsaudit" / "bin"
    place.mkdir(parents=True)
    (place / "python").symlink_to(sys.executable)
    output = tmp_path / "output"
    env = {
        **os.environ,
        "RUNNER_TEMP": str(tmp_path),
        "XDSAUDIT_ARGS": args,
        "GITHUB_OUTPUT": str(output),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    assert output.read_text() == f"exit-code={code}\n"
    assert not (ROOT / "expanded").exists()
    if code == 1:
        assert "::error" in done.stdout
