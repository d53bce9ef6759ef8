"""What text reports share: a page of a given width, wrapped paragraphs, harmless names, the colours of verdicts."""

from __future__ import annotations

import io
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from xdsaudit.model.verdict import Fix, RuleVerdict, Verdict

if TYPE_CHECKING:
    from rich.console import Console

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


def paper(width: int, *, color: bool) -> tuple[Console, Callable[[], str]]:
    """A page to write on, and the function that gives its text, lines without trailing blanks."""
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=color,
        no_color=not color,
        color_system="standard" if color else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    return console, lambda: "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def say(console: Console, text: str, style: str = "", indent: int = 0, hang: int = 0) -> None:
    """A paragraph wrapped to the width, with a hanging indent."""
    from rich.text import Text

    for line in wrapped(text, console.width, indent, hang):
        console.print(Text(line, style=style), soft_wrap=True)


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


def commands(console: Console, fixes: Sequence[Fix], indent: int, shown: int = 3) -> None:
    """Commands below a remedy, a title each, broken so that they can be copied as they stand; alike ones once."""
    by_title: dict[str, list[Fix]] = {}
    for each in fixes:
        by_title.setdefault(each.title, []).append(each)
    for title, listed in by_title.items():
        more = f" ({len(listed)} in all, -o json lists them)" if len(listed) > shown else ""
        say(console, f"{title}{more}:", "cyan", indent=indent, hang=2)
        for each in listed[:shown]:
            for line in wrapped_command(printable(each.command), console.width - indent - 2):
                console.print(f"{' ' * (indent + 2)}{line}", soft_wrap=True)


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
