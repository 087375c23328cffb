"""Arithmetic over columns, written as one Python expression and never run as Python. Knows no data.

Only the nodes named here exist: a formula has no names but the columns, no calls but `FUNCTIONS`, no attributes, no
loops and no strings. Its values are arrays of float64 of a fixed length, so that no number can grow without end.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from evolve.contracts import Floats
from evolve.errors import UsageError
from evolve.syntax import expression

LONGEST, MOST_NODES = 600, 150


def _where(test: Any, yes: Any, no: Any) -> Any:
    return np.where(test != 0, yes, no)


FUNCTIONS: Mapping[str, tuple[int, Callable[..., Any]]] = {
    "min": (2, np.minimum),
    "max": (2, np.maximum),
    "log1p": (1, np.log1p),
    "sqrt": (1, np.sqrt),
    "exp": (1, np.exp),
    "abs": (1, np.abs),
    "where": (3, _where),
    "clip": (3, np.clip),
}
BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


def evaluate(text: str, columns: Mapping[str, Floats]) -> Floats:
    """The formula's value on every row. Raises UsageError where it is none, or not finite everywhere."""
    tree = _parsed(text)
    rows = len(next(iter(columns.values())))
    with np.errstate(all="ignore"):
        found = np.broadcast_to(np.asarray(_value(tree.body, columns), dtype=np.float64), (rows,))
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        raise UsageError(f"the formula is not finite on {bad} of {rows} rows; guard divisions, logarithms and roots")
    return found


def _parsed(text: str) -> ast.Expression:
    if not 0 < len(text) <= LONGEST:
        raise UsageError(f"expected a formula of 1 to {LONGEST} characters, found {len(text)}")
    try:
        tree = expression(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"the formula does not parse: {getattr(error, 'msg', error)}") from error
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise UsageError(f"the formula has more than {MOST_NODES} parts; make it shorter")
    return tree


def _value(node: ast.expr, columns: Mapping[str, Floats]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return np.float64(value)
        case ast.Name(id=name) if name in columns:
            return columns[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, columns)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return BINARY[type(op)](_value(left, columns), _value(right, columns))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
            return COMPARE[type(op)](_value(left, columns), _value(right, columns)).astype(np.float64)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            count, work = FUNCTIONS[name]
            if len(args) != count:
                raise UsageError(f"`{name}` takes {count} arguments, found {len(args)}")
            return work(*(_value(one, columns) for one in args))
        case ast.Name(id=name):
            raise UsageError(f"there is no column `{name}`; there are {', '.join(columns)}")
        case _:
            known = f"+ - * / **, one comparison, {', '.join(FUNCTIONS)}"
            raise UsageError(f"`{ast.unparse(node)[:60]}` may not stand in a formula; known are {known}")
