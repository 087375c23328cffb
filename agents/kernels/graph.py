"""The search as a graph: every candidate is a node with a fitness; a policy, chosen by name, says which to grow next.

Fitness is 0 where a candidate is wrong or broke, else its speed over the strongest baseline. Knows no code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from evolve.contracts import Candidate, History, Proposal, Scored

EXPLORATION = 0.35
"""UCT's constant, in units of the best fitness so far."""


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A candidate that was judged, or is being judged (`is_pending`)."""

    candidate: Candidate
    proposal: Proposal | None
    fitness: float
    observables: dict[str, float]
    is_pending: bool = False
    children: list[Node] = field(default_factory=list["Node"])

    @property
    def visits(self) -> int:
        """How many candidates were made from it, directly or not."""
        return sum(1 + child.visits for child in self.children)

    @property
    def best(self) -> float:
        """The best fitness of it and of all that was made from it."""
        return max([self.fitness, *(child.best for child in self.children)])


Policy = Callable[[Sequence[Node]], list[Node]]
"""Orders the nodes that may be grown, the one to grow next first."""


def read_graph(history: History) -> list[Node]:
    """All nodes in the order of their candidates, the seed first."""
    seed = Node(candidate=history.seed, proposal=None, fitness=2.0**history.floor.score, observables={})
    nodes = {history.seed.commit: seed}
    for attempt in history.attempts:
        scored = attempt.outcome if isinstance(attempt.outcome, Scored) else None
        node = Node(
            candidate=attempt.candidate,
            proposal=attempt.proposal,
            fitness=2.0**scored.score if scored else 0.0,
            observables=dict(scored.observables) if scored else {},
        )
        nodes.setdefault(attempt.candidate.commit, node)
    for waiting in history.pending:
        node = Node(
            candidate=waiting.candidate, proposal=waiting.proposal, fitness=0.0, observables={}, is_pending=True
        )
        nodes.setdefault(waiting.candidate.commit, node)
    for node in nodes.values():
        parent = nodes.get(node.candidate.parents[0]) if node.candidate.parents else None
        if parent is not None and parent is not node:
            parent.children.append(node)
    return sorted(nodes.values(), key=lambda node: node.candidate.number)


def greedy(nodes: Sequence[Node]) -> list[Node]:
    """Always the fastest."""
    return sorted(_growable(nodes), key=lambda node: -node.fitness)


def uct(nodes: Sequence[Node]) -> list[Node]:
    """Upper confidence bounds on the graph (Kocsis and Szepesvari 2006): what a line of candidates has led to at best,
    plus what is owed to a line that was tried seldom."""
    top = max(node.best for node in nodes) or 1.0
    total = math.log(len(nodes) + 1)
    worth = {
        id(node): 0.5 * (node.fitness + node.best) / top + EXPLORATION * math.sqrt(total / (1 + node.visits))
        for node in nodes
    }
    return sorted(_growable(nodes), key=lambda node: -worth[id(node)])


POLICIES: dict[str, Policy] = {"greedy": greedy, "uct": uct}


def _growable(nodes: Sequence[Node]) -> list[Node]:
    """A node that is wrong has nothing to build on; the seed always may."""
    return [node for node in nodes if node.fitness > 0 or node.proposal is None]
