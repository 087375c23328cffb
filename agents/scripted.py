"""A proposer that plays a given list: for tests, demonstrations and replays. Has no ideas of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from evolve.contracts import History, Proposal

Step = Proposal | Callable[[History], Proposal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedProposer:
    """Plays step n - 1 as proposal number n; implements `contracts.Proposer`.

    A step is a proposal, or a function of the history that makes one. A proposal that names no parents changes the
    seed.
    """

    steps: Sequence[Step]
    name: str = "scripted"

    def propose(self, history: History, seed: int) -> Proposal | None:
        """The step whose turn it is, or None after the last."""
        if not 0 < history.number <= len(self.steps):
            return None
        step = self.steps[history.number - 1]
        proposal = step if isinstance(step, Proposal) else step(history)
        if proposal is None or proposal.parents:
            return proposal
        return replace(proposal, parents=(history.seed.commit,))
