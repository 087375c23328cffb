"""Patterns of failure that a machine can find in a text again: a name that is not there, a keyword that is not taken, a
function that failed before. Reads code as syntax and never runs it; knows no history.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from evolve.contracts import Tree
from evolve.syntax import parsed

NO_ATTRIBUTE = re.compile(r"module '([A-Za-z_][\w.]*)' has no attribute '([A-Za-z_]\w*)'")
NO_IMPORT = re.compile(r"cannot import name '([A-Za-z_]\w*)' from '([A-Za-z_][\w.]*)'")
NO_KEYWORD = re.compile(r"([A-Za-z_][\w.]*)\(\) got an unexpected keyword argument '([A-Za-z_]\w*)'")
SMALLEST = 12
"""Nodes of syntax: what is smaller says too little to be recognised by."""


@dataclass(frozen=True, slots=True)
class Name:
    """A dotted name that does not exist."""

    dotted: str

    def added(self, before: Tree, after: Tree) -> str:
        """Where it is used in `after` and was not before; empty where it is not."""
        uses = re.compile(rf"(?<![\w.]){re.escape(self.dotted)}(?!\w)")
        for path, text in after.items():
            if before.get(path) != text and uses.search(text) and not uses.search(before.get(path, "")):
                return f"{path} uses `{self.dotted}`, which does not exist"
        return ""


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword that a function of a library does not take."""

    function: str
    keyword: str

    def added(self, before: Tree, after: Tree) -> str:
        """Where it is used in `after` and was not before; empty where it is not, or the function is the tree's own."""
        if any(self.function in _defined(text) for path, text in after.items() if path.endswith(".py")):
            return ""
        asked = (self.function, self.keyword)
        for path, text in after.items():
            if before.get(path) != text and asked in _keywords(text) and asked not in _keywords(before.get(path, "")):
                return f"{path} calls `{self.function}` with `{self.keyword}`, which it does not take"
        return ""


@dataclass(frozen=True, slots=True)
class Code:
    """Functions by their syntax, whatever they are called and however they are documented and laid out."""

    parts: frozenset[str]

    def added(self, before: Tree, after: Tree) -> str:
        """Which function of `after` it is, where all of it is new there; empty where it is not."""
        new = {digest: place for path, text in after.items() for digest, place in _new_in(path, text, before)}
        if not self.parts <= new.keys():
            return ""
        return f"{', '.join(sorted(new[digest] for digest in self.parts))} is code that was tried before"


Pattern = Name | Keyword | Code


def patterns_in(error: str, before: Tree, after: Tree) -> Iterator[Pattern]:
    """What an error text blames, where the change itself bears it out."""
    for pattern in _blamed(error):
        if pattern.added(before, after):
            yield pattern


def new_code(before: Tree, after: Tree) -> frozenset[str]:
    """The functions that a change brought."""
    return frozenset(digest for path, text in after.items() for digest, _ in _new_in(path, text, before))


@lru_cache(maxsize=4096)
def _blamed(error: str) -> tuple[Pattern, ...]:
    found: list[Pattern] = [Name(f"{module}.{name}") for module, name in NO_ATTRIBUTE.findall(error)]
    found += [Name(f"{module}.{name}") for name, module in NO_IMPORT.findall(error)]
    for dotted, keyword in NO_KEYWORD.findall(error):
        found.append(Keyword(dotted.removesuffix(".__init__").rpartition(".")[2], keyword))
    return tuple(found)


def _new_in(path: str, text: str, before: Tree) -> Iterator[tuple[str, str]]:
    old = before.get(path, "")
    if not path.endswith(".py") or old == text:
        return
    known = dict(_functions(old))
    yield from ((digest, f"{path}::{name}") for digest, name in _functions(text) if digest not in known)


@lru_cache(maxsize=4096)
def _functions(text: str) -> tuple[tuple[str, str], ...]:
    """(digest, name) of every function and method that is large enough."""
    return tuple(
        (_digest(node), node.name)
        for node in ast.walk(_parsed(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and sum(1 for _ in ast.walk(node)) >= SMALLEST
    )


def _digest(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    text = ast.dump(node.args) + "".join(ast.dump(statement) for statement in body)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@lru_cache(maxsize=4096)
def _keywords(text: str) -> frozenset[tuple[str, str]]:
    calls = [node for node in ast.walk(_parsed(text)) if isinstance(node, ast.Call)]
    return frozenset((_last(call.func), keyword.arg) for call in calls for keyword in call.keywords if keyword.arg)


@lru_cache(maxsize=4096)
def _defined(text: str) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(_parsed(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


def _last(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _parsed(text: str) -> ast.Module:
    try:
        return parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])
