"""The catalogue proposer: technique cards, a bandit, merges and tuning in place of a language model.

Three moves with quotas: explore tries a technique that the run has not seen; exploit takes the pair of technique and
parent that the bandit values most; innovate combines two good candidates, tunes one, or stacks two techniques that
paid. Everything follows from the history, the seed and the proposal's number: nothing is remembered between calls, the
caches below hold pure functions of text. Knows no sandbox, no metric's meaning, and never runs code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from agents import bandit, edits, tunables
from agents.combine import combine
from agents.experience import Experience, Parent, read
from agents.tune import TunedTrial, Values, suggestions
from evolve.contracts import (
    Candidate,
    Floats,
    History,
    Move,
    Observable,
    Persona,
    Proposal,
    Scored,
    SearchSpace,
    Technique,
    Tree,
)

QUOTAS = {Move.EXPLORE: 0.4, Move.EXPLOIT: 0.3, Move.INNOVATE: 0.3}
"""Shares of a run's proposals."""
INNOVATIONS = {"tune": 0.5, "combine": 0.3, "stack": 0.2}
"""Shares of the kinds of innovation, where all are possible."""
EXPLOITED_PARENTS = 30
"""The bandit looks at so many of the best parents, so that a long run proposes as fast as a short one."""
COMBINED_PARENTS = 12
"""Combinations are sought among so many of the best parents."""
STACKED_TECHNIQUES = 8
"""Stacks are sought among so many of the techniques that paid."""

Draft = Iterator[Proposal]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogProposer:
    """Proposes from the space's cards; implements `contracts.Proposer`."""

    space: SearchSpace
    name: str = "catalog"

    def propose(self, history: History, seed: int) -> Proposal | None:
        """The next proposal: a tree that was never tried and that the space's gate admits; None when exhausted."""
        turn = _turn(self.space, history, np.random.default_rng([seed % 2**63, history.number]), self.name)
        moves: dict[Move, Callable[[], Draft]] = {
            Move.EXPLORE: turn.explore,
            Move.EXPLOIT: lambda: turn.exploit(hopeful=True),
            Move.INNOVATE: turn.innovate,
        }
        drafts = [moves[move] for move in by_deficit(turn.experience)]
        for draft in (*drafts, lambda: turn.exploit(hopeful=False)):
            proposal = next(draft(), None)
            if proposal is not None:
                return proposal
        return None


def by_deficit(experience: Experience) -> list[Move]:
    """The moves, the one that is furthest behind its quota first."""
    total = experience.moves.total() + 1
    return sorted(QUOTAS, key=lambda move: experience.moves[move] - QUOTAS[move] * total)


