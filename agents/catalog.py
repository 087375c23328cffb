"""The catalogue proposer: technique cards, a bandit, merges and tuning in place of a language model.

Three moves with quotas: explore tries techniques that the run has not seen; exploit puts the techniques that the bandit
values most on the parent that it values most; innovate tunes one good candidate or combines two. Everything follows
from the history, the seed and the proposal's number: what is kept between calls is an index of the history, and the
caches below hold pure functions of text. Knows no sandbox, no metric's meaning, and never runs code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice

import numpy as np

from agents import tunables
from agents.combine import combine
from agents.experience import Experience, Parent, read
from agents.stacks import Stack, bare, stacked
from agents.tune import Values, suggestions
from evolve.contracts import (
    History,
    Move,
    Observable,
    Persona,
    Proposal,
    SearchSpace,
    Technique,
    Tree,
)

QUOTAS = {Move.EXPLORE: 0.4, Move.EXPLOIT: 0.3, Move.INNOVATE: 0.3}
"""Shares of a run's proposals."""
INNOVATIONS = {"tune": 0.6, "combine": 0.4}
"""Shares of the kinds of innovation, where both are possible."""
EXPLORED_TOGETHER = 3
"""So many techniques that the run has not seen are tried in one proposal, where they fit together."""
STACKED = 5
"""So many techniques that the run knows are put on a parent in one proposal, where so many promise."""
CONSIDERED = 6
"""A new technique is tried on the best of so many parents; what it displaces there counts."""
EXPLOITED_PARENTS = 30
"""The bandit looks at so many of the best parents, so that a long run proposes as fast as a short one."""
COMBINED_PARENTS = 12
"""Combinations are sought among so many of the best parents."""

Draft = Iterator[Proposal]


@dataclass(slots=True, kw_only=True)
class CatalogProposer:
    """Proposes from the space's cards; implements `contracts.Proposer`."""

    space: SearchSpace
    name: str = "catalog"
    _experience: Experience | None = field(default=None, init=False, repr=False)

    def propose(self, history: History, seed: int) -> Proposal | None:
        """The next proposal: a tree that was never tried and that the space's gate admits; None when exhausted."""
        turn = self._turn(history, np.random.default_rng([seed % 2**63, history.number]))
        moves: dict[Move, Callable[[], Draft]] = {
            Move.EXPLORE: turn.explore,
            Move.EXPLOIT: lambda: turn.exploit(hopeful=True),
            Move.INNOVATE: lambda: turn.innovate(hopeful=True),
        }
        drafts = [moves[move] for move in by_deficit(turn.experience.moves)]
        last = (lambda: turn.exploit(hopeful=False), lambda: turn.innovate(hopeful=False))
        for draft in (*drafts, *last):
            proposal = next(draft(), None)
            if proposal is not None:
                return proposal
        return None

    def _turn(self, history: History, rng: np.random.Generator) -> _Turn:
        known = self._experience
        if known is None or not known.follows(history):
            known = self._experience = read(self.space, history)
        known.follow(history)
        draws = known.draws(history, rng)
        order = np.argsort(-draws, kind="stable")
        return _Turn(
            space=self.space,
            history=history,
            rng=rng,
            name=self.name,
            experience=known,
            parents=tuple(known.parents[int(index)] for index in order),
            worth={known.parents[int(index)].candidate.commit: float(draws[index]) for index in order},
            effects=known.effects.draw(rng, _techniques_of(w.proposal for w in history.pending)),
        )


