"""Whole functions, classes or constants in a fenced block: each takes the place of its namesake. The last resort,
for models that write no diff. Built on `agents.edits`, so all other text stays as it is."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from typing import TypeGuard

from agents import edits
from agents.diffs.blocks import FENCE, PATH, named_above
from agents.diffs.change import DiffFault, Refused
from agents.slots import slot_names
from evolve.contracts import Edit, Persona, Technique, Tree
from evolve.syntax import parsed


def has_code(lines: Sequence[str]) -> bool:
    """Whether there is a fenced block."""
    return sum(FENCE.fullmatch(line) is not None for line in lines) >= 2


def replace_functions(lines: Sequence[str], tree: Tree, editable: Collection[str]) -> Tree | Refused:
    """The tree with every fenced block's statements in place of their namesakes."""
    changed = dict(tree)
    fences = [number for number, line in enumerate(lines) if FENCE.fullmatch(line)]
    if len(fences) % 2:
        return _no("a fence is not closed: the answer seems cut off", DiffFault.MALFORMED)
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        code = list(lines[start + 1 : end])
        commented = _first_comment(code)
        path = named_above(lines[: start + 1], {*tree, *editable}) or commented
        code = code[1:] if commented else code
        text = _replaced(changed, "\n".join(code) + "\n", path, editable)
        if isinstance(text, Refused):
            return text
        changed.update(text)
    return changed


def _first_comment(code: Sequence[str]) -> str | None:
    first = code[0].strip() if code else ""
    name = first.lstrip("# ").strip()
    return name if first.startswith("#") and PATH.fullmatch(name) else None


def _replaced(tree: Tree, code: str, path: str | None, editable: Collection[str]) -> Tree | Refused:
    try:
        body = parsed(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return _no(f"a fenced block is neither a diff nor whole Python statements ({error})", DiffFault.NO_DIFF)
    if not all(_may_stand(node) for node in body):
        return _no("a fenced block holds more than imports, functions, classes and constants", DiffFault.NO_DIFF)
    defined = {node.name: node for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    hollow = next((node.name for node in ast.walk(ast.Module(body, [])) if _is_hollow(node)), None)
    if hollow:
        return _no(f"`{hollow}` says that it returns something and has no body", DiffFault.MALFORMED)
    if path is not None and path not in editable:
        return _no(f"{path} may not be changed; editable: {', '.join(editable)}", DiffFault.NOT_EDITABLE)
    files = [name for name in ([path] if path else editable) if name in tree and name.endswith(".py")]
    homes = [name for name in files if slot_names(tree[name]) & set(defined)]
    if len(homes) != 1:
        where = f"{len(homes)} files have" if homes else "no editable file has"
        fault = DiffFault.AMBIGUOUS if homes else DiffFault.NOT_FOUND
        return _no(f"{where} one of the names {', '.join(sorted(defined)) or '(none)'}", fault)
    return _in_place(tree, homes[0], code, defined)


def _in_place(tree: Tree, path: str, code: str, defined: dict[str, ast.FunctionDef | ast.ClassDef]) -> Tree | Refused:
    names = slot_names(tree[path])
    lost = {
        f"{name}.{member.split('.')[1]}"
        for name, node in defined.items()
        for member in names
        if isinstance(node, ast.ClassDef)
        and member.startswith(f"{name}.")
        and member.split(".")[1] not in _members(node)
    }
    if lost:
        return _no(f"{', '.join(sorted(lost))} would be lost: a class is replaced whole", DiffFault.MALFORMED)
    anchor = next(name for name in defined if name in names)
    edit = Edit(path=path, action="replace", anchor=anchor, code=code)
    edited = edits.apply(tree, _card(edit))
    if edited is None:
        return _no(f"its statements can't take the place of `{anchor}` in {path}", DiffFault.NOT_FOUND)
    return {path: edited[path]}


def _may_stand(node: ast.stmt) -> bool:
    """Imports, definitions and constants: models repeat those that a function uses."""
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) for target in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _is_hollow(node: ast.AST) -> TypeGuard[ast.FunctionDef]:
    """Whether a function that promises a value holds nothing but words."""
    if not isinstance(node, ast.FunctionDef) or node.returns is None:
        return False
    is_none = isinstance(node.returns, ast.Constant) and node.returns.value is None
    said = (child for child in node.body if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)))
    return not is_none and all(isinstance(child, ast.Pass) for child in said)


def _members(node: ast.ClassDef) -> set[str]:
    """What a class binds: its methods and its constants."""
    found: set[str] = set()
    for child in node.body:
        match child:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
            case _:
                pass
    return found


def _card(edit: Edit) -> Technique:
    return Technique(
        name="answer", title="", persona=Persona.OPTIMIZER, paper="", hypothesis="", mechanism="", observable=None,
        edits=(edit,),
    )  # fmt: skip


def _no(found: str, fault: DiffFault) -> Refused:
    return Refused(
        fault=fault,
        message=f"no diff was applied: {found}. Write SEARCH/REPLACE blocks, or whole functions and classes.",
    )
