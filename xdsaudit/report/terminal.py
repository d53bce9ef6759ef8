"""Shared by text reports: a page of a given width, wrapped paragraphs, escaped names, verdict colours."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Final

from xdsaudit.model.verdict import Fix, RuleVerdict, Verdict

STYLE: Final = {
    Verdict.LOST: "bold red",
    Verdict.CHANGED: "bold red",
    Verdict.REFUSED: "magenta",
    Verdict.SHADOWED: "magenta",
    Verdict.NO_UPSTREAM: "yellow",
    Verdict.PENDING: "cyan",
    Verdict.UNKNOWN: "cyan",
    Verdict.DORMANT: "dim",
    Verdict.IN_SYNC: "green",
}


def printable(text: str) -> str:
    """The text with control, format and surrogate characters and unusual line ends escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp") else f"\\u{ord(c):04x}"
        for c in text
    )


class Page:
    """Lines of a given width, with or without colours.

    Attributes:
        width: columns to fit.
    """

    def __init__(self, width: int, *, color: bool) -> None:
        """Start an empty page."""
        self.width: int = width
        self._color = color
        self._lines: list[str] = []

    def print(self, line: str = "", style: str = "") -> None:
        """Add a line unchanged, whatever its width.

        Args:
            line: the line.
            style: words such as ``bold red``; ignored without colours.
        """
        codes = ";".join(_CODES[word] for word in style.split()) if self._color else ""
        line = line.rstrip()
        self._lines.append(f"\x1b[{codes}m{line}\x1b[0m" if codes and line else line)

    def text(self) -> str:
        """All lines, each with a newline."""
        return "".join(f"{line}\n" for line in self._lines)


_CODES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
"""Select Graphic Rendition codes, which every terminal supports (ECMA-48, 8.3.117)."""


def paragraph(page: Page, text: str, style: str = "", indent: int = 0, hang: int = 0) -> None:
    """Add a paragraph wrapped to the width, with a hanging indent."""
    for line in wrapped(text, page.width, indent, hang):
        page.print(line, style)


def wrapped(text: str, width: int, indent: int = 0, hang: int = 0) -> list[str]:
    """The lines of a paragraph."""
    start = " " * indent
    return textwrap.wrap(
        printable(text),
        max(width, indent + hang + 20),
        initial_indent=start,
        subsequent_indent=start + " " * hang,
        break_on_hyphens=False,
    )


def commands(page: Page, fixes: Sequence[Fix], indent: int, shown: int = 3) -> None:
    """Add the commands of a remedy by title, broken so that they can be copied."""
    by_title: dict[str, list[Fix]] = {}
    for fix in fixes:
        by_title.setdefault(fix.title, []).append(fix)
    for title, same in by_title.items():
        more = f" ({len(same)} in all, -o json lists them)" if len(same) > shown else ""
        paragraph(page, f"{title}{more}:", "cyan", indent=indent, hang=2)
        for fix in same[:shown]:
            for line in wrapped_command(printable(fix.command), page.width - indent - 2):
                page.print(f"{' ' * (indent + 2)}{line}")


def wrapped_command(command: str, width: int) -> list[str]:
    """A command broken into lines with trailing backslashes, never inside quotes."""
    words, quote = [""], ""
    for sign in command:
        if sign == " " and not quote:
            words.append("")
            continue
        if sign in "'\"":
            quote = "" if sign == quote else quote or sign
        words[-1] += sign
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 <= width:
            lines[-1] += f" {word}"
        else:
            lines[-1] += " \\"
            lines.append(f"  {word}")
    return lines


def many(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun: ``1 rule``, ``2,000 rules``; ``plural`` if adding an s is wrong."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def name_of(verdict: RuleVerdict) -> str:
    """A rule as people look for it: Ingress, host, path and path type."""
    rule = verdict.rule
    kind = f" ({rule.path_type})" if rule.path_type else ""
    return f"{rule.ref}  {rule.host}{rule.path}{kind}"
