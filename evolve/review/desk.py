"""Opens, approves, rejects and rolls back pull requests: git first, then the record. Judges nothing.

Both halves are the same when they are done twice, so a command that was cut between them is simply given again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from evolve.archive import Archive
from evolve.contracts import Tree, Verdict
from evolve.error_budget import alpha_of
from evolve.errors import UsageError
from evolve.journal import Journal
from evolve.lineage import Lineage
from evolve.records import verdict_to_json
from evolve.review.mirror import lay_there, mirror, steps_of, tag
from evolve.review.mirror import merge as merge_there
from evolve.review.pulls import Promotions, Pull, pull, pulls, standing
from evolve.review.rebase import laid
from evolve.reviews import Part, Review
from evolve.target import Step, Target

MAIN = "refs/heads/main"
Rejudge = Callable[[Tree, Tree, float], Verdict]
"""Compares a tree with what `main` holds at the users of the confirmation, at a level."""


class Desk:
    """The pull requests of one run. `archive` must hold everything that `journal` does when a method is called."""

    def __init__(
        self, run: str, archive: Archive, lineage: Lineage, journal: Journal, *, to_target: bool = False
    ) -> None:
        """`to_target` says that what the run names as the user's repository may be written to: never of an imported
        run, whose first record a stranger wrote."""
        self._run, self._archive, self._lineage, self._journal = run, archive, lineage, journal
        self._to_target = to_target
        self.said_of_target = ""

    def open_all(self) -> None:
        """Makes the branch of every promotion that has none yet."""
        there = heads_of(self._lineage)
        for number in range(1, len(self._archive.promoted) + 1):
            if number not in there:
                self._open(pull(self._archive, number))
        if target := self.target:
            mirror(target, self._run, self._archive, self._lineage)

    @property
    def target(self) -> Target | None:
        """The user's own repository, where the run has one and it may be written to."""
        return Target.of(self._archive.settings) if self._to_target else None

    def approve(self, number: int, text: str = "") -> str:
        """Merges a pull request, with the open ones that it stands on, into `main`; returns the merge commit.

        Raises UsageError where it is merged already, stands on one that was rejected or rolled back, or where `main`
        holds what no pull request brought.
        """
        found = pull(self._archive, number)
        if found.state == "approved":
            raise UsageError(f"pull request {number} is approved already", hint="See `evolve pr list`.")
        if found.state in ("conflicting", "not confirmed"):
            raise UsageError(
                f"pull request {number} is {found.state} on what `main` holds",
                hint=f"See evolve pr show {number}; when `main` has moved: evolve pr rebase {number}",
            )
        self._require_sound_ground(found)
        head, main = head_of(self._lineage, number), self._lineage.head(MAIN)
        tree, parents = self._lineage.tree(head), (found.rebased.onto if found.rebased else self._ground(), head)
        subject = f"Merge pull request {number}: candidate {found.candidate}\n"
        merge = self._lineage.write(f"refs/evolve/merges/{number}", found.candidate, tree, parents, subject)
        if main not in (parents[0], merge):
            raise UsageError(self._stale(number, main, head), hint=f"evolve pr rebase {number}")
        if target := self.target:
            self.said_of_target = merge_there(target, self._run, found)
        self._lineage.point(MAIN, merge, main)
        self._lineage.point(f"refs/tags/champion/{number}", merge)
        self._lineage.drop(f"refs/evolve/merges/{number}")
        self._journal.append("approved", {"pull": number, "text": text, "commit": merge})
        return merge

    def follow(self, *, auto_approve: bool) -> None:
        """Opens what is promoted; with `auto_approve` merges the newest, where no person stands against it."""
        self.open_all()
        found = pulls(self._archive)
        if auto_approve and found and found[-1].state == "open":
            with suppress(UsageError):  # it stays open, for a person: a search does not end over a review
                self.approve(found[-1].number, "approved by --auto-approve")

    def reject(self, number: int, reason: str) -> None:
        """Writes the reason to the journal, where a proposer reads it. Raises UsageError where it is merged."""
        if not reason.strip():
            raise UsageError("a rejection needs its reason", hint='For example: --reason "too slow to serve"')
        if pull(self._archive, number).state == "approved":
            raise UsageError(f"pull request {number} is approved", hint=f"evolve pr rollback {number}")
        self._journal.append("rejected", {"pull": number, "text": reason, "commit": ""})

    def comment(self, number: int, text: str) -> None:
        """Keeps a remark."""
        pull(self._archive, number)
        self._journal.append("commented", {"pull": number, "text": text, "commit": ""})

    def roll_back(self, number: int, text: str = "") -> str:
        """Puts `main` back to what it held before a merge, by a commit on top; returns it.

        Raises UsageError where the pull request is not the last one that was merged.
        """
        pull(self._archive, number)
        merged = standing(self._archive)
        if not merged or merged[-1].pull != number:
            last = f"the last is {merged[-1].pull}: roll that back first" if merged else "none is merged"
            raise UsageError(f"pull request {number} is not the last that was merged; {last}")
        main, ground, merge = self._lineage.head(MAIN), self._ground(), merged[-1].commit
        before = self._lineage.tree(self._lineage.head(f"{merge}^1"))
        subject = f"Roll back pull request {number}\n"
        candidate = self._archive.promoted[number - 1].number
        back = self._lineage.write(f"refs/evolve/merges/{number}", candidate, before, (ground,), subject)
        if main not in (ground, back):
            raise UsageError("`main` holds commits that no pull request brought", hint="Take them off first.")
        self._lineage.point(MAIN, back, main)
        self._lineage.drop(f"refs/evolve/merges/{number}")
        self._journal.append("rolled_back", {"pull": number, "text": text, "commit": back})
        if target := self.target:
            where, name = shlex.quote(str(target.repository)), tag(self._run, number)
            self.said_of_target = f"in {where}, where it stays until you say so: git revert -m 1 {name}"
        return back

    def rebase(self, number: int, judge: Rejudge) -> Review:
        """Lays an unmerged pull request on what `main` holds, one commit a step, and has it judged again there.

        The look at the confirmation users is paid from the run's error budget like any other. Where both changed the
        same lines it is marked `conflicting`, with the hunks. Raises UsageError where nothing is to be done.
        """
        found, main = pull(self._archive, number), self._lineage.head(MAIN)
        if found.state == "approved":
            raise UsageError(f"pull request {number} is approved already", hint="See `evolve pr list`.")
        below = pull(self._archive, number - 1).candidate if number > 1 else 0
        base = self._lineage.tree(self._archive.candidates[below].commit)
        ground = self._lineage.tree(main)
        if ground == base and not found.rebased:
            raise UsageError(f"pull request {number} is not stale: it stands on what `main` holds")
        new = laid(steps_of(self._archive, found, self._lineage), base, ground)
        if not new.conflicts and not new.steps:
            raise UsageError(f"`main` holds all that pull request {number} changes", hint="Reject it as done.")
        body = {"pull": number, "text": new.conflicts, "commit": "", "onto": main, "verdict": None}
        if not new.conflicts:
            tip = self._series(f"refs/evolve/opening/{number}", main, new.steps)
            verdict = judge(new.steps[-1].tree, ground, alpha_of(self._archive.looks))
            self._lineage.point(self.branch(number), tip)
            self._lineage.drop(f"refs/evolve/opening/{number}")
            body |= {"commit": tip, "verdict": verdict_to_json(verdict)}
            if (target := self.target) and verdict.decision == "better":
                lay_there(target, self._run, self._archive, number, ground, new.steps)
        self._archive.apply(self._journal.append("rebased", body))
        return self._archive.reviews[-1]

    def attribute(self, number: int, parts: Iterable[Part]) -> Review:
        """Keeps what was measured of each part."""
        pull(self._archive, number)
        told = [
            {"name": p.name, "verdict": verdict_to_json(p.verdict) if p.verdict else None, "reason": p.reason}
            for p in parts
        ]
        body = {"pull": number, "text": "", "commit": "", "parts": told}
        self._archive.apply(self._journal.append("attributed", body))
        return self._archive.reviews[-1]

    def branch(self, number: int) -> str:
        """The branch that it has, whatever the run was called then."""
        names = (n for n in self._lineage.heads() if n.startswith("evolve/") and n.endswith(f"/{number}"))
        return f"refs/heads/{next(names, f'evolve/{self._run}/{number}')}"

    def _open(self, found: Pull) -> None:
        """One clean commit for each step, on the branch of the pull request before it."""
        ref = f"refs/evolve/opening/{found.number}"
        onto = head_of(self._lineage, found.number - 1) or self._archive.seed.commit
        tip = self._series(ref, onto, steps_of(self._archive, found, self._lineage))
        self._lineage.point(f"refs/heads/evolve/{self._run}/{found.number}", tip)
        self._lineage.drop(ref)

    def _series(self, ref: str, onto: str, steps: Sequence[Step]) -> str:
        for step in steps:
            onto = self._lineage.write(ref, step.number, step.tree, (onto,), step.text)
        return onto

    def _ground(self) -> str:
        """The commit that `main` must be: made by the last review that changed it, or the seed."""
        made = [review.commit for review in self._archive.reviews if review.kind in ("approved", "rolled_back")]
        return made[-1] if made else self._archive.seed.commit

    def _require_sound_ground(self, found: Pull) -> None:
        """A pull request that was not rebased stands on all before it."""
        if found.rebased:
            return
        for below in pulls(self._archive)[: found.number - 1]:
            if below.rebased or below.state in ("rejected", "rolled back"):
                was = f"which was {below.state}" if not below.rebased else "as it was before that was rebased"
                raise UsageError(
                    f"pull request {found.number} stands on pull request {below.number}, {was}",
                    hint=f"Lay it on `main` and judge it again: evolve pr rebase {found.number}",
                )

    def _stale(self, number: int, main: str, head: str) -> str:
        said = self._lineage.conflicts(main, head).partition("\n")[2].strip()
        return f"pull request {number} is stale: `main` holds commits that no pull request brought\n{said}".rstrip()


def heads_of(lineage: Lineage) -> dict[int, str]:
    """Pull request -> the last commit of its branch, whatever the run was called when it was opened."""
    named = (
        (name.rpartition("/")[2], commit) for name, commit in lineage.heads().items() if name.startswith("evolve/")
    )
    return {int(number): commit for number, commit in named if number.isdecimal()}


def head_of(lineage: Lineage, number: int) -> str:
    """The last commit of a pull request's branch, or nothing."""
    return heads_of(lineage).get(number, "")


def base_of(lineage: Lineage, run: Promotions, number: int) -> str:
    """What a pull request is to be compared with: the commit that its own first one stands on."""
    found = pull(run, number)
    if found.rebased and found.rebased.commit:
        return found.rebased.onto
    return lineage.head(f"{head_of(lineage, number)}~{len(found.steps)}")
