"""A run as a sequence of steps, in the order of its lineage. Folds the journal; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from evolve import records
from evolve.archive import Archive, Confirmation, TreeReader
from evolve.contracts import Candidate, Outcome, Proposal, Scored
from evolve.journal import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One candidate and what became of it.

    `reference` is the candidate that it was judged against; `champion` is the champion's number after this step;
    `at` is when its last record was written, in seconds since the epoch.
    """

    candidate: Candidate
    parents: tuple[int, ...]
    reference: int
    proposal: Proposal
    outcome: Outcome | None
    confirmation: Confirmation | None
    champion: int
    at: float

    @property
    def decision(self) -> str:
        """What was done with the candidate, in one word or two."""
        if self.outcome is None:
            return "in flight"
        if self.confirmation is not None:
            return "promoted" if self.confirmation.promoted else "not confirmed"
        return "kept" if isinstance(self.outcome, Scored) else "set aside"


def steps(journal: Iterable[Record], lineage: TreeReader) -> Iterator[Step]:
    """Every candidate but the seed, in order of its number; those in flight come last, without an outcome."""
    archive = Archive(lineage)
    last: Step | None = None
    at = 0.0
    for record in journal:
        at, waiting = record.at, archive.pending[0] if archive.pending else None
        archive.apply(record)
        if record.kind == "judged" and waiting is not None:
            if last:
                yield last
            attempt = archive.attempts[-1]
            last = _step(archive, attempt.candidate, attempt.proposal, waiting.reference, attempt.outcome, at)
        elif record.kind == "confirmed" and last:
            champion = archive.champion.number if archive.champion else 0
            last = replace(last, confirmation=archive.confirmations[-1], champion=champion, at=at)
    if last:
        yield last
    for flying in archive.pending:
        yield _step(archive, flying.candidate, flying.proposal, flying.reference, None, at)


def to_json(step: Step, diff: str) -> dict[str, Any]:
    """A step as plain values; `diff` is the change against its first parent."""
    look = step.confirmation
    verdict = step.outcome.verdict if isinstance(step.outcome, Scored) else None
    return {
        "number": step.candidate.number,
        "commit": step.candidate.commit,
        "parents": list(step.parents),
        "reference": step.reference,
        "proposal": records.proposal_to_json(step.proposal),
        "diff": diff,
        "outcome": records.outcome_to_json(step.outcome) if step.outcome else None,
        "verdict": records.verdict_to_json(verdict) if verdict else None,
        "confirmation": records.verdict_to_json(look.verdict) if look else None,
        "decision": step.decision,
        "champion": step.champion,
        "at": step.at,
    }


def _step(
    archive: Archive, candidate: Candidate, proposal: Proposal, reference: Candidate, outcome: Outcome | None, at: float
) -> Step:
    return Step(
        candidate=candidate,
        parents=tuple(archive.by_commit[commit].number for commit in candidate.parents),
        reference=reference.number,
        proposal=proposal,
        outcome=outcome,
        confirmation=None,
        champion=archive.champion.number if archive.champion else 0,
        at=at,
    )
