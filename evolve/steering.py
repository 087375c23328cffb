"""What a person asks of a running agent: lines that are read at the next proposal, and since which one.

A line's first reading is written down with the proposal's number, so that a replay reads it at the same moment.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from evolve.errors import UsageError

KEPT = 5
"""The latest so many wishes are shown to the model."""
LONGEST = 500


def steer(path: Path, text: str) -> None:
    """Adds a wish. Raises UsageError where it is empty or too long."""
    plain = " ".join(text.split())
    if not 0 < len(plain) <= LONGEST:
        raise UsageError(f"expected 1 to {LONGEST} characters of advice, found {len(plain)}", hint='"try gating"')
    _append(path, {"text": plain})


def reader(path: Path, *, recorded: bool = False) -> Callable[[int], Sequence[str]]:
    """The wishes as of a proposal's number. `recorded` only reads those whose first reading is known already."""

    one = threading.Lock()

    def read(number: int) -> Sequence[str]:
        with one:
            wishes, since = _read(path)
            for index in range(len(wishes)):
                if index not in since and not recorded:
                    since[index] = number
                    _append(path, {"wish": index, "since": number})
        return tuple(text for i, text in enumerate(wishes) if since.get(i, number + 1) <= number)[-KEPT:]

    return read


def _read(path: Path) -> tuple[list[str], dict[int, int]]:
    wishes: list[str] = []
    since: dict[int, int] = {}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text.splitlines():
        row = json.loads(line)
        if "text" in row:
            wishes.append(row["text"])
        else:
            since.setdefault(row["wish"], row["since"])
    return wishes, since


def _append(path: Path, row: dict[str, str] | dict[str, int]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
