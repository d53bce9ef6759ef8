"""``kubectl_complete-xdsaudit``: what kubectl asks for to complete ``kubectl xdsaudit`` (kubectl 1.26 and later).

kubectl calls it with the words after ``kubectl xdsaudit``, the last of which is being typed, and expects what cobra prints: a
completion a line, with its description behind a tab, and a last line of a colon and a number.
Source: kubectl docs, "kubectl completion" and cobra's ShellCompDirective.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

FILES: Final = 0
"""The shell may offer file names."""
NO_FILES: Final = 4


def complete(words: Sequence[str]) -> tuple[list[tuple[str, str]], int]:
    """Completions with their descriptions, and cobra's directive.

    Args:
        words: what follows ``kubectl xdsaudit``; the last is incomplete, possibly empty.
    """
    from click.shell_completion import ShellComplete

    from xdsaudit.cli.group import cli

    *before, incomplete = words or ("",)
    completions = ShellComplete(cli, {}, "xdsaudit", "_XDSAUDIT_COMPLETE").get_completions(before, incomplete)
    if any(item.type in ("file", "dir") for item in completions):
        return [], FILES
    return [(item.value, item.help or "") for item in completions], NO_FILES


def main() -> None:
    """Print the completions of the words on the command line."""
    completions, directive = complete(sys.argv[1:])
    for value, text in completions:
        print(f"{value}\t{text}" if text else value)  # noqa: T201 - the protocol is standard output
    print(f":{directive}")  # noqa: T201


if __name__ == "__main__":
    main()
