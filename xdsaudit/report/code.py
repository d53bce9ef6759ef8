"""A code of the catalogue as text."""

from __future__ import annotations

from xdsaudit.audit.causes.code import Code
from xdsaudit.report.terminal import wrapped


def code_text(row: Code, *, width: int = 80) -> str:
    """What a code means, for people, without colours: the page is read as often in a file as on a terminal."""
    lines = [*wrapped(f"{row.code} {row.slug} ({row.severity.value})", width), *wrapped(row.title, width)]
    for head, text in (
        ("What it is", row.meaning),
        ("How it shows", row.shows),
        ("What heals it", row.remedy),
        ("How to prevent it", row.prevention),
        ("Issues", ", ".join(row.issues)),
    ):
        if text:
            lines += ["", *wrapped(f"{head}. {text}", width)]
    return "".join(f"{line}\n" for line in lines)
