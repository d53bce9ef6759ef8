"""What the documentation shows is what happens: its Python runs, and the README's transcript is the demo's."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import xdsaudit
import xdsaudit.testing
from xdsaudit.audit.causes.catalogue import CATALOGUE
from xdsaudit.cli.group import _COMMANDS, cli
from xdsaudit.cli.main import run
from xdsaudit.testing import ingress

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [(p, b) for p in PAGES for b in re.findall(r"```python\n(.*?)```", p.read_text(encoding="utf-8"), re.DOTALL)]


def tool(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("block", [b for _, b in BLOCKS], ids=[f"{p.name}-{n}" for n, (p, _) in enumerate(BLOCKS)])
def test_python_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block, "<docs>", "exec"), {})


def test_every_public_name_has_an_example() -> None:
    shown = "\n".join(block for _, block in BLOCKS)
    missing = [n for n in xdsaudit.__all__ if not re.search(rf"\b{n}\b", shown)]
    assert missing == ["__version__"]
    assert [n for n in xdsaudit.testing.__all__ if not re.search(rf"\b{n}\b", shown)] == []


def test_the_readme_shows_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("envoy")
    assert run(["demo"]) == 0
    shown = max(re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL), key=len)
    same = tool("transcripts").same
    assert same(shown) in same(capsys.readouterr().out), "python tools/transcripts.py --write prints it anew"


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


def neighbours() -> list[list[str]]:
    """The rows of the table of other tools: what is asked for, how, its proof, who does it too."""
    page = (ROOT / "docs" / "neighbours.md").read_text(encoding="utf-8")
    return [[c.strip() for c in row.strip("|").split(" | ")] for row in page.splitlines() if row.startswith("| ")][2:]


def test_what_is_asked_for_has_a_command_that_exists_and_a_proof() -> None:
    rows = neighbours()
    assert len(rows) == 26
    for asked, how, proof, _ in rows:
        assert (ROOT / proof.strip("`")).is_file(), asked
        for line in re.findall(r"`(xdsaudit [^`]+)`", how):
            _, name, *arguments = shlex.split(line)
            command = cli.get_command(None, name)  # type: ignore[arg-type]
            assert command is not None, line
            command.make_context(name, list(arguments), resilient_parsing=True)


def test_commands_are_found() -> None:
    assert len(commands()) > 15


# --- links and pages --------------------------------------------------------------------------------------------------
LINKED = [*sorted(ROOT.glob("*.md")), *(p for p in PAGES[1:] if not p.is_relative_to(ROOT / "docs" / "_build"))]
GENERATED = ("codes", "annotations", "options")


def links(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [
        target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:|#", target)
    ]


def generated(page: Path) -> bool:
    return (
        page.is_relative_to(ROOT / "docs" / "reference")
        and page.relative_to(ROOT / "docs" / "reference").parts[0].removesuffix(".md") in GENERATED
    )


@pytest.mark.parametrize("page", [p for p in LINKED if not generated(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_a_file(page: Path) -> None:
    """A page read on a forge must not link what only the build makes; one of the documentation may."""
    for target in links(page):
        place = (page.parent / target).resolve()
        assert place.exists() or generated(place), f"{page.name} links {target}"
        if page.parent == ROOT:
            assert not generated(place), f"{page.name} links {target}, which only make docs makes"


@pytest.fixture(scope="module")
def code_pages() -> Any:
    return tool("code_pages")


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.code)
def test_the_page_of_a_code_shows_the_verdict_that_its_world_gets(code_pages: Any, row: Any) -> None:
    page = code_pages.page(row)
    assert page.startswith(f"# {row.code} {row.slug}\n")
    shown = page.split("## As printed")[1].split("\n## ")[0]
    if row.slug not in ("partly-shadowed", "unreadable", "class-not-ours", "namespace-not-watched"):
        assert row.slug in shown, "what is printed is of this code"
    assert "/tmp" not in page
    told = re.sub(r"\\(.)", r"\1", page)
    for text in (row.title, row.meaning, row.shows, row.remedy, row.prevention):
        assert text in told
        assert not re.search(r"(?<!\\)[<\[*`]", code_pages.prose(text)), "nothing in it is taken for markup"
    assert "## How far it is proven" in page
    for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        assert text.strip()


def test_codes_that_are_said_to_be_proven_by_envoy_are_named_there(code_pages: Any) -> None:
    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests" / "e2e").glob("test_*.py"))
    for row in CATALOGUE:
        if row.code in code_pages._REAL_ENVOY:
            assert row.slug in text or row.code in text
    assert "duplicated-route" in code_pages.proven()
    assert (
        code_pages.how_far_in_a_word(next(r for r in CATALOGUE if r.slug == "stale-route-cache"))
        == "real Envoy, recording"
    )


def test_every_annotation_has_a_page_with_its_effect() -> None:
    pages = tool("annotation_pages")
    for row in pages.TABLE:
        page = pages.page(row)
        assert f"higress.io/{row.key}: " in page, "the example has it"
        if row.effect and row.effect != "rpc":
            assert "leaves this example's routes" not in page, "an effect that the table names shows in the example"
        else:
            assert "```diff" not in page


def test_the_pages_of_annotations_tell_what_differs_from_nginx() -> None:
    pages = tool("annotation_pages")
    said = {row.key: pages.coming_from_nginx(row) for row in pages.TABLE}
    assert any("Higress sends /cart/x to /new/x" in line for line in said["rewrite-target"])
    assert not any("What differs" in line for line in said["timeout"])
    assert "**not** read" in said["timeout"][0]
    lost = "\n".join(pages.lost_from_nginx())
    for row in pages.BY_NGINX_KEY.values():
        assert (f"| `{row.key}` |" in lost) == (row.weight != pages.DETAIL)


def test_every_option_is_on_the_page_of_options() -> None:
    page = tool("option_pages").page()
    for command in tool("command_line").commands():
        part = page.split(f"\n## xdsaudit {command.name}\n")[1].split("\n## xdsaudit ")[0]
        for heading, options in command.groups.items():
            own = part.split("\n## Groups of options")[0]
            place = own if f"**{heading}**" in own else page.split(f"\n### {heading}\n")[1].split("\n### ")[0]
            for option in options:
                assert f"| `{option.flags.replace('|', chr(92) + '|')}` |" in place, f"{command.name}: {option.flags}"


# --- transcripts, translations, ways of use ---------------------------------------------------------------------------
TRANSCRIPTS = tool("transcripts")
SHOWN = [
    (page, command, output)
    for page in TRANSCRIPTS.pages()
    for block in TRANSCRIPTS._BLOCK.findall(page.read_text(encoding="utf-8"))
    for command, output in TRANSCRIPTS.entries(block)
]


@pytest.mark.parametrize(("page", "command", "output"), SHOWN, ids=[f"{p.name}-{c}"[:70] for p, c, _ in SHOWN])
def test_a_transcript_is_what_is_printed(page: Path, command: str, output: str) -> None:
    printed = TRANSCRIPTS.output_of(command)
    assert output.rstrip() == printed.rstrip(), f"{page.name} is stale: python tools/transcripts.py --write"


def test_transcripts_are_found() -> None:
    assert {p.name for p, _, _ in SHOWN} >= {"index.md", "tutorial.md"}
    assert len(SHOWN) >= 7
    with pytest.raises(ValueError, match="only xdsaudit"):
        TRANSCRIPTS.output_of("rm -rf nothing")
    with pytest.raises(ValueError, match="exit code 2"):
        TRANSCRIPTS.output_of("xdsaudit diff --snapshot nowhere")


@pytest.mark.parametrize(("english", "translated"), tool("translations").PAGES.items())
def test_a_translated_page_keeps_step(english: str, translated: str) -> None:
    """Same headings, same code; commands and output are taken over by tools/translations.py --write."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in (english, translated)]
    assert tool("translations").problems(*texts) == []


