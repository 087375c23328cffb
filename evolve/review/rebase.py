"""A pull request's steps laid on another tree: merged three ways by git, file by file. Knows no statistics."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evolve.contracts import Tree
from evolve.errors import RunError
from evolve.target import Step

MOST_SHOWN = 200
"""Lines of conflicting hunks that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """The steps on the new ground, those that still change something; or the hunks that conflict, and in which step."""

    steps: tuple[Step, ...]
    conflicts: str


def laid(steps: Sequence[Step], base: Tree, ground: Tree) -> Laid:
    """`steps` were made on `base`; here they are on `ground`."""
    found: list[Step] = []
    now = ground
    for step in steps:
        merged, conflicts = merge_trees(base, now, step.tree)
        if conflicts:
            return Laid(steps=(), conflicts=f"step #{step.number}\n{conflicts}")
        if merged != now:
            found.append(Step(number=step.number, tree=merged, text=step.text))
        base, now = step.tree, merged
    return Laid(steps=tuple(found), conflicts="")


def merge_trees(base: Tree, ours: Tree, theirs: Tree) -> tuple[Tree, str]:
    """What `theirs` changes of `base`, made to `ours`; and the hunks that both changed, if any."""
    merged, conflicts = dict(ours), list[str]()
    for path in sorted({*base, *theirs}):
        old, mine, new = base.get(path), ours.get(path), theirs.get(path)
        if new in (old, mine):
            continue
        if mine == old:
            if new is None:
                merged.pop(path, None)
            else:
                merged[path] = new
        elif mine is None or new is None:
            conflicts.append(f"{path}: one side took it away, the other changed it")
        else:
            merged[path], hunks = _merge_texts(old or "", mine, new)
            conflicts += [f"{path}:{hunk}" for hunk in hunks]
    lines = "\n".join(conflicts).splitlines()
    more = [f"({len(lines) - MOST_SHOWN} more lines)"] if len(lines) > MOST_SHOWN else []
    return merged, "\n".join([*lines[:MOST_SHOWN], *more])


def _merge_texts(old: str, mine: str, new: str) -> tuple[str, list[str]]:
    with tempfile.TemporaryDirectory(prefix="evolve-merge.") as folder:
        files = [Path(folder) / name for name in ("main", "before", "this")]
        for file, text in zip(files, (mine, old, new), strict=True):
            file.write_bytes(text.encode())
        names = [word for file in files for word in ("-L", file.name)]
        command = ["git", "merge-file", "-p", "--diff3", *names, *map(str, files)]
        ended = subprocess.run(command, capture_output=True, check=False)
    if ended.returncode > 127:  # git tells the number of conflicts, up to 127, and an error beyond it
        raise RunError(f"git merge-file failed: {ended.stderr.decode(errors='replace').strip()}")
    text = ended.stdout.decode()
    return text, list(_hunks(text)) if ended.returncode else []


def _hunks(text: str) -> Iterator[str]:
    """Each conflict with the line at which it begins."""
    held: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("<<<<<<< "):
            held = [f"{number}"]
        if held:
            held.append(line)
        if line.startswith(">>>>>>> ") and held:
            yield "\n".join(held)
            held = []
