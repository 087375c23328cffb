"""Opens, approves, rejects and rolls back pull requests: git first, then the record. Judges nothing.

Both halves are the same when they are done twice, so a command that was cut between them is simply given again.
"""

from __future__ import annotations

from contextlib import suppress

from evolve.archive import Archive
from evolve.errors import UsageError
from evolve.journal import Journal
from evolve.lineage import Lineage
from evolve.loop import message
from evolve.review.pulls import Pull, pull, pulls, standing

MAIN = "refs/heads/main"


class Desk:
    """The pull requests of one run. `archive` must hold everything that `journal` does when a method is called."""

    def __init__(self, run: str, archive: Archive, lineage: Lineage, journal: Journal) -> None:
        self._run, self._archive, self._lineage, self._journal = run, archive, lineage, journal

    def open_all(self) -> None:
        """Makes the branch of every promotion that has none yet."""
        for number in range(1, len(self._archive.promoted) + 1):
            if not head_of(self._lineage, number):
                self._open(pull(self._archive, number))

    def approve(self, number: int, text: str = "") -> str:
        """Merges a pull request, with the open ones that it stands on, into `main`; returns the merge commit.

        Raises UsageError where it is merged already, stands on one that was rejected or rolled back, or where `main`
        holds what no pull request brought.
        """
        found = pull(self._archive, number)
        if found.state == "approved":
            raise UsageError(f"pull request {number} is approved already", hint="See `evolve pr list`.")
        self._require_sound_ground(number)
        head, main = head_of(self._lineage, number), self._lineage.head(MAIN)
        tree, parents = self._lineage.tree(head), (self._ground(), head)
        subject = f"Merge pull request {number}: candidate {found.candidate}\n"
        merge = self._lineage.write(f"refs/evolve/merges/{number}", found.candidate, tree, parents, subject)
        if main not in (parents[0], merge):
            raise UsageError(self._stale(number, main, head), hint="Take those commits off `main`, or merge by hand.")
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
        return back

    def _open(self, found: Pull) -> None:
        """One clean commit for each step, on the branch of the pull request before it."""
        tip = base_of(self._lineage, self._archive, found.number)
        proposals = {attempt.candidate.number: attempt.proposal for attempt in self._archive.attempts}
        ref = f"refs/evolve/opening/{found.number}"
        for number in found.steps:
            candidate = self._archive.candidates[number]
            text = f"{message(proposals[number])}Candidate: {number} ({candidate.commit})\n"
            tip = self._lineage.write(ref, number, self._lineage.tree(candidate.commit), (tip,), text)
        self._lineage.point(f"refs/heads/evolve/{self._run}/{found.number}", tip)
        self._lineage.drop(ref)

    def _ground(self) -> str:
        """The commit that `main` must be: made by the last review that changed it, or the seed."""
        made = [review.commit for review in self._archive.reviews if review.kind in ("approved", "rolled_back")]
        return made[-1] if made else self._archive.seed.commit

    def _require_sound_ground(self, number: int) -> None:
        for below in pulls(self._archive)[: number - 1]:
            if below.state in ("rejected", "rolled back"):
                raise UsageError(
                    f"pull request {number} stands on pull request {below.number}, which was {below.state}",
                    hint=f"Approve {below.number} after all, or reject {number}.",
                )

    def _stale(self, number: int, main: str, head: str) -> str:
        said = self._lineage.conflicts(main, head).partition("\n")[2].strip()
        return f"pull request {number} is stale: `main` holds commits that no pull request brought\n{said}".rstrip()


def head_of(lineage: Lineage, number: int) -> str:
    """The last commit of a pull request's branch, whatever the run was called when it was opened; or nothing."""
    names = [b for b in lineage.branches() if b.startswith("evolve/") and b.rpartition("/")[2] == str(number)]
    return lineage.head(f"refs/heads/{names[0]}") if names else ""


def base_of(lineage: Lineage, archive: Archive, number: int) -> str:
    """What a pull request is to be compared with: the one before it, or the seed."""
    return head_of(lineage, number - 1) if number > 1 else archive.seed.commit
