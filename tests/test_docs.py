"""What the documentation shows is what happens: its Python runs, and the README's transcript is the demo's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import xdsaudit
from xdsaudit.audit.causes.catalogue import CATALOGUE
from xdsaudit.cli.group import _COMMANDS, cli
from xdsaudit.cli.main import run

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [(p, b) for p in PAGES for b in re.findall(r"```python\n(.*?)```", p.read_text(encoding="utf-8"), re.DOTALL)]


@pytest.mark.parametrize("block", [b for _, b in BLOCKS], ids=[f"{p.name}-{n}" for n, (p, _) in enumerate(BLOCKS)])
def test_python_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, "<docs>", "exec"), {})


def test_every_public_name_has_an_example() -> None:
    shown = "\n".join(block for _, block in BLOCKS)
    missing = [n for n in xdsaudit.__all__ if not re.search(rf"\b{n}\b", shown)]
    assert missing == ["__version__"]


def same(text: str) -> str:
    """A transcript without what changes from run to run."""
    text = re.sub(r"127\.0\.0\.1_\d+", "HOST", text)
    text = re.sub(r"captured \S+", "captured TIME", text)
    return " ".join(re.sub(r"\d+\.\d s", "N s", text).split())


def test_the_readme_shows_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("envoy")
    assert run(["demo"]) == 0
    shown = max(re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL), key=len)
    assert same(shown) in same(capsys.readouterr().out)


def test_commands_are_documented() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert all(f"xdsaudit {name}" in page for name in _COMMANDS)


def test_every_code_says_what_heals_it() -> None:
    assert all(c.meaning and c.remedy and c.title for c in CATALOGUE)


def commands() -> list[tuple[str, str]]:
    """Every xdsaudit command that a block of the documentation shows, indented or fenced; prose is none."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fenced = "\n".join(re.findall(r"```(?:sh|yaml)\n(.*?)```", text, re.DOTALL))
        indented = "\n".join(re.findall(r"^ {4}(?=\S)(.*)$", text, re.MULTILINE))
        for line in f"{fenced}\n{indented}".splitlines():
            for part in re.split(r"&&|\|", line):
                shown = re.match(r"\s*(?:- run: )?(xdsaudit \w+.*)$", part)
                if shown and "..." not in shown[1]:
                    found.append((page.name, shown[1]))
    return found


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda text: str(text)[:60])
def test_commands_that_are_shown_have_such_options(page: str, line: str) -> None:
    _, name, *arguments = shlex.split(line, comments=True)
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None, f"{page}: {line}"
    command.make_context(name, list(arguments))


def test_commands_are_found() -> None:
    assert len(commands()) > 15
