"""Applies a technique's structural edits to a tree: slots are replaced or inserted, all other text stays as it is.

Works on whole statements, so an edit fits any candidate in which its anchor stands, whatever else was changed. Does
not know whether the result is any good, nor whether it was tried before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from agents.slots import LINE, Piece, class_pieces, join, pieces, slot_names
from agents.tunables import structure
from evolve.contracts import Edit, Technique, Tree
from evolve.syntax import parsed


def apply(tree: Tree, technique: Technique) -> Tree | None:
    """The tree after every edit of the technique, or None where it does not fit: a required slot is missing, an
    excluded one is there, an anchor does not stand, or a file does not parse before or after."""
    return _after(tree, technique.edits) if fits(tree, technique) else None


def stands(tree: Tree, technique: Technique) -> bool:
    """Whether every edit of the technique is in force in the tree: made again, it would only reset tuned values."""
    edited = _after(tree, technique.edits)
    return edited is not None and structure(edited) == structure(tree)


def fits(tree: Tree, technique: Technique) -> bool:
    """Whether the technique's `requires` and `excludes` hold in the tree."""
    return all(has_slot(tree, slot) for slot in technique.requires) and not any(
        has_slot(tree, slot) for slot in technique.excludes
    )


def has_slot(tree: Tree, slot: str) -> bool:
    """Whether `FILE::NAME` names a statement of the tree."""
    path, _, name = slot.partition("::")
    return path in tree and name in slot_names(tree[path])


def _after(tree: Tree, changes: Sequence[Edit]) -> Tree | None:
    edited = dict(tree)
    for edit in changes:
        text = _edited(edited.get(edit.path), edit)
        if text is None:
            return None
        edited[edit.path] = text
    return edited


@lru_cache(maxsize=4096)
def _edited(text: str | None, edit: Edit) -> str | None:
    if text is None:
        return None
    try:
        parts: Sequence[Piece] | None = pieces(text)
        code = [piece for piece in pieces(edit.code) if piece.kind != "tail"]
    except (SyntaxError, ValueError):
        return None
    imports = [piece for piece in code if piece.kind == "import"]
    rest = [piece for piece in code if piece.kind != "import"]
    if rest:
        parts = _placed(parts, edit, rest)
    if parts is None:
        return None
    for piece in imports:
        parts = _imported(parts, piece)
    return _parsed(join(parts))


def _parsed(text: str) -> str | None:
    try:
        pieces(text)
    except (SyntaxError, ValueError):
        return None
    return text


def _placed(parts: Sequence[Piece], edit: Edit, new: Sequence[Piece]) -> list[Piece] | None:
    """Puts `new` at the edit's anchor, at the top level or inside the anchor's class."""
    name, _, member = edit.anchor.partition(".")
    if not member:
        return _beside(parts, edit.action, name, new, in_class=False)
    at = _find(parts, (name,))
    if at is None or parts[at].kind != "class":
        return None
    head, members = class_pieces(parts[at].body)
    if not members:
        return None
    first_line = members[0].body
    indent = first_line[: len(first_line) - len(first_line.lstrip())]
    placed = _beside(members, edit.action, member, [_indented(piece, indent) for piece in new], in_class=True)
    if placed is None:
        return None
    return [*parts[:at], replace(parts[at], body=head + join(placed)), *parts[at + 1 :]]


def _beside(
    parts: Sequence[Piece], action: str, anchor: str, new: Sequence[Piece], *, in_class: bool
) -> list[Piece] | None:
    """Replaces the anchor by `new`, or puts `new` before or after it; a name that exists is replaced where it is."""
    at = _find(parts, (anchor,))
    if at is None:
        return None
    renewed = _renewed(parts, new, but=at if action == "replace" else None)
    if renewed is None:
        return None
    edited, here = renewed
    old = edited[at]
    if action == "replace":
        given = {anchor, *(name for piece in here for name in piece.names)}
        new_parts = [*edited[:at], *_spaced(old.blank, here, in_class=in_class), *edited[at + 1 :]]
        return new_parts if set(old.names) <= given else None
    if not here:
        return edited
    if action == "before":
        moved = replace(old, lead=_gap(here[-1], old, in_class=in_class) + old.comments)
        return [*edited[:at], *_spaced(old.blank, here, in_class=in_class), moved, *edited[at + 1 :]]
    inserted = _spaced(_gap(old, here[0], in_class=in_class), here, in_class=in_class)
    return [*edited[: at + 1], *inserted, *edited[at + 1 :]]


