"""Cuts Python text into slots: the top-level statements of a file, and the members of its classes.

The pieces of a text, joined, are the text again, byte for byte: what nobody edits keeps its comments and its layout.
A comment or blank line belongs to the statement below it. Knows nothing of techniques, candidates or merging.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from evolve.syntax import parsed

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
TAIL = "(tail)"
"""The key of what follows the last statement."""

Kind = Literal["docstring", "import", "function", "class", "constant", "statement", "tail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One statement with the comments above it.

    `key` names it: `build_model`, `WIDTH`, `import math`, `a, b` for two names bound at once, or the statement's own
    text where it binds none. `lead` holds the blank and comment lines above it; `body` its lines, with the last line's
    trailing comment.
    """

    key: str
    names: tuple[str, ...]
    lead: str
    body: str
    kind: Kind

    @property
    def text(self) -> str:
        """The piece as it stands in the file."""
        return self.lead + self.body

    @property
    def blank(self) -> str:
        """The lead without the comment lines that stand directly above the statement."""
        return self.lead[: len(self.lead) - len(self.comments)]

    @property
    def comments(self) -> str:
        """The comment lines that stand directly above the statement: they describe it."""
        lines = LINE.findall(self.lead)
        count = len(lines)
        while count and lines[count - 1].strip():
            count -= 1
        return "".join(lines[count:])


@lru_cache(maxsize=4096)
def pieces(text: str) -> tuple[Piece, ...]:
    """The file's statements in order, and a last piece `TAIL` for what follows them.

    Raises:
        SyntaxError, ValueError: the text is not Python.
    """
    lines = LINE.findall(text)
    return _cut(parsed(text).body, lines, 0, len(lines))


@lru_cache(maxsize=1024)
def class_pieces(body: str) -> tuple[str, tuple[Piece, ...]]:
    """A class statement's head (decorators, `class ...:`) and its members, in the order of the text.

    A class written on one line has no members that could be edited.
    """
    lines = LINE.findall(body)
    statement = parsed(body).body[0]
    assert isinstance(statement, ast.ClassDef)
    member = statement.body[0]
    start = _first_line(member)
    if start < member.lineno and lines[member.lineno - 1].encode()[: member.col_offset].strip():
        return body, ()
    while start and _is_blank_or_comment(lines[start - 1]):
        start -= 1
    return "".join(lines[:start]), _cut(statement.body, lines, start, len(lines))


def join(parts: Iterable[Piece]) -> str:
    """The pieces' text; a piece in the middle always ends its line."""
    texts = [part.text for part in parts if part.text]
    return "".join([text if text.endswith(("\n", "\r")) else text + "\n" for text in texts[:-1]] + texts[-1:])


def slots(text: str) -> dict[str, str]:
    """The named statements of a file in order: name -> source. Members of a class follow it as `Class.member`;
    an import is named by its own normalised text.

    Raises:
        SyntaxError, ValueError: the text is not Python.
    """
    found: dict[str, str] = {}
    for piece in pieces(text):
        for name in piece.names or ((piece.key,) if piece.kind == "import" else ()):
            found[name] = piece.body
        if piece.kind == "class":
            members = class_pieces(piece.body)[1]
            found.update({f"{piece.key}.{name}": member.body for member in members for name in member.names})
    return found


@lru_cache(maxsize=4096)
def slot_names(text: str) -> frozenset[str]:
    """The names of `slots(text)`; empty where the text is not Python."""
    try:
        return frozenset(slots(text))
    except (SyntaxError, ValueError):
        return frozenset()


def _cut(statements: list[ast.stmt], lines: list[str], start: int, end: int) -> tuple[Piece, ...]:
    found: list[Piece] = []
    above = start
    for index, statement in enumerate(statements):
        first, last = _first_line(statement), statement.end_lineno or statement.lineno
        body = "".join(lines[first:last])
        if first < above:  # `a = 1; b = 2`: two statements on one line are one piece
            names = (*found[-1].names, *_names(statement))
            key = ", ".join(names) or f"{found[-1].key}; {ast.unparse(statement)}"
            found[-1] = replace(found[-1], key=key, names=names)
            continue
        found.append(_piece(statement, lead="".join(lines[above:first]), body=body, is_first=index == 0))
        above = last
    tail = "".join(lines[above:end])
    return (*found, Piece(key=TAIL, names=(), lead=tail, body="", kind="tail"))


def _piece(statement: ast.stmt, *, lead: str, body: str, is_first: bool) -> Piece:
    names = _names(statement)
    kind = _kind(statement, names, is_first=is_first)
    key = "(docstring)" if kind == "docstring" else ", ".join(names) or ast.unparse(statement)
    return Piece(key=key, names=names, lead=lead, body=body, kind=kind)


def _kind(statement: ast.stmt, names: tuple[str, ...], *, is_first: bool) -> Kind:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())) if is_first:
            return "docstring"
        case ast.Import() | ast.ImportFrom():
            return "import"
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return "function"
        case ast.ClassDef():
            return "class"
        case _:
            return "constant" if names else "statement"


def _names(statement: ast.stmt) -> tuple[str, ...]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Assign(targets=targets):
            leaves = (leaf for target in targets for leaf in ast.walk(target))
            return tuple(leaf.id for leaf in leaves if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store))
        case ast.AnnAssign(target=ast.Name(id=name)):
            return (name,)
        case _:
            return ()


def _first_line(statement: ast.stmt) -> int:
    """The statement's first line, counted from zero, decorators included."""
    decorators = getattr(statement, "decorator_list", [])
    return (decorators[0].lineno if decorators else statement.lineno) - 1


def _is_blank_or_comment(line: str) -> bool:
    stripped = line.strip()
    return not stripped or stripped.startswith("#")
