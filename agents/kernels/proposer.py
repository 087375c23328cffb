"""Proposes kernels without a model: a graph of candidates, a policy by name, one operator, and rules for an end.

Everything follows from the history, the seed and the proposal's number. Knows no compiler and runs no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from agents.kernels.graph import POLICIES, Node, read_graph
from agents.kernels.knowledge import Entry, read_index
from agents.kernels.operator import Draft, operate, retrieve
from agents.kernels.table import generators
from evolve.contracts import History, Observable, Persona, Proposal
from evolve.errors import BudgetExhausted, UsageError

DEFAULT_POLICY = "uct"
ENOUGH = 0.95
"""A run ends when the fastest kernel reaches this share of the measured roofline."""
STALLED = 30
"""A run ends when so many candidates in a row were no faster than the best before them."""


@dataclass(kw_only=True)
class KernelProposer:
    """Implements `contracts.Proposer` for one operator.

    Args:
        operator: names the generators.
        knowledge: the folder of cards and their index.
        policy: one of `graph.POLICIES`.
        summary: what the operator does, in words that find cards.

    Raises:
        UsageError: there is no such policy.
    """

    operator: str
    knowledge: Path
    policy: str = DEFAULT_POLICY
    summary: str = ""

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise UsageError(
                f"there is no selection policy `{self.policy}`", hint=f"Choose one of: {', '.join(POLICIES)}."
            )

    @property
    def name(self) -> str:
        """As the journal has it."""
        return f"kernels/{self.policy}"

    @cached_property
    def _index(self) -> tuple[Entry, ...]:
        return read_index(self.knowledge)

    def propose(self, history: History, seed: int) -> Proposal | None:
        """The next proposal, or None when nothing new is left.

        Raises:
            BudgetExhausted: the search has stalled, or the roofline is all but reached.
        """
        nodes = read_graph(history)
        require_more(nodes, history.floor.minimum_effect)
        rng = np.random.default_rng([seed % 2**63, history.number])
        known = generators(self.operator)
        for node in POLICIES[self.policy](nodes):
            context = retrieve(self.knowledge, self._index, node, f"{self.operator} {self.summary}")
            for draft in operate(node, context, known, nodes, rng):
                if not history.tried({**node.candidate.tree, **draft.files}):
                    return self._proposal(node, draft)
        return None

    def _proposal(self, node: Node, draft: Draft) -> Proposal:
        return Proposal(
            parents=(node.candidate.commit,),
            files={path: text for path, text in draft.files.items() if node.candidate.tree.get(path) != text},
            hypothesis=draft.hypothesis,
            mechanism=draft.mechanism,
            observable=Observable(name="roofline", direction="present"),
            persona=Persona.KERNEL,
            move=draft.move,
            technique=draft.technique,
            proposer=self.name,
        )


def require_more(nodes: list[Node], least: float) -> None:
    """Raises BudgetExhausted, with the line that a run ends with, where going on is not worth it."""
    best = max(nodes, key=lambda node: node.fitness)
    share = best.observables.get("roofline", 0.0)
    if share >= ENOUGH:
        raise BudgetExhausted(f"#{best.candidate.number} reaches {share:.0%} of the measured roofline")
    record, since, last = 0.0, 0, best
    for node in nodes:
        if node.is_pending:
            continue
        if node.fitness > record * 2**least:
            last, since = node, 0
        else:
            since += 1
        record = max(record, node.fitness)
    if since >= STALLED:
        raise BudgetExhausted(
            f"stalled: {since} candidates in a row were not clearly faster than #{last.candidate.number}"
        )
