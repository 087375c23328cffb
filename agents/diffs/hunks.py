"""Reads unified diffs out of an answer. Line numbers are not trusted: a hunk goes where its lines stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.diffs.blocks import FENCE
from agents.diffs.change import Change, DiffFault, Refused

HEAD = re.compile(r"@@(?:\s*-(?P<old>\d+(?:,\d+)?)\s+\+(?P<new>\d+(?:,\d+)?)\s*@@.*|.*)")
TARGET = re.compile(r"\+\+\+ (?P<path>\S+)")
NOWHERE = "/dev/null"


def has_hunks(lines: Sequence[str]) -> bool:
    """Whether a hunk begins."""
    return any(HEAD.fullmatch(line) for line in lines)


def read_hunks(lines: Sequence[str]) -> list[Change] | Refused:
    """Every hunk in its order."""
    changes: list[Change] = []
    path: str | None = None
    number = 0
    while number < len(lines):
        if _is_file_head(lines, number):
            target = TARGET.match(lines[number + 1])
            path = target["path"] if target else None
            if path == NOWHERE:
                return _broken(len(changes) + 1, "it deletes a file, which no proposal may do")
            number += 2
        elif head := HEAD.fullmatch(lines[number]):
            end = _end(lines, number + 1)
            hunk = _hunk(lines[number + 1 : end], head, len(changes) + 1, path, is_closed=_is_closed(lines, end))
            if isinstance(hunk, Refused):
                return hunk
            changes.append(hunk)
            number = end
        else:
            number += 1
    return changes


def _is_file_head(lines: Sequence[str], at: int) -> bool:
    """`--- a`, `+++ b` and a hunk: three lines, since a removed line may begin with `-- ` too."""
    if at + 2 >= len(lines) or not lines[at].startswith("--- ") or not lines[at + 1].startswith("+++ "):
        return False
    return HEAD.fullmatch(lines[at + 2]) is not None


def _end(lines: Sequence[str], start: int) -> int:
    """Where the hunk that begins at `start` ends: at the next hunk, file, fence or the answer's end."""
    for number in range(start, len(lines)):
        line = lines[number]
        if HEAD.fullmatch(line) or _is_file_head(lines, number) or FENCE.fullmatch(line):
            return number
        if line.startswith(("diff --git ", "index ")):
            return number
    return len(lines)


def _is_closed(lines: Sequence[str], end: int) -> bool:
    """Whether something follows the hunk."""
    return end < len(lines)


def _hunk(
    body: Sequence[str], head: re.Match[str], number: int, path: str | None, *, is_closed: bool
) -> Change | Refused:
    if not is_closed and body and body[-1]:
        return _broken(number, "the answer ends within its last line, or seems to: it may be cut off")
    kept = list(body)
    while kept and not kept[-1]:
        kept.pop()
    search: list[str] = []
    replace: list[str] = []
    for line in kept:
        sign, text = line[:1] or " ", line[1:]
        if sign not in " +-\\":
            return _broken(number, f"the line {line!r} begins with none of space, + and -")
        if sign in " -":
            search.append(text)
        if sign in " +":
            replace.append(text)
    if not is_closed and not _counts_agree(head, search, replace):
        return _broken(number, "it is the last one and has not as many lines as its @@ line says: it seems cut off")
    if search == replace:
        return _broken(number, "it adds and removes nothing")
    return Change(label=f"hunk {number}", path=path, search=tuple(search), replace=tuple(replace))


def _counts_agree(head: re.Match[str], search: Sequence[str], replace: Sequence[str]) -> bool:
    """Whether the lines are as many as the head says; a head without counts says nothing that could be checked."""
    told = [head["old"], head["new"]]
    counts = [int(part.split(",")[1]) if "," in part else 1 for part in told if part]
    return counts == [len(search), len(replace)]


def _broken(number: int, found: str) -> Refused:
    return Refused(
        fault=DiffFault.MALFORMED,
        message=f"hunk {number} can't be read: {found}. Each line of a hunk begins with a space (unchanged), - (to "
        "remove) or + (to add); begin each file with `--- FILE` and `+++ FILE` and end the diff with a fence.",
    )
