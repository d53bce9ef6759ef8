"""Texts without which a regex does not match, so that few of many regexes are run on a path.

Read from the tree that Python's parser makes; a regex that it reads differently from RE2, or not at all, needs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from xdsaudit.audit.requests.automaton import Parsed, TooHardError, tree_of
from xdsaudit.audit.requests.cells import UNCERTAIN

Need = frozenset[str]
"""Texts of which every match contains one; case-folded."""


def needs(regex: str) -> list[Need]:
    """Sets of texts, of each of which every match of the regex contains one, once both are case-folded."""
    if UNCERTAIN.search(regex):
        return []
    try:
        return _of_all(tree_of(regex))
    except TooHardError:
        return []


def _of_all(tree: Iterable[Parsed]) -> list[Need]:
    found: list[Need] = []
    run = ""
    for op, argument in (*tree, ("END", None)):
        name = str(op)
        if name == "LITERAL":
            run += chr(argument)
            continue
        if run:
            found.append(frozenset({run.casefold()}))
            run = ""
        if name == "SUBPATTERN":
            found += _of_all(argument[3])
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] > 0:
            found += _of_all(argument[2])
        elif name == "BRANCH":
            ways = [max(_of_all(way), key=_shortest, default=frozenset[str]()) for way in argument[1]]
            found += [frozenset[str]().union(*ways)] if all(ways) else []
    return found


def _shortest(need: Need) -> int:
    return min(map(len, need))
