"""Values, times and conditions of the scripts: numbers, names, sums; nothing else is evaluated."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping

MS = 1_000_000
_UNITS = {"us": 1000, "ms": MS, "s": 1000 * MS}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)$")
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.FloorDiv: operator.floordiv,
    ast.BitAnd: operator.and_,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[int, int], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class ScriptError(AssertionError):
    """A script is wrong, or a server is. The text names file and line, expected and seen."""


def nanoseconds(text: str) -> int | None:
    """200ms, 1.5s or 40us; None for anything else."""
    match = _TIME.match(text)
    return None if match is None else round(float(match[1]) * _UNITS[match[2]])


def evaluate(text: str, names: Mapping[str, int]) -> int:
    """+ - * % // & of numbers and names. ValueError: anything else."""
    return _value(ast.parse(text.strip(), mode="eval").body, text, names)


def _value(node: ast.expr, text: str, names: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left, text, names), _value(node.right, text, names))
    raise ValueError(f"no such value: {text}")


def holds(text: str, names: Mapping[str, int]) -> bool:
    """A chain of comparisons: `0 < (b - a) % wrap <= 300`. ValueError: anything else."""
    node = ast.parse(text.strip(), mode="eval").body
    if not isinstance(node, ast.Compare) or any(type(op) not in _COMPARISONS for op in node.ops):
        raise ValueError(f"no comparison: {text}")
    values = [_value(one, text, names) for one in (node.left, *node.comparators)]
    return all(
        _COMPARISONS[type(op)](one, two) for op, one, two in zip(node.ops, values, values[1:], strict=False)
    )
