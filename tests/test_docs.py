"""What the documentation shows is what happens: its Python runs, and the README's transcript is the demo's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xdsaudit.audit.catalogue import CATALOGUE
from xdsaudit.cli.main import _COMMANDS, run

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [(p, b) for p in PAGES for b in re.findall(r"```python\n(.*?)```", p.read_text(encoding="utf-8"), re.DOTALL)]


@pytest.mark.parametrize("block", [b for _, b in BLOCKS], ids=[f"{p.name}-{n}" for n, (p, _) in enumerate(BLOCKS)])
def test_python_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, "<docs>", "exec"), {})


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
