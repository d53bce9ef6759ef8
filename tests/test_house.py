"""What keeps the house legible: how long modules and functions may be, and how many parameters a function may take."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "xdsaudit"
MODULE, FUNCTION, PARAMETERS = 400, 60, 6
BUILDERS = {"xdsaudit/testing/builders.py:ingress"}
"""Functions that may take more parameters: each is one field of an object that a test writes."""

ANY = {
    "xdsaudit/xds/pool.py": "Message: the class of a protobuf message is made at run time",
    "xdsaudit/testing/builders.py": "Json: a document that tests take apart and change at any depth",
    "xdsaudit/audit/requests/automaton.py": "Parsed: Python tells nobody what its parser of regexes gives",
}
"""Modules that may say ``Any``, each in one alias with its reason. Everything else says what it holds."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def functions() -> Iterator[tuple[str, Function]]:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(PACKAGE.parent).as_posix()}:{node.name}", node


def parameters(node: Function) -> int:
    named = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(named) - (named[:1] in (["self"], ["cls"]))


def test_no_module_is_too_long_to_read_at_once() -> None:
    assert [p.name for p in modules() if len(p.read_text(encoding="utf-8").splitlines()) > MODULE] == []


def test_no_function_is_too_long_to_see_at_once() -> None:
    long = [name for name, node in functions() if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION]
    assert long == []


def test_no_function_takes_more_parameters_than_one_can_tell_apart() -> None:
    many = {name for name, node in functions() if parameters(node) > PARAMETERS}
    assert many == BUILDERS


def test_any_stands_where_no_type_can_and_nowhere_else() -> None:
    said = {}
    for path in modules():
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        names = [getattr(n, "id", getattr(n, "attr", getattr(n, "name", ""))) for n in nodes]
        if "Any" in names:
            said[path.relative_to(PACKAGE.parent).as_posix()] = names.count("Any")
    assert said == dict.fromkeys(ANY, 2)  # its import and the alias


def test_every_module_says_what_it_holds() -> None:
    silent = [p.name for p in modules() if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]
    assert silent == []
