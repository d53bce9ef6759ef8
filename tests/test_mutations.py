"""The mutants that `make mutants` makes: each is code that runs and differs in one place, and none of messages."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("mutations", ROOT / "tools" / "mutations.py")
assert SPEC is not None
assert SPEC.loader is not None
MUTATIONS = sys.modules["mutations"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(MUTATIONS)

SOURCE = '''"""Doc of the module."""

def taken(items: list[int], *, most: int = 3) -> bool:
    """Doc."""
    if not items or len(items) > most:
        raise ValueError(f"more than {most + 1}")
    assert items == items
    return any(item == 1 for item in items)
'''


def test_what_decides_is_made_wrong_and_what_is_only_said_is_not() -> None:
    made = MUTATIONS.mutants("m.py", SOURCE)
    assert {(m.line, m.was, m.now) for m in made} == {
        (3, "3", "4"),
        (5, "not items or len(items) > most", "True"),
        (5, "not items or len(items) > most", "False"),
        (5, "not items or len(items) > most", "not items and len(items) > most"),
        (5, "not items or len(items) > most", "not items"),
        (5, "not items or len(items) > most", "len(items) > most"),
        (5, "not items", "items"),
        (5, "len(items) > most", "len(items) >= most"),
        (5, "len(items) > most", "len(items) <= most"),
        (8, "any", "all"),
        (8, "item == 1", "item != 1"),
        (8, "1", "2"),
    }
    assert len({m.name for m in made}) == len(made)
    for mutant in made:
        compile(mutant.text, mutant.module, "exec")
        assert mutant.diff(SOURCE).count("\n") == 1


def test_every_mutant_that_is_called_equivalent_has_its_module_and_its_reason() -> None:
    rows = tomllib.loads((ROOT / "tools" / "equivalent_mutants.toml").read_text())["mutant"]
    assert len({r["name"] for r in rows}) == len(rows) > 0
    assert all((ROOT / r["name"].partition("::")[0]).is_file() and r["why"] for r in rows)
