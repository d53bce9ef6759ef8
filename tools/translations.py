"""Pages in Chinese and the English pages they follow: same headings by level, same blocks of code; comments in them are translated.

``python tools/translations.py`` says what is out of step; ``--write`` takes over blocks of code, and keeps a translated comment where its command stays.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = {"README.md": "README.zh.md", "docs/tutorial.md": "docs/zh/tutorial.md"}
_BLOCK: Final = re.compile(r"^```.*?^```$|(?:^ {4}\S[^\n]*\n?)+", re.DOTALL | re.MULTILINE)
_COMMENT: Final = re.compile(r"\s+# .*$")


def headings(text: str) -> list[int]:
    """Levels of the headings, in order; code is none."""
    return [len(marks) for marks in re.findall(r"^(#+) ", _BLOCK.sub("", text), re.MULTILINE)]


def blocks(text: str) -> list[str]:
    """Blocks of code, fenced or indented, in order."""
    return [found[0].rstrip("\n") for found in _BLOCK.finditer(text)]


def bare(block: str) -> list[str]:
    """Lines of a block without comments."""
    return [_COMMENT.sub("", line) for line in block.splitlines()]


def problems(english: str, other: str) -> list[str]:
    """What is out of step, in words."""
    found = []
    if headings(english) != headings(other):
        found.append(f"headings are of the levels {headings(other)}, in English {headings(english)}")
    ours, theirs = blocks(english), blocks(other)
    if len(ours) != len(theirs):
        found.append(f"it has {len(theirs)} blocks of code, in English {len(ours)}")
    found += [
        f"block {n} differs: {next((a for a, b in zip(bare(one), bare(two), strict=False) if a != b), 'its length')!r}"
        for n, (one, two) in enumerate(zip(ours, theirs, strict=False), 1)
        if bare(one) != bare(two)
    ]
    return found


def merged(english: str, other: str) -> str:
    """A block in English, with the comments of the other where the command is the same."""
    known = dict(zip(bare(other), other.splitlines(), strict=True))
    return "\n".join(known.get(line, whole) for line, whole in zip(bare(english), english.splitlines(), strict=True))


def taken_over(english: str, other: str) -> str:
    """The other page with the English page's blocks of code.

    Raises:
        ValueError: they have not as many blocks.
    """
    ours, theirs = blocks(english), blocks(other)
    if len(ours) != len(theirs):
        raise ValueError(f"it has {len(theirs)} blocks of code, in English {len(ours)}: add or remove one by hand")
    left = [merged(one, two) for one, two in zip(ours, theirs, strict=True)]

    def next_block(found: re.Match[str]) -> str:
        return left.pop(0) + ("\n" if found[0].endswith("\n") else "")

    replaced: Callable[[re.Match[str]], str] = next_block
    return _BLOCK.sub(replaced, other)


def main() -> int:
    """Compare, or write."""
    failed = 0
    for name, translated in PAGES.items():
        english = (ROOT / name).read_text(encoding="utf-8")
        place = ROOT / translated
        if "--write" in sys.argv[1:]:
            place.write_text(taken_over(english, place.read_text(encoding="utf-8")), encoding="utf-8")
        for said in problems(english, place.read_text(encoding="utf-8")):
            failed = 1
            print(f"{translated}: {said}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
