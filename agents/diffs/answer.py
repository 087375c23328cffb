"""Applies the diff in a model's answer to a tree, or refuses it. Never applies a part: all of an answer or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.diffs.blocks import CLOSE, OPEN, has_blocks, read_blocks
from agents.diffs.change import Applied, Change, DiffFault, Refused
from agents.diffs.functions import has_code, replace_functions
from agents.diffs.hunks import has_hunks, read_hunks
from agents.diffs.place import place, places
from evolve.contracts import Tree

ANSWER_BYTES = 256 << 10
"""A longer answer is refused unread."""


def apply_answer(text: str, tree: Tree, editable: Sequence[str]) -> Applied | Refused:
    """The files that the answer's diff changes, or why it was refused.

    Args:
        text: a model's answer: SEARCH/REPLACE blocks, a unified diff, or whole functions in fenced blocks, with
            any words around them.
        tree: the parent's files.
        editable: the paths that may change or be new.
    """
    if len(text.encode("utf-8", "surrogatepass")) > ANSWER_BYTES:
        return _refused(DiffFault.TOO_LARGE, f"the answer is longer than {ANSWER_BYTES} bytes; make one small change")
    lines = text.replace("\r\n", "\n").split("\n")
    changed = _changed(lines, tree, editable)
    if isinstance(changed, Refused):
        return changed
    files = {path: new for path, new in changed.items() if tree.get(path) != new}
    if not files:
        return _refused(DiffFault.NO_OP, "the diff changes nothing: the new lines are those that stand there already")
    return Applied(files=files)


def _changed(lines: Sequence[str], tree: Tree, editable: Sequence[str]) -> Tree | Refused:
    if has_blocks(lines):
        changes = read_blocks(lines, {*tree, *editable})
        if not isinstance(changes, Refused) and has_hunks(_outside_blocks(lines)):
            return _refused(DiffFault.MALFORMED, "the answer holds both blocks and a unified diff; use one of the two")
    elif has_hunks(lines):
        changes = read_hunks(lines)
    elif has_code(lines):
        return replace_functions(lines, tree, editable)
    else:
        return _refused(
            DiffFault.NO_DIFF,
            "no diff was found; write SEARCH/REPLACE blocks, each under the name of its file, or whole functions and "
            "classes in a fenced block",
        )
    return changes if isinstance(changes, Refused) else _all_made(changes, dict(tree), editable)


def _all_made(changes: Sequence[Change], files: dict[str, str], editable: Sequence[str]) -> Tree | Refused:
    """The changes made one after the other."""
    for change in changes:
        path = _path(change, files, editable)
        if isinstance(path, Refused):
            return path
        text = place(files.get(path, ""), replace(change, path=path))
        if isinstance(text, Refused):
            return text
        files[path] = text
    return files


def _path(change: Change, files: Tree, editable: Sequence[str]) -> str | Refused:
    """The file that a change is for: the one it names, or the only editable one in which its lines stand."""
    allowed = ", ".join(editable)
    if change.path is None:
        homes = [path for path in editable if path in files and places(files[path], change)]
        if len(homes) == 1:
            return homes[0]
        found = f"its lines stand in {', '.join(homes)}" if homes else "its lines stand in no editable file"
        fault = DiffFault.AMBIGUOUS if homes else DiffFault.NOT_FOUND
        return _refused(fault, f"{change.label} names no file and {found}; write the file's name above it ({allowed})")
    path = change.path.replace("\\", "/").removeprefix("./")
    if path not in files and path[:2] in {"a/", "b/"}:
        path = path[2:]
    if path in editable:
        return path
    if path in files:
        return _refused(DiffFault.NOT_EDITABLE, f"{change.label}: {path} may not be changed; editable: {allowed}")
    return _refused(DiffFault.UNKNOWN_PATH, f"{change.label}: there is no file {change.path!r}; editable: {allowed}")


def _outside_blocks(lines: Sequence[str]) -> list[str]:
    """The lines between blocks."""
    kept: list[str] = []
    inside = False
    for line in lines:
        inside = inside or OPEN.fullmatch(line) is not None
        if not inside:
            kept.append(line)
        inside = inside and CLOSE.fullmatch(line) is None
    return kept


def _refused(fault: DiffFault, message: str) -> Refused:
    return Refused(fault=fault, message=f"{message}.")
