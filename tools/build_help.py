"""Write the help of the whole as click makes it, for ``xdsaudit.cli.front``; ``--check`` only compares."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "xdsaudit" / "cli" / "help.txt"


def help_text(name: str = "xdsaudit") -> str:
    """What click says of the group, on a terminal of any width from 80 on."""
    from xdsaudit.cli.group import cli

    os.environ["COLUMNS"] = "80"
    with cli.make_context(name, [], resilient_parsing=True) as context:
        return cli.get_help(context) + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        FILE.write_text(help_text(), encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != help_text():
        sys.exit(f"{FILE.name} is not what click says: run tools/build_help.py")
