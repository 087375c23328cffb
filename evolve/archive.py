"""The state of a run, folded from its journal and lineage. Decides nothing; two equal journals give equal state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from evolve import records
from evolve.campaign import OUTER, Campaign, candidate_of
from evolve.contracts import (
    Action,
    Attempt,
    Candidate,
    FinalResult,
    History,
    NoiseFloor,
    Outcome,
    Proposal,
    Scored,
    Tree,
    Verdict,
    Waiting,
)
from evolve.errors import RunError
from evolve.fingerprint import fingerprint
from evolve.journal import Record
from evolve.reviews import REVIEWS, Review, ReviewKind, review_of

NORTH_STAR = "north_star"
"""The metric of an experiment's verdict; its effect is a share of the control's mean."""


class TreeReader(Protocol):
    """Where candidates' files are read from."""

    def tree(self, commit: str) -> Tree:
        """The files of a commit."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A candidate that waits for its outcome, and the reference it is judged against."""

    candidate: Candidate
    proposal: Proposal
    reference: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A proposal that a gate refused, for free."""

    proposal: Mapping[str, Any]
    gate: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """One look at the confirmation split."""

    number: int
    against: int
    verdict: Verdict
    promoted: bool


class Archive:
    """Everything that a run knows. `apply` is the only way in.

    `with_code=False` leaves out candidates' files and fingerprints: enough to show a run of any length, and quick; a
    search needs them.
    """

    def __init__(self, lineage: TreeReader, *, with_code: bool = True) -> None:
        self._lineage, self._with_code = lineage, with_code
        self._first: dict[str, int] = {}
        self.settings: Mapping[str, Any] = {}
        self.candidates: list[Candidate] = []
        self.by_commit: dict[str, Candidate] = {}
        self.attempts: list[Attempt] = []
        self.pending: list[Pending] = []
        self.refusals: list[Refusal] = []
        self.confirmations: list[Confirmation] = []
        self.reviews: list[Review] = []
        self.refused_in_a_row = 0
        self.floor: NoiseFloor | None = None
        self.champion: Candidate | None = None
        self.leader: Candidate | None = None
        """The best that the search has replicated: what the next proposal is judged against."""
        self._lead = 0.0
        self.unsettled: Attempt | None = None
        self.final: FinalResult | None = None
        self.ended = ""
        self.campaign = Campaign()
        self._promoted: list[Confirmation] = []

    @property
    def seed(self) -> Candidate:
        """Candidate 0."""
        return self.candidates[0]

    @property
    def counted(self) -> int:
        """Proposals that reached, or will reach, a sandbox: what `--budget` counts."""
        return len(self.candidates) - 1

    def apply(self, record: Record) -> None:
        """Takes one record of the journal. Raises RunError on a kind that it does not know."""
        if record.kind in REVIEWS:
            self._review(record)
            return
        if record.kind in OUTER:
            self.campaign.apply(record.kind, record.body)
            if record.kind == "decided" and (look := promotion(record.body)):
                self._promote(look)
            return
        take = getattr(self, f"_on_{record.kind}", None)
        if take is None:
            raise RunError(
                f"record {record.number} of the journal is of kind `{record.kind}`, which this version does not know",
                hint="Use the version of evolve that wrote the run.",
            )
        take(record.body)

    def tried(self, tree: Tree) -> bool:
        """Whether an equal tree was ever committed in this run."""
        assert self._with_code, "an archive without code can't say what was tried"
        return fingerprint(tree) in self._first

    def history(self) -> History:
        """What a proposer may see now; it stays as it is whatever happens later."""
        assert self.floor is not None and self.champion is not None
        count = len(self.candidates)
        return History(
            number=count,
            seed=self.seed,
            champion=self.champion,
            floor=self.floor,
            attempts=tuple(self.attempts),
            pending=tuple(Waiting(candidate=p.candidate, proposal=p.proposal) for p in self.pending),
            tried=lambda tree: self._first.get(fingerprint(tree), count) < count,
            rejections=self.rejections(),
            experiments=self.campaign.lines,
            refused=tuple(refusal.reason for refusal in self.refusals if refusal.gate == "static"),
        )

    @property
    def by_experiment(self) -> bool:
        """Whether only experiments promote: the search's confirmations then order challengers and ship nothing."""
        return self.settings.get("confirmation") == "experiment"

    @property
    def promoted(self) -> list[Confirmation]:
        """The promotions in order: number n, from one, opened pull request n. One a candidate: what an experiment says
        of a candidate that has a pull request belongs to that one."""
        return self._promoted

    @property
    def looks(self) -> int:
        """How often the confirmation users were looked at: at challengers, and at rebased pull requests."""
        return len(self.confirmations) + sum(review.verdict is not None for review in self.reviews)

    def first_parent(self, number: int) -> int | None:
        """The candidate that a candidate changes; None for the seed."""
        parents = self.candidates[number].parents
        return self.by_commit[parents[0]].number if parents else None

    def rejections(self) -> dict[int, str]:
        """Candidate's number -> why a person rejected the pull request that it opened, as decided last."""
        found: dict[int, str] = {}
        for review in self.reviews:
            number = self.promoted[review.pull - 1].number
            if review.kind == "rejected":
                found[number] = review.text
            elif review.kind == "approved":
                found.pop(number, None)
        return found

    def outcome(self, number: int) -> Outcome | None:
        """The outcome of candidate `number`, or None while it waits (and for the seed)."""
        return self.attempts[number - 1].outcome if 0 < number <= len(self.attempts) else None

    def _on_started(self, body: Mapping[str, Any]) -> None:
        self.settings = body
        self.champion = self.leader = self._add(0, body["seed_commit"], ())

    def _on_floor(self, body: Mapping[str, Any]) -> None:
        self.floor = records.floor_from_json(body)

    def _on_proposed(self, body: Mapping[str, Any]) -> None:
        parents = tuple(body["proposal"]["parents"])
        candidate = self._add(body["number"], body["commit"], parents)
        before = self.by_commit[parents[0]].tree
        changed = {path: text for path, text in candidate.tree.items() if before.get(path) != text}
        proposal = records.proposal_from_json(body["proposal"], changed)
        reference = self.candidates[body["reference"]]
        self.pending.append(Pending(candidate=candidate, proposal=proposal, reference=reference))
        self.refused_in_a_row = 0
        self.final, self.ended = None, ""

    def _on_refused(self, body: Mapping[str, Any]) -> None:
        self.refusals.append(Refusal(proposal=body["proposal"], gate=body["gate"], reason=body["reason"]))
        self.refused_in_a_row += 1

    def _on_judged(self, body: Mapping[str, Any]) -> None:
        first = self.pending.pop(0)
        outcome = records.outcome_from_json(body["outcome"])
        self.unsettled = Attempt(candidate=first.candidate, proposal=first.proposal, outcome=outcome)
        self.attempts.append(self.unsettled)
        if isinstance(outcome, Scored) and outcome.promising and outcome.gain > self._lead:
            self.leader, self._lead = first.candidate, outcome.gain

    def _on_confirmed(self, body: Mapping[str, Any]) -> None:
        verdict = records.verdict_from_json(body["verdict"])
        number, against, promoted = body["number"], body["against"], body["promoted"]
        self.confirmations.append(Confirmation(number=number, against=against, verdict=verdict, promoted=promoted))
        self.unsettled = None
        if promoted:
            self.champion = self.candidates[number]
            if not self.by_experiment:
                self._promote(self.confirmations[-1])

    def _on_final(self, body: Mapping[str, Any]) -> None:
        self.final = records.final_from_json(body)

    def _on_ended(self, body: Mapping[str, Any]) -> None:
        self.ended = body["reason"]

    def _promote(self, look: Confirmation) -> None:
        if look.number not in {other.number for other in self._promoted}:
            self._promoted.append(look)

    def _review(self, record: Record) -> None:
        body = record.body
        pull, kind = body["pull"], cast(ReviewKind, record.kind)
        if not 1 <= pull <= len(self.promoted):
            raise RunError(f"record {record.number} of the journal reviews pull request {pull}, which was never opened")
        self.reviews.append(review_of(kind, body, record.at))

    def _add(self, number: int, commit: str, parents: tuple[str, ...]) -> Candidate:
        tree = self._lineage.tree(commit) if self._with_code else {}
        print_ = fingerprint(tree) if self._with_code else ""
        candidate = Candidate(number=number, commit=commit, parents=parents, tree=tree, fingerprint=print_)
        self._first.setdefault(print_, number)
        self.candidates.append(candidate)
        self.by_commit[commit] = candidate
        return candidate


def promotion(body: Mapping[str, Any]) -> Confirmation | None:
    """A `decided` record that promotes, as a look at the north star of people; else None."""
    decision = records.decision_from_json(body["decision"])
    if decision.action is not Action.PROMOTE:
        return None
    verdict = Verdict(
        decision="better", metric=NORTH_STAR, effect=decision.effect, low=decision.low, high=decision.high,
        p=min(1.0, math.exp(-decision.log_e)), alpha=decision.alpha, users=decision.users, seeds=1,
        reason=decision.reason,
    )  # fmt: skip
    number, against = candidate_of(body["challenger"]), candidate_of(body["control"])
    return Confirmation(number=number, against=against, verdict=verdict, promoted=True)
