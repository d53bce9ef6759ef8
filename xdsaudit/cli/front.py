"""Help, version and the meaning of a code, answered without loading the commands.

The text is click's own (``tools/build_help.py`` writes it, a test compares it); a terminal too narrow for it is left to click.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

_HELP: Final = os.path.join(os.path.dirname(__file__), "help.txt")  # noqa: PTH118, PTH120 - pathlib costs more than all of this
_WIDTH: Final = 80
TESTED: Final = "tested against Higress 2.0.1 and 2.1.9, Envoy 1.40"


def program(called: str) -> str:
    """The name users call: ``xdsaudit``, or ``kubectl xdsaudit`` as a kubectl plugin."""
    return "kubectl xdsaudit" if os.path.basename(called).startswith("kubectl") else "xdsaudit"  # noqa: PTH119


def answer_at_once(arguments: Sequence[str], name: str) -> str | None:
    """The text that answers these arguments; None if they need a command."""
    if list(arguments) == ["--version"]:
        from xdsaudit import __version__

        return f"xdsaudit {__version__} ({TESTED})\n"
    if len(arguments) == 2 and arguments[0] == "explain" and arguments[1][:2].upper() == "XA":
        return _code(arguments[1])
    if list(arguments) not in ([], ["--help"], ["-h"]) or not _wide() or _completing():
        return None
    with open(_HELP, encoding="utf-8") as file:  # noqa: PTH123
        return file.read().replace("xdsaudit [OPTIONS]", f"{name} [OPTIONS]", 1)


def _code(word: str) -> str | None:
    """What ``explain CODE`` prints; None if it is not a code, or a file has that name."""
    from xdsaudit.audit.causes.catalogue import BY_CODE
    from xdsaudit.report.code import code_text

    row = BY_CODE.get(word.upper())
    return code_text(row) if row is not None and not os.path.exists(word) else None  # noqa: PTH110


def _completing() -> bool:
    """Whether a shell asks for completions, which click provides (``_XDSAUDIT_COMPLETE``)."""
    return any(key.endswith("XDSAUDIT_COMPLETE") for key in os.environ)


def _wide() -> bool:
    """Whether the terminal is wide enough, as click measures it (``shutil.get_terminal_size``)."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns) >= _WIDTH
    try:
        width = os.get_terminal_size(sys.__stdout__.fileno()).columns if sys.__stdout__ is not None else 0
    except (OSError, ValueError, AttributeError):
        width = 0
    return width == 0 or width >= _WIDTH
