"""The mutants of a module: its source with one small thing made wrong, as text, so that a difference can be shown.

Comparisons, ``and``/``or`` and their operands, conditions, constants, ``any``/``all``, arithmetic, statements that only act
(calls, yields, ``continue``). Annotations, assertions, docstrings and messages decide nothing and are left as they are; so are attributes of classes.
"""

from __future__ import annotations

import ast
import copy
import difflib
from collections.abc import Iterator
from typing import Any, NamedTuple

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_SWAPPED = {"any": "all", "all": "any", "min": "max", "max": "min"}
_ACTING = (ast.Call, ast.Yield, ast.YieldFrom)
_LEFT = (ast.JoinedStr, ast.Assert, ast.Raise)


class Mutant(NamedTuple):
    """One thing made wrong.

    Attributes:
        module: path below the root.
        function: where it stands, ``Class.method`` or "" for the module itself.
        line: of its first character, counted from 1.
        was: the piece of source.
        now: what stands there instead.
        nth: counted from 1, among equal ones of the function.
        text: the module's whole source with it.
    """

    module: str
    function: str
    line: int
    was: str
    now: str
    nth: int
    text: str

    @property
    def name(self) -> str:
        """The same for as long as its function holds the piece: line numbers move, this does not."""
        return f"{self.module}::{self.function}::{self.was} -> {self.now}" + (f" #{self.nth}" if self.nth > 1 else "")

    def diff(self, before: str) -> str:
        """The lines that differ."""
        lines = difflib.unified_diff(before.splitlines(), self.text.splitlines(), lineterm="", n=0)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def mutants(module: str, text: str) -> list[Mutant]:
    """All mutants of a module, in the order of its source."""
    data = text.encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    made: list[Mutant] = []
    seen: dict[tuple[str, str, str], int] = {}
    for function, node, other in _changes(ast.parse(text)):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        now = "pass" if other is None else ast.unparse(other)
        was = ast.unparse(node)
        put = now if other is None else f"({now})"
        mutated = (data[:begin] + put.encode() + data[end:]).decode()
        seen[function, was, now] = nth = seen.get((function, was, now), 0) + 1
        made.append(Mutant(module, function, node.lineno, was, now, nth, mutated))
    return made


def _changes(tree: ast.Module) -> Iterator[tuple[str, Any, ast.AST | None]]:
    """Nodes to replace, each with what comes instead; None stands for ``pass``."""
    yield from _walk(tree, ())


def _walk(node: ast.AST, path: tuple[str, ...]) -> Iterator[tuple[str, Any, ast.AST | None]]:
    if isinstance(node, _LEFT) or _without_effect(node):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        path = (*path, node.name)
    where = ".".join(path)
    for other in _instead(node):
        yield where, node, other
    for test, values in _conditions(node):
        for value in values:
            yield where, test, ast.Constant(value)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.FunctionDef):
                yield from _walk(child, path)
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child, path)


def _without_effect(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id == "Literal"
    return isinstance(node, ast.Import | ast.ImportFrom)


def _conditions(node: ast.AST) -> Iterator[tuple[ast.expr, tuple[bool, ...]]]:
    if isinstance(node, ast.If | ast.IfExp):
        yield node.test, (True, False)
    elif isinstance(node, ast.While):
        yield node.test, (False,)
    elif isinstance(node, ast.comprehension):
        yield from ((test, (True, False)) for test in node.ifs)


def _instead(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.Compare):
        yield from _compare(node)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for n in range(len(node.values)):
            rest = node.values[:n] + node.values[n + 1 :]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
        yield ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from _constant(node)
    elif isinstance(node, ast.Name) and node.id in _SWAPPED and isinstance(node.ctx, ast.Load):
        yield ast.Name(_SWAPPED[node.id], node.ctx)
    elif isinstance(node, ast.Continue) or (isinstance(node, ast.Expr) and isinstance(node.value, _ACTING)):
        yield None


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for n, operator in enumerate(node.ops):
        for other in _COMPARED[type(operator)]:
            changed = copy.copy(node)
            changed.ops = [*node.ops[:n], other(), *node.ops[n + 1 :]]
            yield changed


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node.value, str) and node.value and not any(c.isspace() for c in node.value):
        yield ast.Constant(node.value + "?")
