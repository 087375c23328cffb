"""The identity of a tree. Knows nothing of git: two commits may hold one identity."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache

from evolve.contracts import Tree
from evolve.syntax import parsed


def fingerprint(tree: Tree) -> str:
    """The identity of a tree: equal for trees that differ only in layout, comments or docstrings.

    Python files are hashed by their syntax tree, other files byte by byte, and so is a Python file
    that does not parse.
    """
    digest = hashlib.sha256()
    for path in sorted(tree):
        digest.update(f"{path}\0{_normalised(path, tree[path])}\0".encode())
    return digest.hexdigest()


@lru_cache(maxsize=4096)
def _normalised(path: str, text: str) -> str:
    if not path.endswith(".py"):
        return text
    try:
        module = parsed(text)
    except (SyntaxError, ValueError):
        return text
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(module)
