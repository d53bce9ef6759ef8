"""Write the man page ``xdsaudit.1`` from click: ``python tools/man_page.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from command_line import Command, commands

from xdsaudit import __version__

CODES = {
    0: "everything asked for was read and is in sync",
    1: "something is wrong: a rule is lost, changed, refused, shadowed or without upstream, a route is extra, or a finding is an error",
    2: "wrong usage or unreadable input",
    3: "not everything could be judged: a rule is unknown or pending, or a view could not be read",
    4: "wait timed out",
    70: "a bug of xdsaudit",
    130: "interrupted; 143 by SIGTERM, 129 by SIGHUP",
}


def escaped(text: str) -> str:
    """Text that troff shows as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in text.splitlines())


def section(found: Command) -> list[str]:
    """The lines of one command."""
    lines = [f".SS {escaped(found.usage)}"]
    for text, literal in found.paragraphs:
        lines += [".PP", *([".nf", escaped(text), ".fi"] if literal else [escaped(text)])]
    for heading, options in found.groups.items():
        lines += [".PP", f"\\fI{escaped(heading)}\\fR"]
        for option in options:
            lines += [".TP", f"\\fB{escaped(option.flags)}\\fR", escaped(option.text) or "\\&"]
    return lines


def page() -> str:
    """The man page."""
    lines = [
        f'.TH XDSAUDIT 1 "" "xdsaudit {__version__}" "User Commands"',
        ".SH NAME",
        "xdsaudit \\- names the Higress route that got lost between Ingress and Envoy",
        ".SH SYNOPSIS",
        ".B xdsaudit\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]...",
        ".SH DESCRIPTION",
        escaped(
            "Computes the routes that every Ingress must become, reads what the control plane serves and what Envoy runs, compares the views, "
            "and names the rule, the stage that lost it, the proof and the remedy. It is read-only. Also installed as kubectl-xdsaudit."
        ),
        ".SH COMMANDS",
    ]
    for found in commands():
        lines += section(found)
    lines.append(".SH EXIT STATUS")
    for code, text in CODES.items():
        lines += [".TP", f".B {code}", escaped(text)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP\n.B KUBECONFIG\nthe kubeconfig, unless \\-\\-kubeconfig is given",
        ".TP\n.B NO_COLOR, FORCE_COLOR\nwhether output is coloured",
        ".TP\n.B XDSAUDIT_DEBUG\nshows the full traceback of a bug, which may contain values that were read",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    place.mkdir(parents=True, exist_ok=True)
    (place / "xdsaudit.1").write_text(page(), encoding="utf-8")