def _turn(space: SearchSpace, history: History, rng: np.random.Generator, name: str) -> _Turn:
    experience = read(history, [rung.name for rung in space.rungs])
    sd = bandit.prior_sd(history.floor)
    beliefs = [
        bandit.parent_belief(p.gain, p.standard_error, sd, experience.waiting_parents[p.candidate.commit])
        for p in experience.parents
    ]
    draws = bandit.sample(beliefs, rng)
    order = np.argsort(-draws, kind="stable")
    parents = tuple(experience.parents[int(index)] for index in order)
    return _Turn(
        space=space,
        history=history,
        rng=rng,
        name=name,
        experience=experience,
        sd=sd,
        parents=parents,
        draws=draws[order],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One proposal in the making. `parents` are sorted by their draws, the best first."""

    space: SearchSpace
    history: History
    rng: np.random.Generator
    name: str
    experience: Experience
    sd: float
    parents: tuple[Parent, ...]
    draws: Floats

    # --- the moves -----------------------------------------------------------------------------

    def explore(self) -> Draft:
        """Techniques that the run has not tried, the least tried persona's first, each on the best parent it fits."""
        new = [technique for technique in self.space.techniques if not self.experience.tried[technique.name]]
        personas = {technique.name: technique.persona for technique in self.space.techniques}
        seen = [persona for name, persona in personas.items() if self.experience.tried[name]]
        shuffled = [new[int(index)] for index in self.rng.permutation(len(new))]
        for technique in sorted(shuffled, key=lambda technique: seen.count(technique.persona)):
            for parent in self.parents:
                yield from self._applied(parent, technique, Move.EXPLORE)

    def exploit(self, *, hopeful: bool) -> Draft:
        """Pairs of a parent and a technique by the bandit's draws. `hopeful` leaves out techniques that the run has
        not tried, and those whose draw says that they do harm."""
        arms = [t for t in self.space.techniques if self.experience.tried[t.name] or not hopeful]
        beliefs = [bandit.technique_belief(self.experience.arm(technique.name), self.sd) for technique in arms]
        draws = bandit.sample(beliefs, self.rng)
        if hopeful:
            arms = [technique for technique, draw in zip(arms, draws, strict=True) if draw > 0]
            draws = draws[draws > 0]
        for parent, technique in bandit.ranked_pairs(self.draws[: EXPLOITED_PARENTS if hopeful else None], draws):
            yield from self._applied(self.parents[parent], arms[technique], Move.EXPLOIT)

    def innovate(self) -> Draft:
        """Tunes, combines or stacks, in an order drawn by their shares."""
        kinds = {"tune": self._tuned, "combine": self._combined, "stack": self._stacked}
        names = list(INNOVATIONS)
        order = self.rng.choice(len(names), size=len(names), replace=False, p=list(INNOVATIONS.values()))
        for index in order:
            yield from kinds[names[int(index)]]()

    # --- kinds of change -----------------------------------------------------------------------

    def _applied(self, parent: Parent, technique: Technique, move: Move) -> Draft:
        if (technique.name, (parent.candidate.commit,)) in self.experience.used:
            return
        tree = self._changed(parent, parent.candidate.tree, technique)
        if tree is not None and self._is_new(tree):
            yield self._proposal(
                (parent,),
                tree,
                f"{technique.title} on {parent.label}: {technique.hypothesis}",
                move=move,
                technique=technique.name,
                persona=technique.persona,
                mechanism=technique.mechanism,
                observable=technique.observable,
            )

    def _stacked(self) -> Draft:
        """Two techniques at once that each paid in this run."""
        paid = [
            t for t in self.space.techniques if any((x.delta or 0.0) > 0 for x in self.experience.arm(t.name).trials)
        ]
        beliefs = [bandit.technique_belief(self.experience.arm(technique.name), self.sd) for technique in paid]
        draws = bandit.sample(beliefs, self.rng)
        best = [int(index) for index in np.argsort(-draws, kind="stable") if draws[index] > 0][:STACKED_TECHNIQUES]
        pairs = sorted(permutations(best, 2), key=lambda pair: -float(draws[pair[0]] + draws[pair[1]]))
        for parent in self.parents:
            for first, second in pairs:
                one, two = paid[first], paid[second]
                below = self._changed(parent, parent.candidate.tree, one)
                tree = None if below is None else self._changed(parent, below, two)
                if tree is not None and self._is_new(tree):
                    yield self._proposal(
                        (parent,),
                        tree,
                        f"{one.title} and {two.title} on {parent.label}: each paid alone, so both may pay together",
                        technique=f"{one.name}+{two.name}",
                        persona=one.persona,
                        mechanism=f"{one.mechanism} {two.mechanism}",
                        observable=one.observable,
                    )

    def _combined(self) -> Draft:
        """Two good candidates of different lines, merged."""
        good = [parent for parent in self.parents if parent.gain > 0 and parent.proposal is not None]
        for one, other in combinations(good[:COMBINED_PARENTS], 2):
            better, worse = (one, other) if one.gain >= other.gain else (other, one)
            pair = (better.candidate.commit, worse.candidate.commit)
            base = self.experience.common_ancestor(better.candidate, worse.candidate)
            if base is None or base.commit in pair or ("combine", pair) in self.experience.used:
                continue
            tree = combine(base.tree, better.candidate.tree, worse.candidate.tree)
            if tree is not None and self._is_new(tree) and worse.proposal is not None:
                yield self._proposal(
                    (better, worse),
                    tree,
                    f"{better.label} combined with {worse.label}: what each gained adds up",
                    technique="combine",
                    persona=worse.proposal.persona,
                    mechanism=f"{better.source} and {worse.source} change different parts of #{base.number}",
                    observable=None,
                )

    def _tuned(self) -> Draft:
        """The best parent with tunables that still has values to try."""
        seen: set[str] = set()
        for parent in self.parents:
            shape = tunables.structure(parent.candidate.tree)
            live = tunables.live(parent.candidate.tree).tunables
            if shape in seen or not live:
                continue
            seen.add(shape)
            for values in suggestions(live, self._tuned_trials(shape), self._inherited(parent), self.rng):
                tree = tunables.with_values(parent.candidate.tree, values)
                if self._is_new(tree):
                    moved = ", ".join(
                        f"{t.key.split('::')[1]} {t.value} -> {values[t.key]}" for t in _moved(live, values)
                    )
                    yield self._proposal(
                        (parent,),
                        tree,
                        f"Tuning {parent.label}: {moved}",
                        technique="tune",
                        persona=Persona.OPTIMIZER,
                        mechanism="The numbers were set for another structure; nearby values may suit this one better.",
                        observable=None,
                    )

    # --- what they share -----------------------------------------------------------------------

    def _tuned_trials(self, shape: str) -> list[TunedTrial]:
        """Every candidate of that structure: its values and its gain."""
        rows: list[tuple[Candidate, float | None]] = [(self.history.seed, 0.0)]
        for attempt in self.history.attempts:
            gain = attempt.outcome.gain if isinstance(attempt.outcome, Scored) else None
            rows.append((attempt.candidate, gain))
        rows += [(waiting.candidate, None) for waiting in self.history.pending]
        return [
            TunedTrial(values=tunables.find(candidate.tree).values, gain=gain)
            for candidate, gain in rows
            if tunables.structure(candidate.tree) == shape
        ]

    def _inherited(self, parent: Parent) -> Values:
        commits = parent.candidate.parents[:1]
        return tunables.find(self.experience.candidates[commits[0]].tree).values if commits else {}

    def _changed(self, parent: Parent, tree: Tree, technique: Technique) -> Tree | None:
        """The tree after the technique; None where it does not fit, or was used before on the way to the parent and
        would do no more now than reset tuned values."""
        changed = edits.apply(tree, technique)
        if changed is None or changed == tree:
            return None
        is_reset = tunables.structure(changed) == tunables.structure(tree)
        return None if is_reset and self.experience.descends_from(parent.candidate, technique.name) else changed

    def _is_new(self, tree: Tree) -> bool:
        """Equal text is seen at once; only the rest is worth parsing."""
        if frozenset(tree.items()) in self.experience.trees:
            return False
        return not self.history.tried(tree) and self.space.check(tree) is None

    def _proposal(
        self,
        parents: Sequence[Parent],
        tree: Tree,
        hypothesis: str,
        *,
        technique: str,
        persona: Persona,
        mechanism: str,
        observable: Observable | None,
        move: Move = Move.INNOVATE,
    ) -> Proposal:
        before = parents[0].candidate.tree
        return Proposal(
            parents=tuple(parent.candidate.commit for parent in parents),
            files={path: text for path, text in tree.items() if before.get(path) != text},
            hypothesis=hypothesis,
            mechanism=mechanism,
            observable=observable,
            persona=persona,
            move=move,
            technique=technique,
            proposer=self.name,
        )


def _moved(live: Sequence[tunables.Tunable], values: Values) -> list[tunables.Tunable]:
    return [tunable for tunable in live if values[tunable.key] != tunable.value]
