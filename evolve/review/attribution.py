"""What each part of a pull request gives: the whole against the whole less that part. Knows no sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from evolve.archive import Archive, TreeReader
from evolve.contracts import Tree, Verdict
from evolve.review.pulls import Pull
from evolve.review.rebase import merge_trees
from evolve.reviews import Part

LEVEL = 0.05
"""Shared by the parts of one pull request. Nothing is promoted by it, so the run's error budget is not spent."""

Without = Callable[[Tree, list[str], str], Tree | None]
"""A tree with all techniques but one, or None where that can't be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Less:
    """A part, and the whole without it; no tree where the rest stands on it."""

    name: str
    tree: Tree | None


def parts(archive: Archive, code: TreeReader, found: Pull, without: Without) -> list[Less]:
    """Every step, and of a step with several techniques each technique."""
    whole = code.tree(archive.candidates[found.candidate].commit)
    return [less for number in found.steps for less in _of_step(archive, code, number, whole, without)]


def measured(
    archive: Archive, code: TreeReader, found: Pull, without: Without, compare: Callable[[Tree, Tree, float], Verdict]
) -> Iterator[Part]:
    """Each part with the verdict on the whole against the whole less it."""
    whole, all_parts = code.tree(archive.candidates[found.candidate].commit), parts(archive, code, found, without)
    for less in all_parts:
        if less.tree is None:
            yield Part(name=less.name, verdict=None, reason="the rest stands on it: it can't be taken out alone")
        elif less.tree == whole:
            yield Part(name=less.name, verdict=None, reason="nothing of it is left in the whole")
        else:
            yield Part(name=less.name, verdict=compare(whole, less.tree, LEVEL / len(all_parts)), reason="")


def _of_step(archive: Archive, code: TreeReader, number: int, whole: Tree, without: Without) -> Iterator[Less]:
    candidate, proposal = archive.candidates[number], archive.attempts[number - 1].proposal
    step, before = code.tree(candidate.commit), code.tree(candidate.parents[0])
    techniques = proposal.technique.split("+")
    if len(techniques) > 1:
        lesses = [(name, without(before, techniques, name)) for name in techniques]
        if all(less is not None for _, less in lesses):
            for name, less in lesses:
                yield Less(name=f"#{number} {name}", tree=_taken_out(step, whole, less or {}))
            return
    yield Less(name=f"#{number} {proposal.technique}", tree=_taken_out(step, whole, before))


def _taken_out(step: Tree, whole: Tree, less: Tree) -> Tree | None:
    """The whole with the change from `less` to `step` undone."""
    merged, conflicts = merge_trees(step, whole, less)
    return None if conflicts else merged
