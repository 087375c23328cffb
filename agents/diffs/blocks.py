"""Reads SEARCH/REPLACE blocks out of an answer. Knows the markers, not whether the lines stand anywhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from agents.diffs.change import Change, DiffFault, Refused

OPEN = re.compile(r"<{5,9}\s*(?:SEARCH|ORIGINAL)\b:?\s*(?P<path>\S*)\s*", re.IGNORECASE)
MIDDLE = re.compile(r"={5,9}\s*")
CLOSE = re.compile(r">{5,9}\s*(?:REPLACE|UPDATED)?\s*", re.IGNORECASE)
FENCE = re.compile(r"\s*(?:`{3,}|~{3,})\s*(?P<info>[^`]*)")
DECORATION = re.compile(r"^[\s#*>`'\"-]*(?:file(?:name)?|path)?\s*:?[\s*`'\"]*|[\s:*`'\"]+$", re.IGNORECASE)
PATH = re.compile(r"[\w./\\-]*\w\.\w{1,8}|[\w.\\-]*[/\\][\w./\\-]+")


def has_blocks(lines: Sequence[str]) -> bool:
    """Whether a block begins, or a marker stands that only a broken block leaves."""
    return any(OPEN.fullmatch(line) or re.fullmatch(r">{5,9}\s*REPLACE\s*", line) for line in lines)


def read_blocks(lines: Sequence[str], known: Collection[str]) -> list[Change] | Refused:
    """Every block in its order. `known` are the paths that the tree has or may have."""
    changes: list[Change] = []
    parts: list[list[str]] = []
    path: str | None = None
    for number, line in enumerate(lines):
        opens = OPEN.fullmatch(line)
        if opens:
            if parts:
                return _broken(len(changes) + 1, "another block begins before it ends")
            path = opens["path"] or named_above(lines[:number], known)
            parts = [[]]
        elif parts and MIDDLE.fullmatch(line):
            if len(parts) == 2:
                return _broken(len(changes) + 1, "it has more than one line of =======")
            parts.append([])
        elif CLOSE.fullmatch(line) and (parts or "REPLACE" in line.upper()):
            if len(parts) != 2:
                return _broken(len(changes) + 1, "a line of ======= or the line <<<<<<< SEARCH is missing")
            search, replace = (_unfenced(part) for part in parts)
            changes.append(
                Change(label=f"block {len(changes) + 1}", path=path, search=tuple(search), replace=tuple(replace))
            )
            parts = []
        elif parts:
            parts[-1].append(line)
    return _broken(len(changes) + 1, "the line >>>>>>> REPLACE is missing") if parts else changes


def named_above(lines: Sequence[str], known: Collection[str]) -> str | None:
    """The file named on the last line of words, if it names one: alone on the line, or one known name in it."""
    for line in reversed(lines):
        fence = FENCE.fullmatch(line)
        text = fence["info"] if fence else line
        if not text.strip() or (fence and not PATH.search(text)):
            continue
        bare = DECORATION.sub("", text.split()[-1] if fence else text)
        if PATH.fullmatch(bare):
            return bare
        mentioned = {name for name in PATH.findall(text) if name in known}
        return mentioned.pop() if len(mentioned) == 1 else None
    return None


def _unfenced(part: list[str]) -> list[str]:
    """A part without a pair of fences around it."""
    if len(part) >= 2 and FENCE.fullmatch(part[0]) and part[-1].strip() in {"```", "~~~"}:
        return part[1:-1]
    return part


def _broken(number: int, found: str) -> Refused:
    return Refused(
        fault=DiffFault.MALFORMED,
        message=f"block {number} can't be read: {found}. Write each block as\nFILE\n<<<<<<< SEARCH\n"
        "lines as they stand in the file\n=======\nlines to put in their place\n>>>>>>> REPLACE",
    )
