"""Two trees side by side, with syntax colours. Knows text and names of styles, no candidates; escapes what it shows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from markupsafe import Markup, escape

from evolve.contracts import Tree

CONTEXT = 3
"""Lines shown around each change."""
LONGEST_FILE = 4_000
"""Lines of a file that is still compared."""
LONGEST_LINE = 600
"""Characters shown of a line."""

WORDS = re.compile(r"\w+|\s+|.")
LITTLE_IN_COMMON = 0.55

Piece = tuple[str, str]
"""A class of style and the text that it holds for."""
Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One line on one side; number 0 where the other side has more lines."""

    number: int = 0
    markup: Markup = field(default_factory=Markup)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of both sides: `same`, `changed`, `added` or `removed`."""

    kind: str
    old: Cell
    new: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Lines that belong together, and how many lines are left out before them."""

    skipped: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """One file that differs; `note` says why its lines are not shown, if they are not."""

    path: str
    added: int
    removed: int
    hunks: tuple[Hunk, ...]
    note: str = ""


def compare(old: Tree, new: Tree) -> list[FileDiff]:
    """Every file that differs, by path."""
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return [_file(path, old.get(path, ""), new.get(path, "")) for path in paths]


def _file(path: str, old: str, new: str) -> FileDiff:
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > LONGEST_FILE:
        note = f"It has more than {LONGEST_FILE} lines; `evolve diff` shows them."
        return FileDiff(path=path, added=len(after), removed=len(before), hunks=(), note=note)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    left, right = highlighted(path, old), highlighted(path, new)
    hunks, added, removed, shown = list[Hunk](), 0, 0, 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        rows: list[Row] = []
        for tag, i1, i2, j1, j2 in group:
            if tag != "equal":
                added, removed = added + j2 - j1, removed + i2 - i1
            rows.extend(_rows(tag, (left, i1, i2), (right, j1, j2)))
        hunks.append(Hunk(skipped=group[0][1] - shown, rows=tuple(rows)))
        shown = group[-1][2]
    return FileDiff(path=path, added=added, removed=removed, hunks=tuple(hunks))


Side = tuple[list[list[Piece]], int, int]


def _rows(tag: str, left: Side, right: Side) -> Iterator[Row]:
    (old, i, i_end), (new, j, j_end) = left, right
    while i < i_end or j < j_end:
        here, there = old[i] if i < i_end else None, new[j] if j < j_end else None
        if tag == "equal":
            kind, gone, come = "same", (), ()
        elif here is not None and there is not None:
            kind = "changed"
            gone, come = _ranges(_text(here), _text(there))
        else:
            kind, gone, come = "removed" if here is not None else "added", (), ()
        yield Row(
            kind=kind,
            old=Cell(number=i + 1, markup=_markup(here, gone)) if here is not None else Cell(),
            new=Cell(number=j + 1, markup=_markup(there, come)) if there is not None else Cell(),
        )
        i, j = i + (here is not None), j + (there is not None)


def _ranges(old: str, new: str) -> tuple[Ranges, Ranges]:
    """Which characters of two lines differ; nothing where the lines have little in common."""
    left, right = WORDS.findall(old[:LONGEST_LINE]), WORDS.findall(new[:LONGEST_LINE])
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    if matcher.ratio() < LITTLE_IN_COMMON:
        return (), ()
    codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    i, j = _starts(left), _starts(right)
    return [(i[a], i[b]) for _, a, b, _, _ in codes if b > a], [(j[a], j[b]) for _, _, _, a, b in codes if b > a]


def _starts(words: list[str]) -> list[int]:
    """Where each word begins, and where the last one ends."""
    return list(accumulate(map(len, words), initial=0))


def highlighted(path: str, text: str) -> list[list[Piece]]:
    """The lines of a file as pieces with pygments' short names of styles; other files than Python's are plain."""
    if not path.endswith(".py"):
        return [[("", line)] for line in text.splitlines()]
    from pygments.lexers.python import PythonLexer
    from pygments.token import STANDARD_TYPES

    lines: list[list[Piece]] = [[]]
    for kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens(text):
        name = STANDARD_TYPES.get(kind, "")
        for place, part in enumerate(value.split("\n")):
            if place:
                lines.append([])
            if part:
                lines[-1].append((name, part))
    # The lexer knows one end of a line, `splitlines` all: where they differ the text is shown without colours.
    plain = text.splitlines()
    if [_text(line) for line in lines[: len(plain)]] != plain:
        return [[("", line)] for line in plain]
    return lines[: len(plain)]


def _text(line: list[Piece]) -> str:
    return "".join(text for _, text in line)


def _markup(line: list[Piece], ranges: Ranges) -> Markup:
    """A line as HTML: each piece in its class, and what differs in `em`."""
    parts: list[Markup] = []
    at = 0
    for name, text in line:
        if at >= LONGEST_LINE:
            parts.append(Markup("…"))
            break
        for is_new, cut in _cut(text[: LONGEST_LINE - at], at, ranges):
            shown = escape(visible(cut))
            if name:
                shown = Markup('<span class="{}">{}</span>').format(name, shown)
            parts.append(Markup("<em>{}</em>").format(shown) if is_new else shown)
        at += len(text)
    return Markup("").join(parts)


def _cut(text: str, at: int, ranges: Ranges) -> Iterator[tuple[bool, str]]:
    """A piece that begins at character `at` of its line, cut where a range begins or ends."""
    ends = sorted({0, len(text), *(min(max(edge - at, 0), len(text)) for pair in ranges for edge in pair)})
    for start, end in pairwise(ends):
        yield any(low <= at + start < high for low, high in ranges), text[start:end]


def visible(text: str) -> str:
    """Text in which what would reorder or hide characters shows as its number."""
    return "".join(c if c == "\t" or c.isprintable() else f"\\u{ord(c):04x}" for c in text)
