"""Checks a drafted change before it may become a proposal, each refusal in words that the model can act on.

Nothing is run: the space's static gate, the size, known failures, and whether an equal tree was tried before.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.guards import Guard, broken_guard
from agents.journal_text import outcome_text
from evolve.contracts import History, Tree
from evolve.syntax import parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an answer can't be used. `kind` is what is counted."""

    kind: str
    message: str


def verify(
    files: Tree,
    before: Tree,
    *,
    history: History,
    gate: Callable[[Tree], str | None],
    guards: Sequence[Guard],
    changed_lines: int,
) -> Fault | None:
    """The first fault of a change, or None."""
    tree = {**before, **files}
    size = sum(changed(before.get(path, ""), text) for path, text in files.items())
    if size > changed_lines:
        return Fault(kind="too_big", message=f"{size} lines were changed, at most {changed_lines} may be; do less.")
    reason = gate(tree)
    if reason is not None:
        return Fault(kind="gate", message=f"the static gate refuses it: {reason}.")
    repeated = broken_guard(guards, history, before, files)
    if repeated is not None:
        return Fault(kind="guard", message=f"{repeated}.")
    return _tried(tree, before, history)


def changed(old: str, new: str) -> int:
    """How many lines were removed or added, whichever is more."""
    matcher = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"), autojunk=False)
    return sum(max(j - i, m - k) for tag, i, j, k, m in matcher.get_opcodes() if tag != "equal")


def _tried(tree: Tree, before: Tree, history: History) -> Fault | None:
    """Novelty costs no evaluation: the result of the equal tree is given back."""
    if not history.tried(tree):
        return None
    if same_code(tree, before):
        return Fault(kind="no_op", message="the code is the parent's own: only layout or comments differ.")
    equal = next((a for a in history.attempts if same_code(a.candidate.tree, tree)), None)
    if equal is not None:
        said = f"candidate #{equal.candidate.number} is the same code: {outcome_text(equal)}"
    elif same_code(history.seed.tree, tree):
        said = "the seed is the same code"
    else:
        said = "an equal candidate was tried or is being tried now"
    return Fault(kind="not_novel", message=f"{said}. Propose something else.")


def same_code(one: Tree, other: Tree) -> bool:
    """Whether two trees differ in nothing but layout and comments."""
    return one.keys() == other.keys() and all(
        text == other[path] or _syntax(path, text) == _syntax(path, other[path]) for path, text in one.items()
    )


def _syntax(path: str, text: str) -> str:
    try:
        return ast.dump(parsed(text)) if path.endswith(".py") else text
    except (SyntaxError, ValueError):
        return text
