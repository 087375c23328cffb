"""Other ways to spend the same compute on the same catalogue: proposers that learn nothing, or only numbers.

Each runs in the same loop, under the same judge, confirmation and final fit as the product's own proposer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agents import edits, tunables
from agents.tune import TunedTrial, ask
from evolve.contracts import (
    Attempt,
    History,
    Move,
    Persona,
    Proposal,
    Proposer,
    Rejected,
    Scored,
    SearchSpace,
    Technique,
    Tree,
)

MOST_TECHNIQUES = 5
"""Random search stacks one to so many techniques on the seed."""
TRIES = 200


def spent_cpu_s(attempts: Sequence[Attempt]) -> float:
    """CPU seconds of all judged candidates."""
    outcomes = (attempt.outcome for attempt in attempts)
    return sum(outcome.cpu_s for outcome in outcomes if not isinstance(outcome, Rejected))


@dataclass(frozen=True, kw_only=True)
class Capped:
    """Another proposer until its candidates have used `cpu_s` CPU seconds."""

    inner: Proposer
    cpu_s: float

    @property
    def name(self) -> str:
        return self.inner.name

    def propose(self, history: History, seed: int) -> Proposal | None:
        return None if spent_cpu_s(history.attempts) >= self.cpu_s else self.inner.propose(history, seed)


@dataclass(frozen=True, kw_only=True)
class RandomSearch:
    """Random techniques in random order on the seed, each trial independent of all others."""

    space: SearchSpace
    name: str = "random search"

    def propose(self, history: History, seed: int) -> Proposal | None:
        rng, cards = np.random.default_rng([seed, history.number]), self.space.techniques
        for _ in range(TRIES):
            count = int(rng.integers(1, MOST_TECHNIQUES + 1))
            chosen = [cards[int(index)] for index in rng.permutation(len(cards))[:count]]
            proposal = _stacked(self.space, history, chosen, self.name)
            if proposal:
                return proposal
        return None


@dataclass(frozen=True, kw_only=True)
class Singles:
    """Every technique once, alone on the seed, in random order; ends when all were tried."""

    space: SearchSpace
    name: str = "best single technique"

    def propose(self, history: History, seed: int) -> Proposal | None:
        cards = self.space.techniques
        order = np.random.default_rng(seed).permutation(len(cards))
        found = (_stacked(self.space, history, [cards[int(index)]], self.name) for index in order)
        return next((proposal for proposal in found if proposal), None)


@dataclass(frozen=True, kw_only=True)
class OptunaOnSeed:
    """Optuna's TPE over the seed's own tunables; no code changes."""

    space: SearchSpace
    name: str = "Optuna on the seed's numbers"

    def propose(self, history: History, seed: int) -> Proposal | None:
        rng, live = np.random.default_rng([seed, history.number]), tunables.live(history.seed.tree).tunables
        for _ in range(TRIES):
            values = ask(live, tuple(_trials(history)), int(rng.integers(2**31)))
            tree = tunables.with_values(history.seed.tree, values)
            if not history.tried(tree):
                return _proposal(history, tree, "tune", Persona.OPTIMIZER, self.name)
        return None


def _trials(history: History) -> Iterator[TunedTrial]:
    yield TunedTrial(values=tunables.find(history.seed.tree).values, gain=0.0)
    for attempt in history.attempts:
        gain = attempt.outcome.gain if isinstance(attempt.outcome, Scored) else None
        yield TunedTrial(values=tunables.find(attempt.candidate.tree).values, gain=gain)
    for waiting in history.pending:
        yield TunedTrial(values=tunables.find(waiting.candidate.tree).values, gain=None)


def _stacked(space: SearchSpace, history: History, chosen: Sequence[Technique], name: str) -> Proposal | None:
    """The chosen techniques that fit, one after the other on the seed; None where that is no new tree."""
    tree: Tree = history.seed.tree
    used: list[Technique] = []
    for technique in chosen:
        changed = edits.apply(tree, technique)
        if changed is not None and changed != tree:
            tree = changed
            used.append(technique)
    if not used or history.tried(tree) or space.check(tree) is not None:
        return None
    return _proposal(history, tree, "+".join(card.name for card in used), used[0].persona, name)


def _proposal(history: History, tree: Tree, technique: str, persona: Persona, name: str) -> Proposal:
    before = history.seed.tree
    return Proposal(
        parents=(history.seed.commit,),
        files={path: text for path, text in tree.items() if before.get(path) != text},
        hypothesis=f"{technique} on the seed",
        mechanism="none is claimed",
        observable=None,
        persona=persona,
        move=Move.EXPLORE,
        technique=technique,
        proposer=name,
    )
