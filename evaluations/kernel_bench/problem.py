"""Reads a KernelBench-shaped file: `Model`, `get_inputs`, `get_init_inputs`, and sizes as numbers at the top.

The file is text here: it is parsed, its sizes may be replaced, and nothing of it runs outside a sandbox.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolve.errors import UsageError
from evolve.syntax import parsed

PARTS = ("Model", "get_inputs", "get_init_inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A reference and how its inputs are drawn."""

    name: str
    source: str
    sizes: Mapping[str, int]
    """The whole numbers at the top of the file, as they are used."""


def read_problem(path: Path, sizes: Mapping[str, int] | None = None) -> Problem:
    """A problem, with some of its sizes replaced: many of the published ones are made for a large GPU.

    Raises:
        UsageError: the file does not have the shape, or has no such size.
    """
    text = path.read_text(encoding="utf-8")
    module = _parsed(text, path)
    names = {node.name for node in module.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    if missing := [part for part in PARTS if part not in names]:
        raise UsageError(
            f"{path}: expected {', '.join(PARTS)} at the top level; missing: {', '.join(missing)}",
            hint="A problem is a file as KernelBench has them.",
        )
    found = _sizes(module)
    if unknown := sorted(set(sizes or {}) - set(found)):
        raise UsageError(
            f"{path}: there is no size {', '.join(unknown)}", hint=f"Its sizes: {', '.join(found) or 'none'}."
        )
    wanted = {name: (sizes or {}).get(name, int(ast.literal_eval(node))) for name, node in found.items()}
    return Problem(name=path.stem, source=_replaced(text, found, wanted), sizes=wanted)


def read_model(path: Path) -> str:
    """The text of a file with a `ModelNew`. Raises UsageError: it has none."""
    text = path.read_text(encoding="utf-8")
    if not any(isinstance(node, ast.ClassDef) and node.name == "ModelNew" for node in _parsed(text, path).body):
        raise UsageError(f"{path}: expected a class `ModelNew` at the top level", hint="It takes the place of `Model`.")
    return text


def _parsed(text: str, path: Path) -> ast.Module:
    try:
        return parsed(text)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path}: expected Python; found: {error}", hint="Correct the file.") from error


def _sizes(module: ast.Module) -> dict[str, ast.Constant]:
    """`name = whole number` at the top level; the last binding counts."""
    found: dict[str, ast.Constant] = {}
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() as number) as value) if (
                not isinstance(number, bool)
            ):
                found[name] = value
            case _:
                pass
    return found


def _replaced(text: str, found: Mapping[str, ast.Constant], wanted: Mapping[str, int]) -> str:
    """The text with each size's literal replaced; columns count bytes."""
    lines = text.encode().splitlines(keepends=True)
    for name, node in sorted(found.items(), key=lambda item: (item[1].lineno, item[1].col_offset), reverse=True):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + str(wanted[name]).encode() + line[node.end_col_offset :]
    return b"".join(lines).decode()
