"""Combines two candidates: a three-way merge, slot by slot, against the tree they both come from.

Finer than lines and coarser than expressions: two changes of different functions never conflict, two changes of one
function always do, and then the better parent's stands. Does not know scores: its caller says which parent is better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from agents.slots import TAIL, Piece, class_pieces, join, pieces
from evolve.contracts import Tree

Key = tuple[str, int]
"""A statement's key and its count among statements of that key."""


def combine(base: Tree, better: Tree, other: Tree) -> Tree | None:
    """What `better` and `other` each changed since `base`; where both changed one slot differently, `better`'s.

    Returns None where the result does not parse.
    """
    merged: dict[str, str] = {}
    for path in sorted({*base, *better, *other}):
        text = _file(base.get(path), better.get(path), other.get(path), is_python=path.endswith(".py"))
        if text is None:
            continue
        if path.endswith(".py") and not _parses(text):
            return None
        merged[path] = text
    return merged


def _file(base: str | None, better: str | None, other: str | None, *, is_python: bool) -> str | None:
    if better == base:
        return other
    if other in (base, better) or not is_python or base is None or better is None or other is None:
        return better
    try:
        return join(_merge(pieces(base), pieces(better), pieces(other)))
    except (SyntaxError, ValueError):
        return better


def _parses(text: str) -> bool:
    try:
        pieces(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _merge(base: Sequence[Piece], better: Sequence[Piece], other: Sequence[Piece]) -> list[Piece]:
    """`better`'s statements in its order, each with the text of the side that changed it; then `other`'s new ones,
    each behind the statement it followed there."""
    old, mine, theirs = _keyed(base), _keyed(better), _keyed(other)
    merged = {key: _one(old.get(key), piece, theirs.get(key)) for key, piece in mine.items()}
    order = [key for key in mine if merged[key] is not None]
    above: Key | None = None
    for key, piece in theirs.items():
        if key not in mine and key not in old:
            order.insert(order.index(above) + 1 if above is not None else 0, key)
            merged[key] = piece
        if merged.get(key) is not None:
            above = key
    return [piece for key in order if (piece := merged[key]) is not None]


def _keyed(parts: Sequence[Piece]) -> dict[Key, Piece]:
    seen: Counter[str] = Counter()
    keyed: dict[Key, Piece] = {}
    for part in parts:
        keyed[part.key, seen[part.key]] = part
        seen[part.key] += 1
    return keyed


def _one(base: Piece | None, better: Piece, other: Piece | None) -> Piece | None:
    """One statement that the better side has; None where the other side took it away and the better left it alone."""
    if other is None:
        return None if base is not None and base.body == better.body and better.key != TAIL else better
    if base is None or other.body == base.body or other.text == base.text:
        return better
    if better.text == base.text or better.body == base.body:
        return other
    if better.kind == other.kind == base.kind == "class":
        return _class(base, better, other)
    return better


def _class(base: Piece, better: Piece, other: Piece) -> Piece:
    """Both sides changed one class: its members are merged in turn, its head is the better side's unless only the
    other changed it."""
    (old_head, old), (my_head, mine), (their_head, theirs) = (class_pieces(p.body) for p in (base, better, other))
    if not (old and mine and theirs):
        return better
    head = their_head if my_head == old_head else my_head
    return replace(better, body=head + join(_merge(old, mine, theirs)))
