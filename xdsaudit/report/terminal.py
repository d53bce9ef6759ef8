"""What text reports share: a page of a given width, wrapped paragraphs, harmless names, the colours of verdicts."""

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
    """Text with every control, format and surrogate character, and every exotic line end, as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp") else f"\\u{ord(c):04x}"
        for c in text
    )


class Page:
    """Lines of a given width, with colours or without.

    Attributes:
        width: columns to fit.
    """

    def __init__(self, width: int, *, color: bool) -> None:
        """Start an empty page."""
        self.width: int = width
        self._color = color
        self._lines: list[str] = []

    def print(self, line: str = "", style: str = "") -> None:
        """Add a line as it is, whatever its width.

        Args:
            line: the line.
            style: words such as ``bold red``; without colours they are left out.
        """
        codes = ";".join(_CODES[word] for word in style.split()) if self._color else ""
        line = line.rstrip()
        self._lines.append(f"\x1b[{codes}m{line}\x1b[0m" if codes and line else line)

    def text(self) -> str:
        """What was written, each line with its end."""
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
"""Select Graphic Rendition, as every terminal takes it (ECMA-48, 8.3.117)."""


def paragraph(page: Page, text: str, style: str = "", indent: int = 0, hang: int = 0) -> None:
    """A paragraph wrapped to the width, with a hanging indent."""
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
    """Commands below a remedy, a title each, broken so that they can be copied as they stand; alike ones once."""
    by_title: dict[str, list[Fix]] = {}
    for each in fixes:
        by_title.setdefault(each.title, []).append(each)
    for title, listed in by_title.items():
        more = f" ({len(listed)} in all, -o json lists them)" if len(listed) > shown else ""
        paragraph(page, f"{title}{more}:", "cyan", indent=indent, hang=2)
        for each in listed[:shown]:
            for line in wrapped_command(printable(each.command), page.width - indent - 2):
                page.print(f"{' ' * (indent + 2)}{line}")


def wrapped_command(command: str, width: int) -> list[str]:
    """A command over several lines, each but the last with the backslash that makes a shell read on; never inside quotes."""
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
    """A number with its noun: ``1 rule``, ``2,000 rules``; ``plural`` where an s does not do."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def name_of(verdict: RuleVerdict) -> str:
    """A rule as people find it: its Ingress, host, path and path type."""
    rule = verdict.rule
    kind = f" ({rule.path_type})" if rule.path_type else ""
    return f"{rule.ref}  {rule.host}{rule.path}{kind}"
