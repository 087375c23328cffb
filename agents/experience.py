"""What a run has taught so far: parents worth changing, what each technique gave, and what was tried.

An index of the history that grows with it, so that the thousandth proposal costs what the first does. It holds nothing
that does not follow from the history.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from agents import edits, tunables
from agents.bandit import draw_parents, prior_sd
from agents.effects import Effects, Step
from agents.tune import TunedTrial
from evolve.contracts import Attempt, Candidate, Floats, History, Move, Persona, Proposal, Scored, SearchSpace, Tree

TRUSTED_FROM = "full"
"""A candidate may be a parent from this rung on."""

Row = tuple[Candidate, Proposal]


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


class Experience:
    """The history, indexed. `follow` is the only way in."""

    def __init__(self, space: SearchSpace, history: History) -> None:
        seed, self._sd = history.seed, prior_sd(history.floor)
        self._trusted = {rung.name for rung in space.rungs[[rung.name for rung in space.rungs].index(TRUSTED_FROM) :]}
        self._cards = {technique.name: technique for technique in space.techniques}
        self._rows: list[Candidate] = [seed]
        self._judged = 0
        self._last: Attempt | None = None
        self._measured: dict[str, tuple[float, float]] = {seed.commit: (0.0, 0.0)}
        self._behaviours: set[tuple[object, ...]] = set()
        self.parents: list[Parent] = [Parent(candidate=seed, gain=0.0, standard_error=0.0, proposal=None)]
        """The seed first, then candidates in their order. Of candidates that scored the same to the last digit only
        the first is here: the others' changes never ran."""
        self.effects = Effects(tuple(self._cards), self._sd)
        self.used: set[tuple[str, tuple[str, ...]]] = set()
        """(technique, parents' commits) of every proposal, finished or in flight."""
        self.tried: Counter[str] = Counter()
        """Technique -> how many proposals used it, alone or stacked."""
        self.moves: Counter[Move] = Counter()
        self.personas: Counter[Persona] = Counter()
        self.candidates: dict[str, Candidate] = {seed.commit: seed}
        """Commit -> candidate."""
        self.standing: dict[str, frozenset[str]] = {seed.commit: frozenset()}
        """Commit -> the techniques that were brought on the way to it and still stand in it."""
        self._lines: dict[str, frozenset[str]] = {seed.commit: frozenset()}
        self._trees: set[frozenset[tuple[str, str]]] = {frozenset(seed.tree.items())}
        self._trials: defaultdict[str, list[TunedTrial]] = defaultdict(list)
        self._try_out(seed, 0.0)

    def follows(self, history: History) -> bool:
        """Whether the history is the one indexed so far, or continues it."""
        rows = len(self._rows) - 1
        if history.seed is not self._rows[0] or len(history.attempts) < self._judged:
            return False
        if self._judged and history.attempts[self._judged - 1] is not self._last:
            return False
        return rows <= len(history.attempts) + len(history.pending) and (
            rows == 0 or _row(history, rows - 1)[0] is self._rows[-1]
        )

    def follow(self, history: History) -> None:
        """Takes what happened since."""
        for index in range(len(self._rows) - 1, len(history.attempts) + len(history.pending)):
            self._see(*_row(history, index))
        for attempt in history.attempts[self._judged :]:
            self._learn(attempt)
            self._last = attempt
        self._judged = len(history.attempts)

    # --- questions -----------------------------------------------------------------------------

    def draws(self, history: History, rng: np.random.Generator) -> Floats:
        """One draw of the true gain of each of `parents`."""
        waiting = Counter(commit for w in history.pending for commit in w.proposal.parents)
        return draw_parents(
            np.array([parent.gain for parent in self.parents]),
            np.array([parent.standard_error for parent in self.parents]),
            np.array([waiting[parent.candidate.commit] for parent in self.parents], dtype=np.float64),
            self._sd,
            rng,
        )

    def knows(self, tree: Tree) -> bool:
        """Whether a tree of the same text was proposed."""
        return frozenset(tree.items()) in self._trees

    def used_on_the_way(self, candidate: Candidate, technique: str) -> bool:
        """Whether the technique was used between the seed and the candidate."""
        return technique in self._lines[candidate.commit]

    def trials(self, shape: str, waiting: Iterable[Candidate]) -> list[TunedTrial]:
        """Every candidate of that structure, finished or `waiting`: its values and its gain."""
        unknown = (c.tree for c in waiting if tunables.structure(c.tree) == shape)
        return [*self._trials[shape], *(TunedTrial(values=tunables.find(t).values, gain=None) for t in unknown)]

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

    def common_ancestor(self, one: Candidate, other: Candidate) -> Candidate | None:
        """The youngest candidate that both descend from; one of the two where it is the other's ancestor."""
        mine, theirs = self.ancestors(one), self.ancestors(other)
        return max((mine[c] for c in mine.keys() & theirs.keys()), key=lambda c: c.number, default=None)

    def still_standing(self, tree: Tree, names: Iterable[str]) -> frozenset[str]:
        """Which of the techniques stand in the tree: using them again would change nothing but tuned values."""
        return frozenset(name for name in names if name in self._cards and edits.stands(tree, self._cards[name]))

    # --- taking in -----------------------------------------------------------------------------

    def _see(self, candidate: Candidate, proposal: Proposal) -> None:
        names = proposal.technique.split("+")
        brought = frozenset(names).union(*(self._lines[commit] for commit in candidate.parents))
        self._rows.append(candidate)
        self.candidates[candidate.commit] = candidate
        self._lines[candidate.commit] = brought
        self.standing[candidate.commit] = self.still_standing(candidate.tree, brought)
        self._trees.add(frozenset(candidate.tree.items()))
        self.used.add((proposal.technique, proposal.parents))
        self.tried.update(names)
        self.moves[proposal.move] += 1
        self.personas[proposal.persona] += 1

    def _learn(self, attempt: Attempt) -> None:
        candidate, outcome = attempt.candidate, attempt.outcome
        before, after = self.standing[candidate.parents[0]], self.standing[candidate.commit]
        known, own = self._measured.get(candidate.parents[0]), None
        if isinstance(outcome, Scored):
            own = self._measured[candidate.commit] = outcome.gain, _finite(outcome.standard_error)
            self._admit(attempt, outcome)
        self._try_out(candidate, own[0] if own else None)
        self.effects.learn(
            Step(
                brought=after - before,
                displaced=before - after,
                delta=own[0] - known[0] if own and known else None,
                standard_error=math.hypot(own[1], known[1]) if own and known else 0.0,
            )
        )

    def _admit(self, attempt: Attempt, outcome: Scored) -> None:
        """Makes a parent of a candidate that may be trusted and that behaves as no earlier one does."""
        behaviour = (outcome.rung, outcome.seeds, outcome.score, outcome.gain)
        if outcome.rung in self._trusted and behaviour not in self._behaviours:
            error = _finite(outcome.standard_error)
            self.parents.append(
                Parent(candidate=attempt.candidate, gain=outcome.gain, standard_error=error, proposal=attempt.proposal)
            )
        self._behaviours.add(behaviour)

    def _try_out(self, candidate: Candidate, gain: float | None) -> None:
        trial = TunedTrial(values=tunables.find(candidate.tree).values, gain=gain)
        self._trials[tunables.structure(candidate.tree)].append(trial)


def read(space: SearchSpace, history: History) -> Experience:
    """Indexes a history from its beginning."""
    experience = Experience(space, history)
    experience.follow(history)
    return experience


def _row(history: History, index: int) -> Row:
    """Candidate and proposal number `index` + 1: finished ones come first, then those in flight."""
    finished = len(history.attempts)
    row = history.attempts[index] if index < finished else history.pending[index - finished]
    return row.candidate, row.proposal


def _finite(standard_error: float) -> float:
    """A single measurement may have no error estimate; then nothing is added to the spread between parents."""
    return standard_error if math.isfinite(standard_error) else 0.0
