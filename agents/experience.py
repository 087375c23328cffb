"""What a run has taught so far, read from its history: parents worth changing, and what each technique gave.

Derived anew from the history for every proposal, never stored. Knows nothing of trees' contents or of chance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agents.bandit import Arm, Trial
from evolve.contracts import Attempt, Candidate, History, Move, Proposal, Scored

TRUSTED_FROM = "full"
"""A candidate may be a parent from this rung on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A candidate that may be changed again. `gain` is over the seed; `proposal` made it (None for the seed)."""

    candidate: Candidate
    gain: float
    standard_error: float
    proposal: Proposal | None

    @property
    def label(self) -> str:
        """How a hypothesis calls it."""
        number = self.candidate.number
        return f"#{number} (gain {self.gain:+.4f})" if number else "the seed"

    @property
    def source(self) -> str:
        """How a mechanism calls it: by what made it."""
        return f"#{self.candidate.number} ({self.proposal.technique})" if self.proposal else "the seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """The history, indexed."""

    parents: tuple[Parent, ...]
    """The seed first, then candidates in their order."""
    trials: Mapping[str, Sequence[Trial]]
    """Technique -> its finished uses on a single parent."""
    used: frozenset[tuple[str, tuple[str, ...]]]
    """(technique, parents' commits) of every proposal, finished or in flight."""
    tried: Counter[str]
    """Technique -> how many proposals used it, alone or stacked."""
    waiting_techniques: Counter[str]
    waiting_parents: Counter[str]
    """Commit -> how many of its children are in flight."""
    moves: Counter[Move]
    candidates: Mapping[str, Candidate]
    """Commit -> candidate."""
    techniques: Mapping[str, str]
    """Commit -> the technique that made it."""
    trees: frozenset[frozenset[tuple[str, str]]]
    """The text of every tree that was proposed."""

    def arm(self, technique: str) -> Arm:
        """What the bandit needs to know of a technique."""
        return Arm(trials=self.trials.get(technique, ()), waiting=self.waiting_techniques[technique])

    def ancestors(self, candidate: Candidate) -> Mapping[str, Candidate]:
        """Commit -> candidate, of the candidate itself and all that it descends from."""
        found: dict[str, Candidate] = {}
        queue = [candidate]
        while queue:
            one = queue.pop()
            if one.commit not in found:
                found[one.commit] = one
                queue += [self.candidates[commit] for commit in one.parents if commit in self.candidates]
        return found

    def descends_from(self, candidate: Candidate, technique: str) -> bool:
        """Whether the technique was used on the way from the seed to the candidate."""
        return any(technique in self.techniques.get(commit, "").split("+") for commit in self.ancestors(candidate))

    def common_ancestor(self, one: Candidate, other: Candidate) -> Candidate | None:
        """The youngest candidate that both descend from; one of the two where it is the other's ancestor."""
        mine, theirs = self.ancestors(one), self.ancestors(other)
        return max((mine[c] for c in mine.keys() & theirs.keys()), key=lambda c: c.number, default=None)


def read(history: History, rungs: Sequence[str]) -> Experience:
    """Indexes the history. `rungs` are the space's rung names in their order."""
    proposals = [*(a.proposal for a in history.attempts), *(w.proposal for w in history.pending)]
    waiting = [w.proposal for w in history.pending]
    known = [history.seed, *(a.candidate for a in history.attempts), *(w.candidate for w in history.pending)]
    return Experience(
        parents=tuple(_parents(history, frozenset(rungs[rungs.index(TRUSTED_FROM) :]))),
        trials=_trials(history),
        used=frozenset((p.technique, p.parents) for p in proposals),
        tried=Counter(name for p in proposals for name in p.technique.split("+")),
        waiting_techniques=Counter(name for p in waiting for name in p.technique.split("+")),
        waiting_parents=Counter(commit for p in waiting for commit in p.parents),
        moves=Counter(p.move for p in proposals),
        candidates={candidate.commit: candidate for candidate in known},
        techniques={row.candidate.commit: row.proposal.technique for row in (*history.attempts, *history.pending)},
        trees=frozenset(frozenset(candidate.tree.items()) for candidate in known),
    )


def _parents(history: History, trusted: frozenset[str]) -> Iterator[Parent]:
    yield Parent(candidate=history.seed, gain=0.0, standard_error=0.0, proposal=None)
    for attempt in history.attempts:
        outcome = attempt.outcome
        if not isinstance(outcome, Scored):
            continue
        if outcome.rung in trusted or attempt.candidate.commit == history.champion.commit:
            yield Parent(
                candidate=attempt.candidate,
                gain=outcome.gain,
                standard_error=_finite(outcome.standard_error),
                proposal=attempt.proposal,
            )


def _trials(history: History) -> dict[str, list[Trial]]:
    measured: dict[str, tuple[float, float]] = {history.seed.commit: (0.0, 0.0)}
    for attempt in history.attempts:
        if isinstance(attempt.outcome, Scored):
            measured[attempt.candidate.commit] = attempt.outcome.gain, _finite(attempt.outcome.standard_error)
    found: dict[str, list[Trial]] = {}
    for attempt in history.attempts:
        if len(attempt.proposal.parents) == 1:
            trial = _trial(attempt, measured)
            found.setdefault(attempt.proposal.technique, []).append(trial)
    return found


def _trial(attempt: Attempt, measured: Mapping[str, tuple[float, float]]) -> Trial:
    before = measured.get(attempt.proposal.parents[0])
    after = measured.get(attempt.candidate.commit)
    if before is None or after is None:
        return Trial(delta=None, standard_error=0.0)
    return Trial(delta=after[0] - before[0], standard_error=math.hypot(before[1], after[1]))


def _finite(standard_error: float) -> float:
    """A single measurement may have no error estimate; then nothing is added to the spread between parents."""
    return standard_error if math.isfinite(standard_error) else 0.0
