"""Pull requests in the user's own repository: the branches of the lineage, laid at the candidate's folder there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from evolve.archive import Archive, TreeReader
from evolve.contracts import Tree
from evolve.errors import UsageError
from evolve.loop import message
from evolve.review.pulls import Pull, pulls, standing
from evolve.target import Step, Target


def branch(run: str, number: int) -> str:
    """The branch of a pull request."""
    return f"evolve/{run}/{number}"


def tag(run: str, number: int) -> str:
    """The tag of its merge in the user's repository, which may hold the champions of several runs."""
    return f"evolve/{run}/champion/{number}"


def mirror(target: Target, run: str, archive: Archive, code: TreeReader) -> None:
    """Makes the branches of open pull requests that the repository lacks, each on the one before it.

    Where the one before was closed and its branch taken away, its steps come along.
    """
    fresh = not target.holds_tree()
    seed = code.tree(archive.seed.commit)
    below, before, steps = target.base, {} if fresh else seed, list[Step]()
    if fresh:
        space = archive.settings["space"]
        steps.append(Step(number=0, tree=seed, text=f"The files of {space} as the search began with\n"))
    for found in pulls(archive):
        steps += steps_of(archive, found, code)
        name = branch(run, found.number)
        head = target.head(f"refs/heads/{name}")
        if not head and found.state == "open":
            head = target.open(name, below, before, steps)
        if head:
            below, before, steps = head, code.tree(archive.candidates[found.candidate].commit), []


def merge(target: Target, run: str, found: Pull) -> str:
    """Merges an approved pull request there, and says in a line what became of it. Raises UsageError on a conflict."""
    head = target.head(f"refs/heads/{branch(run, found.number)}")
    if not head:
        raise UsageError(
            f"the branch {branch(run, found.number)} is gone from {target.repository}",
            hint="`evolve pr list` makes that of an open pull request again.",
        )
    text, name = f"Merge pull request {found.number}: candidate {found.candidate}\n", tag(run, found.number)
    commit, went = target.merge(name, head, Step(number=found.candidate, tree={}, text=text))
    where = shlex.quote(str(target.repository))
    if went:
        return f"in {where}: {target.branch.removeprefix('refs/heads/')} is {commit}, {name}"
    return f"in {where}, where the branch is checked out and stays: git merge --ff-only {name}"


def lay_there(target: Target, run: str, archive: Archive, number: int, ground: Tree, steps: Sequence[Step]) -> None:
    """Makes the branch of a rebased pull request anew, on the last that was merged there."""
    merged = [tag(run, review.pull) for review in standing(archive)]
    heads = [head for name in merged if (head := target.head(f"refs/tags/{name}"))]
    onto = heads[-1] if heads else target.base
    target.open(branch(run, number), onto, ground, steps)


def steps_of(archive: Archive, found: Pull, code: TreeReader) -> list[Step]:
    """The commits of a pull request as the search made them."""
    made: list[Step] = []
    for number in found.steps:
        candidate, proposal = archive.candidates[number], archive.attempts[number - 1].proposal
        text = f"{message(proposal)}Candidate: {number} ({candidate.commit})\n"
        made.append(Step(number=number, tree=code.tree(candidate.commit), text=text))
    return made
