"""Finds the one place in a text where some lines stand, and puts others there.

Three readings, the strictest first: the same lines; the same but for spaces at their ends; the same but for their
indentation, which the new lines then take over. A reading that fits several places is refused, never guessed. Knows
lines, not languages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from agents.diffs.change import Change, DiffFault, Refused

SHOWN_PLACES = 5
READINGS: tuple[Callable[[str], str], ...] = (lambda line: line.removesuffix("\r"), str.rstrip, str.strip)


def place(text: str, change: Change) -> str | Refused:
    """`text` with the change made, or why not."""
    if not any(line.strip() for line in change.search):
        return _blank(text, change)
    end = "\n" if text.endswith("\n") else ""
    lines = text.removesuffix("\n").split("\n")
    for reading in READINGS:
        found = _places(lines, change.search, reading)
        if len(found) > 1:
            return _ambiguous(change, found)
        if found:
            new = _written(lines[found[0] : found[0] + len(change.search)], change)
            if isinstance(new, Refused):
                return new
            after = found[0] + len(change.search)
            returns = "\r" if _ends_in_returns(lines) else ""
            kept = [line + returns for line in new]
            if new and after == len(lines) and not end:
                kept[-1] = new[-1]
            lines[found[0] : after] = kept
            return "\n".join(lines) + (end if lines else "")
    return _not_found(lines, change)


def places(text: str, change: Change) -> int:
    """In how many places the change could be made under the strictest reading that fits any; blank lines fit none."""
    if not any(line.strip() for line in change.search):
        return 0
    lines = text.removesuffix("\n").split("\n")
    counts = (len(_places(lines, change.search, reading)) for reading in READINGS)
    return next((count for count in counts if count), 0)


def _places(lines: Sequence[str], search: Sequence[str], reading: Callable[[str], str]) -> list[int]:
    have, want = [reading(line) for line in lines], [reading(line) for line in search]
    first, size = want[0], len(want)
    return [i for i in range(len(have) - size + 1) if have[i] == first and have[i : i + size] == want]


def _written(old: Sequence[str], change: Change) -> list[str] | Refused:
    """The new lines, in the indentation of the old ones."""
    pairs = [(_indent(line), _indent(asked)) for line, asked in zip(old, change.search, strict=True) if asked.strip()]
    by = _shift(pairs)
    if by is not None:
        shifted = _shifted(change.replace, *by)
        return _indentation(old, change) if shifted is None else shifted
    moved = {asked: mine for mine, asked in pairs}
    if not _keeps_order(moved) or any(moved[asked] != mine for mine, asked in pairs):
        return _indentation(old, change)
    new: list[str] = []
    for line in change.replace:
        known = max((indent for indent in moved if _indent(line).startswith(indent)), key=len, default=None)
        if line.strip() and known is None:
            return _indentation(old, change)
        new.append(moved[known] + line[len(known) :] if line.strip() and known is not None else line)
    return new


def _shift(pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """What every line of the answer has too much, and too little, in front: one of the two is empty."""
    mine, asked = pairs[0]
    extra, lacking = asked.removesuffix(mine), mine.removesuffix(asked)
    if all(extra + m == a for m, a in pairs) and asked.endswith(mine):
        return extra, ""
    return ("", lacking) if all(lacking + a == m for m, a in pairs) and mine.endswith(asked) else None


def _shifted(lines: Sequence[str], extra: str, lacking: str) -> list[str] | None:
    if any(line.strip() and not line.startswith(extra) for line in lines):
        return None
    return [lacking + line.removeprefix(extra) if line.strip() else line for line in lines]


def _keeps_order(moved: Mapping[str, str]) -> bool:
    """Whether two depths of the answer stay two depths, in their order."""
    by_depth = sorted(moved.items(), key=lambda item: len(item[0]))
    return all(len(a) < len(b) and x != y and y.startswith(x) for (a, x), (b, y) in pairwise(by_depth))


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _ends_in_returns(lines: Sequence[str]) -> bool:
    return 2 * sum(line.endswith("\r") for line in lines) > len(lines)


def _blank(text: str, change: Change) -> str | Refused:
    """Nothing to look for: only an empty file can be meant."""
    if text.strip():
        return Refused(
            fault=DiffFault.MALFORMED,
            message=f"{change.label}: nothing to look for was given, and {change.path} is not empty. Give at least one "
            "line of the file, exactly as it stands there; to add lines, repeat that line in the new text.",
        )
    return "\n".join(change.replace) + "\n" if change.replace else text


def _ambiguous(change: Change, found: Sequence[int]) -> Refused:
    shown = ", ".join(str(i + 1) for i in found[:SHOWN_PLACES]) + (", ..." if len(found) > SHOWN_PLACES else "")
    return Refused(
        fault=DiffFault.AMBIGUOUS,
        message=f"{change.label}: its {len(change.search)} lines stand {len(found)} times in {change.path}, at lines "
        f"{shown}. Add lines from above or below until only one place fits.",
    )


def _indentation(old: Sequence[str], change: Change) -> Refused:
    stands = "\n".join(old)
    return Refused(
        fault=DiffFault.INDENTATION,
        message=f"{change.label}: the lines stand in {change.path}, but in an indentation that yours can't be turned "
        f"into. Copy them exactly:\n{stands}",
    )


def _not_found(lines: Sequence[str], change: Change) -> Refused:
    stripped = [line.strip() for line in lines]
    wanted = [line.strip() for line in change.search]
    missing = next((i for i, line in enumerate(wanted) if line and line not in stripped), None)
    if missing is None:
        first = next(line for line in wanted if line)
        at = stripped.index(first)
        near = "\n".join(lines[at : at + len(wanted) + 1])
        told = f"each line stands there, but not one after the other. From line {at + 1} the file reads:\n{near}"
    else:
        told = f"this line is not there: {wanted[missing]!r}. Copy the lines exactly as they stand in the file."
    return Refused(fault=DiffFault.NOT_FOUND, message=f"{change.label}: not found in {change.path}; {told}")
