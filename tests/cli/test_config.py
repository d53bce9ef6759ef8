"""Defaults of options: a configuration file and the environment, under the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import worlds
from xdsaudit import save
from xdsaudit.cli.main import run
from xdsaudit.testing import ingress


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save(worlds.world([ingress("a", "foo.test", "/a")]), tmp_path / "snapshot")
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["diff", "--snapshot", "../snapshot", *arguments])
    return (code, *capsys.readouterr())


def test_a_file_of_the_repository_sets_defaults(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "xdsaudit.toml").write_text('output = "jsonl"\n[diff]\nfail-on = ["in_sync"]\n[check]\noffline = true\n')
    code, out, _ = said(capsys)
    assert code == 1, "fail-on of the table of its command"
    assert out.startswith('{"kind":"scope"')
    assert said(capsys, "-o", "table", "--fail-on", "lost")[1].startswith("Higress"), "the command line comes first"


def test_pyproject_and_the_environment_over_it(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "pyproject.toml").write_text('[tool.xdsaudit]\noutput = "json"\nskip = ["XA204", "XA205"]\n')
    assert said(capsys)[1].startswith("{")
    monkeypatch.setenv("XDSAUDIT_OUTPUT", "github")
    assert said(capsys)[1].startswith("::notice")
    monkeypatch.setenv("XDSAUDIT_CONFIG", "")
    monkeypatch.delenv("XDSAUDIT_OUTPUT")
    assert said(capsys)[1].startswith("Higress"), "an empty XDSAUDIT_CONFIG reads no file"


def test_a_file_beyond_the_repository_is_not_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "deep" / ".git").mkdir()
    (here / "xdsaudit.toml").write_text('output = "json"\n')
    assert said(capsys)[1].startswith("Higress")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kubeconfig = "evil"', "is not accepted from a file"),
        ('[diff]\ngateway = "http://evil"', "is not accepted from a file"),
        ('outptu = "json"', "did you mean output?"),
        ("[diff]\nnothing-like-it = 1", "is not an option"),
        ("output = ", "is not TOML"),
        ('output = "pdf"', "'pdf' is not one of"),
    ],
)
def test_what_a_file_may_not_say(here: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (here / "xdsaudit.toml").write_text(text)
    code, out, err = said(capsys)
    assert (code, out) == (2, "")
    assert words in err


def test_a_format_for_all_commands_counts_for_those_that_have_it(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "xdsaudit.toml").write_text('output = "github"\n')
    assert said(capsys)[1].startswith("::notice")
    assert run(["status", "--snapshot", "../snapshot"]) == 0
    assert not capsys.readouterr().out.startswith("::")
    monkeypatch.setenv("XDSAUDIT_OUTPUT", "sarif")
    assert run(["status", "--snapshot", "../snapshot"]) == 0
    (here / "xdsaudit.toml").write_text('[status]\noutput = "github"\n')
    monkeypatch.delenv("XDSAUDIT_OUTPUT")
    assert run(["status", "--snapshot", "../snapshot"]) == 2
    capsys.readouterr()


def test_options_of_other_commands_are_fine_for_all(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "xdsaudit.toml").write_text('controller-version = "2.1.9"\ndeadline = "60"\n')
    assert said(capsys)[0] == 0


def test_a_program_to_run_is_not_taken_from_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "xdsaudit.toml").write_text('[check]\nenvoy = "/tmp/evil"')
    assert run(["check", "-f", "nothing.yaml", "--offline"]) == 2
    assert "envoy is not accepted from a file" in " ".join(capsys.readouterr().err.split())