def test_what_is_out_of_step_is_found() -> None:
    translations = tool("translations")
    english = "# A\n\n    xdsaudit diff  # all\n\n## B\n\n```sh\nxdsaudit status\n```\n"
    fine = "# 甲\n\n    xdsaudit diff  # 全部\n\n## 乙\n\n```sh\nxdsaudit status\n```\n"
    assert translations.problems(english, fine) == []
    assert translations.taken_over(english, fine) == fine, "a translated comment stays"
    for wrong in (fine.replace("## 乙", "### 乙"), fine.replace("status", "diff"), fine.split("## 乙")[0]):
        assert translations.problems(english, wrong)
    assert "xdsaudit status" in translations.taken_over(english, fine.replace("status", "diff"))


@pytest.mark.parametrize("name", ["install", "operate", "ci", "library", "tests", "contribute", "deploy"])
def test_each_way_of_use_begins_with_a_command_and_is_short(name: str) -> None:
    text = (ROOT / "docs" / "how-to" / f"{name}.md").read_text(encoding="utf-8")
    assert re.match(r"# [^\n]+\n\n```sh\n\w", text), "its first block is a command"
    assert len(text.splitlines()) <= 100
    assert f"how-to/{name}.md" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_the_pre_commit_hook_is_a_command_that_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {"id", "name", "entry", "language"} <= hook.keys()
    item = {**ingress("a", "foo.test", "/a"), "apiVersion": "networking.k8s.io/v1"}
    (tmp_path / "a.json").write_text(json.dumps(item))
    arguments = [str(tmp_path) if a == "." else a for a in (*hook["entry"].split()[1:], *hook["args"])]
    assert run(arguments) == 0
    capsys.readouterr()


def test_the_job_for_gitlab_runs_and_leaves_what_it_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/how-to/ci.md").read_text(encoding="utf-8")
    block = page.partition("## GitLab")[2].partition("```yaml\n")[2].partition("```")[0]
    (job,) = yaml.safe_load(block).values()
    (tmp_path / "k8s").mkdir()
    item = {
        **ingress("a", "foo.test", "/a", annotations={"higress.io/timeout": "10s"}),
        "apiVersion": "networking.k8s.io/v1",
    }
    (tmp_path / "k8s" / "a.json").write_text(json.dumps(item))
    monkeypatch.chdir(tmp_path)
    for line in job["script"]:
        if line.startswith("xdsaudit "):
            assert run(shlex.split(line)[1:]) == 0
    capsys.readouterr()
    (row,) = json.loads((tmp_path / job["artifacts"]["reports"]["codequality"]).read_text())
    assert (row["check_name"], row["location"]["path"]) == ("XA221", "k8s/a.json")
