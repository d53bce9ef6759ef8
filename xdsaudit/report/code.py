"""A code of the catalogue as text."""

from __future__ import annotations

from xdsaudit.audit.causes.cause import Cause
from xdsaudit.audit.causes.fix import examples
from xdsaudit.report.terminal import wrapped, wrapped_command


def code_text(row: Cause, *, width: int = 80) -> str:
    """What a code means, for people; without colours, since it is read in files as often as on terminals."""
    lines = [*wrapped(f"{row.code} {row.slug} ({row.severity.value})", width), *wrapped(row.title, width)]
    for head, text in (
        ("What it is", row.meaning),
        ("How you notice it", row.shows),
        ("How to fix it", row.remedy),
        ("How to prevent it", row.prevention),
        ("Issues", ", ".join(row.issues)),
    ):
        if text:
            lines += ["", *wrapped(f"{head}. {text}", width)]
    if row.fix:
        lines += ["", *wrapped("Commands, with example names; an audit prints the real ones.", width)]
        for fix in examples(row):
            lines += [
                *wrapped(f"  {fix.title}:", width),
                *(f"    {x}" for x in wrapped_command(fix.command, width - 4)),
            ]
    return "".join(f"{line}\n" for line in lines)
