"""Reads Python's syntax beside other threads that do.

Python before 3.11.8 and 3.12.2 counts the depth of a tree that it builds for all threads together. Where garbage is
collected in the midst, another thread comes in, and a text that is in order ends in a SystemError
(https://github.com/python/cpython/issues/106905). An array's file counts: NumPy parses its header.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

TRIES = 20
SPURIOUS = "AST constructor recursion depth mismatch"

P = ParamSpec("P")
R = TypeVar("R")


def undisturbed(work: Callable[P, R]) -> Callable[P, R]:
    """Work without effects that parses: done again, up to `TRIES` times, where another thread disturbed it."""

    @wraps(work)
    def again(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(TRIES - 1):
            try:
                return work(*args, **kwargs)
            except SystemError as fault:
                if SPURIOUS not in str(fault):
                    raise
        return work(*args, **kwargs)

    return again


@undisturbed
def parsed(text: str) -> ast.Module:
    """`ast.parse`. Raises SyntaxError and ValueError where the text is not Python."""
    return ast.parse(text)


@undisturbed
def expression(text: str) -> ast.Expression:
    """`ast.parse` of one expression. Raises SyntaxError and ValueError where the text is none."""
    return ast.parse(text, mode="eval")
