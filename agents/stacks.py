"""Puts several techniques on one parent, one after the other, and says which techniques each displaces.

Techniques compete for slots: one that replaces what an earlier one wrote takes its place. Knows no draws and no chance:
its caller says what may be displaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agents import edits, tunables
from agents.experience import Experience, Parent
from evolve.contracts import Technique, Tree

Accepts = Callable[[Technique, frozenset[str]], bool]
"""Whether a technique is worth the techniques that it displaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A parent's tree after some techniques; `standing` are the names in force in it."""

    parent: Parent
    tree: Tree
    standing: frozenset[str]
    techniques: tuple[Technique, ...] = ()

    @property
    def name(self) -> str:
        """The techniques' names, joined."""
        return "+".join(technique.name for technique in self.techniques)


def bare(experience: Experience, parent: Parent) -> Stack:
    """No technique yet."""
    commit = parent.candidate.commit
    return Stack(parent=parent, tree=parent.candidate.tree, standing=experience.standing[commit])


def stacked(
    experience: Experience, stack: Stack, techniques: Iterable[Technique], most: int, accepts: Accepts
) -> Stack:
    """The stack with further techniques in their order, each where it fits and is accepted, up to `most` in all."""
    for technique in techniques:
        if len(stack.techniques) >= most:
            break
        wider = _with(experience, stack, technique)
        if wider is not None and accepts(technique, stack.standing - wider.standing):
            stack = wider
    return stack


def _with(experience: Experience, stack: Stack, technique: Technique) -> Stack | None:
    """The stack with one technique more. None where it does not fit, or was used before on the way to the parent and
    would do no more now than reset tuned values."""
    tree = edits.apply(stack.tree, technique)
    if tree is None or tree == stack.tree:
        return None
    is_reset = tunables.structure(tree) == tunables.structure(stack.tree)
    if is_reset and experience.used_on_the_way(stack.parent.candidate, technique.name):
        return None
    standing = experience.still_standing(tree, stack.standing) | {technique.name}
    return Stack(parent=stack.parent, tree=tree, standing=standing, techniques=(*stack.techniques, technique))
