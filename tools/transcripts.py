"""Transcripts in the documentation: blocks of ``console`` whose commands begin with ``$`` and whose output is what they print.

``python tools/transcripts.py`` runs every command, from the top of the checkout, and says which output differs; ``--write`` writes it anew. Only
xdsaudit itself is run, on recordings: no network, 80 columns, no colours. The README's demo, where a real Envoy is installed, is written anew as well, and
the blocks of the translated pages after it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_BLOCK: Final = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """Every page with a transcript."""
    found = [*ROOT.glob("*.md"), *(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)]
    return sorted(p for p in found if _BLOCK.search(p.read_text(encoding="utf-8")))


def entries(block: str) -> Iterator[tuple[str, str]]:
    """Commands of a block, each with its output."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@cache
def output_of(command: str) -> str:
    """What a command prints on standard output.

    Raises:
        ValueError: it is no command of xdsaudit, or it ends as wrong usage or a bug.
    """
    name, *arguments = shlex.split(command, comments=True)
    if name != "xdsaudit":
        raise ValueError(f"{command}: only xdsaudit is run")
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "KUBECONFIG": os.devnull, "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "xdsaudit", *arguments]
    done = subprocess.run(run, capture_output=True, text=True, env=env, cwd=ROOT, check=False, timeout=120)
    if done.returncode not in (0, 1, 3):
        raise ValueError(f"{command}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def rewritten(text: str) -> str:
    """A page whose transcripts are what is printed now."""

    def anew(found: re.Match[str]) -> str:
        parts = [f"$ {command}\n{output_of(command).rstrip()}\n" for command, _ in entries(found[1])]
        return "\n".join(parts)

    return _BLOCK.sub(anew, text)


def demo(text: str) -> str:
    """The README with the demo as it is printed now, unless only times, ports and the like differ."""
    shown = re.search(r"(?<=^```\n)starting a control plane.*?(?=^```$)", text, re.DOTALL | re.MULTILINE)
    if shown is None or find_spec("envoy") is None:
        return text
    # What follows is told in the README's own words: the healing of the control plane.
    now = output_of("xdsaudit demo").split("\n\n")
    now = "\n\n".join(now[: shown[0].rstrip().count("\n\n") + 1])
    return text if same(now) == same(shown[0]) else text.replace(shown[0], now.rstrip() + "\n")


def same(text: str) -> str:
    """A transcript without what changes from run to run."""
    text = re.sub(r"127\.0\.0\.1_\d+", "HOST", text)
    text = re.sub(r"captured \S+", "captured TIME", text)
    return " ".join(re.sub(r"\d+\.\d s", "N s", text).split())


def main() -> int:
    """Compare, or write."""
    stale = 0
    if "--write" in sys.argv[1:]:
        readme = ROOT / "README.md"
        readme.write_text(demo(readme.read_text(encoding="utf-8")), encoding="utf-8")
    for page in pages():
        text = page.read_text(encoding="utf-8")
        new = rewritten(text)
        if new == text:
            continue
        if "--write" in sys.argv[1:]:
            page.write_text(new, encoding="utf-8")
        else:
            stale += 1
            print(f"{page.relative_to(ROOT)}: a transcript is stale; python tools/transcripts.py --write")
    if "--write" in sys.argv[1:]:
        sys.path.insert(0, str(Path(__file__).resolve().parent))
        from translations import main as translate

        stale = translate()
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