def by_deficit(made: Counter[Move]) -> list[Move]:
    """The moves, the one that is furthest behind its quota first."""
    total = made.total() + 1
    return sorted(QUOTAS, key=lambda move: made[move] - QUOTAS[move] * total)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One proposal in the making. `parents` are sorted by their draws, the best first."""

    space: SearchSpace
    history: History
    rng: np.random.Generator
    name: str
    experience: Experience
    parents: tuple[Parent, ...]
    worth: Mapping[str, float]
    """Parent's commit -> the draw of its gain."""
    effects: Mapping[str, float]
    """Technique -> the draw of its effect."""

    # --- the moves -----------------------------------------------------------------------------

    def explore(self) -> Draft:
        """Techniques that the run has not tried, the least tried persona's first, each where it is worth most, and
        beside it others that fit there and displace nothing."""
        tried = self.experience.tried
        seen = [technique.persona for technique in self.space.techniques if tried[technique.name]]
        new = [technique for technique in self.space.techniques if not tried[technique.name]]
        shuffled = [new[int(index)] for index in self.rng.permutation(len(new))]
        ordered = sorted(shuffled, key=lambda technique: seen.count(technique.persona))
        for index, technique in enumerate(ordered):
            for stack in self._places(technique):
                others = ordered[index + 1 :]
                together = stacked(self.experience, stack, others, EXPLORED_TOGETHER, _displaces_nothing)
                yield from self._drafted(together, Move.EXPLORE)
                yield from self._drafted(stack, Move.EXPLORE)

    def exploit(self, *, hopeful: bool) -> Draft:
        """The techniques that the bandit draws best on the parents that it draws best, several at once and then each
        alone. `hopeful` leaves out techniques that the run has not tried, and those whose draw says that they harm."""
        arms = [t for t in self.space.techniques if not hopeful or self._promises(t)]
        arms.sort(key=lambda technique: -self.effects[technique.name])
        for parent in self.parents[: EXPLOITED_PARENTS if hopeful else None]:
            nothing = bare(self.experience, parent)
            best = stacked(self.experience, nothing, arms, STACKED, self._pays)
            yield from self._drafted(best, Move.EXPLOIT)
            for technique in arms:
                one = stacked(self.experience, nothing, [technique], 1, self._pays if hopeful else _always)
                yield from self._drafted(one, Move.EXPLOIT)

    def innovate(self, *, hopeful: bool) -> Draft:
        """Tunes or combines, in an order drawn by their shares. `hopeful` tunes only what gained over the seed."""
        kinds = {"tune": lambda: self._tuned(hopeful=hopeful), "combine": self._combined}
        names = list(INNOVATIONS)
        order = self.rng.choice(len(names), size=len(names), replace=False, p=list(INNOVATIONS.values()))
        for index in order:
            yield from kinds[names[int(index)]]()

    # --- kinds of change -----------------------------------------------------------------------

    def _promises(self, technique: Technique) -> bool:
        return self.experience.tried[technique.name] > 0 and self.effects[technique.name] > 0

    def _pays(self, technique: Technique, displaced: frozenset[str]) -> bool:
        return self.effects[technique.name] > sum(self.effects[name] for name in displaced)

    def _places(self, technique: Technique) -> list[Stack]:
        """The technique alone on each of the best parents that it fits, by what it is worth there."""
        alone = (
            stacked(self.experience, bare(self.experience, parent), [technique], 1, _always) for parent in self.parents
        )
        places = list(islice((stack for stack in alone if stack.techniques), CONSIDERED))
        return sorted(places, key=lambda stack: -self._worth(stack))

    def _worth(self, stack: Stack) -> float:
        commit = stack.parent.candidate.commit
        displaced = self.experience.standing[commit] - stack.standing
        return self.worth[commit] - sum(self.effects[name] for name in displaced)

    def _drafted(self, stack: Stack, move: Move) -> Draft:
        parents = (stack.parent.candidate.commit,)
        if not stack.techniques or (stack.name, parents) in self.experience.used or not self._is_new(stack.tree):
            return
        first = stack.techniques[0]
        titles = " and ".join(technique.title for technique in stack.techniques)
        yield self._proposal(
            (stack.parent,),
            stack.tree,
            f"{titles} on {stack.parent.label}: {' '.join(t.hypothesis for t in stack.techniques)}",
            move=move,
            technique=stack.name,
            persona=first.persona,
            mechanism=" ".join(technique.mechanism for technique in stack.techniques),
            observable=first.observable,
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

    def _tuned(self, *, hopeful: bool) -> Draft:
        """The best parent with tunables that still has values to try."""
        seen: set[str] = set()
        for parent in self.parents:
            if hopeful and parent.gain <= 0:
                continue
            shape = tunables.structure(parent.candidate.tree)
            live = tunables.live(parent.candidate.tree).tunables
            if shape in seen or not live:
                continue
            seen.add(shape)
            trials = self.experience.trials(shape, (waiting.candidate for waiting in self.history.pending))
            for values in suggestions(live, trials, self._inherited(parent), self.rng):
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

    def _inherited(self, parent: Parent) -> Values:
        commits = parent.candidate.parents[:1]
        return tunables.find(self.experience.candidates[commits[0]].tree).values if commits else {}

    def _is_new(self, tree: Tree) -> bool:
        """Equal text is seen at once; only the rest is worth parsing."""
        if self.experience.knows(tree):
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


def _always(_technique: Technique, _displaced: frozenset[str]) -> bool:
    return True


def _displaces_nothing(_technique: Technique, displaced: frozenset[str]) -> bool:
    return not displaced


def _techniques_of(proposals: Iterable[Proposal]) -> Counter[str]:
    return Counter(name for proposal in proposals for name in proposal.technique.split("+"))