def _renewed(
    parts: Sequence[Piece], new: Sequence[Piece], *, but: int | None
) -> tuple[list[Piece], list[Piece]] | None:
    """Puts each new statement in place of the one of its name, except at index `but`; returns the statements and the
    new ones that found no place. None where an old statement binds more names than the new one gives."""
    edited: list[Piece] = list(parts)
    homeless: list[Piece] = []
    for piece in new:
        known = _find(edited, piece.names or (piece.key,))
        if known is None or known == but:
            homeless.append(piece)
        elif set(edited[known].names) <= set(piece.names):
            edited[known] = replace(piece, lead=edited[known].blank + piece.comments)
        else:
            return None
    return edited, homeless


def _find(parts: Sequence[Piece], names: Iterable[str]) -> int | None:
    """The last statement that binds one of the names (or has it as its key): the one in force."""
    wanted = set(names)
    places = (i for i in range(len(parts) - 1, -1, -1) if wanted & {*parts[i].names, parts[i].key})
    return next(places, None)


def _spaced(lead: str, new: Sequence[Piece], *, in_class: bool) -> list[Piece]:
    """The new statements with the usual blank lines between them; `lead` stands above the first."""
    leads = [lead, *(_gap(above, below, in_class=in_class) for above, below in pairwise(new))]
    return [replace(piece, lead=gap + piece.comments) for piece, gap in zip(new, leads, strict=False)]


def _gap(above: Piece, below: Piece, *, in_class: bool) -> str:
    """Blank lines as the usual formatters set them."""
    if {above.kind, below.kind} & {"function", "class"}:
        return "\n" if in_class else "\n\n"
    return "" if above.kind == below.kind else "\n"


def _imported(parts: Sequence[Piece], new: Piece) -> Sequence[Piece]:
    """Adds an import below the file's head of docstring, `__future__` and imports, unless it is there."""
    known = {name for piece in parts if piece.kind == "import" for name in _imports(piece.body)}
    if _imports(new.body) <= known:
        return parts
    at = 0
    is_future = new.key.startswith("from __future__")
    while parts[at].kind == "docstring" or (
        parts[at].kind == "import" and (not is_future or parts[at].key.startswith("from __future__"))
    ):
        at += 1
    lead = _gap(parts[at - 1], new, in_class=False) if at else ""
    return [*parts[:at], replace(new, lead=lead + new.comments), *parts[at:]]


@lru_cache(maxsize=1024)
def _imports(body: str) -> frozenset[tuple[str, str, str | None]]:
    """What import statements bind: (module, name, as)."""
    found: set[tuple[str, str, str | None]] = set()
    for node in parsed(body).body:
        if isinstance(node, ast.Import):
            found |= {("", alias.name, alias.asname) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {("." * node.level + (node.module or ""), alias.name, alias.asname) for alias in node.names}
    return frozenset(found)


def _indented(piece: Piece, indent: str) -> Piece:
    """The statement moved into a class; lines inside a text that is no docstring keep their bytes."""
    kept = _inside_text(piece.body)
    lines = LINE.findall(piece.body)
    body = "".join(line if i in kept or not line.strip() else indent + line for i, line in enumerate(lines))
    comments = "".join(indent + line for line in LINE.findall(piece.comments))
    return replace(piece, lead=comments, body=body)


def _inside_text(code: str) -> set[int]:
    """Numbers, from zero, of the lines that begin inside a string which is a value and not a docstring."""
    inside: set[int] = set()
    module = parsed(code)
    bare = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        match node:
            case ast.JoinedStr() | ast.Constant(value=str()) if id(node) not in bare:
                inside.update(range(node.lineno, node.end_lineno or node.lineno))
            case _:
                pass
    return inside
