"""Which model proposes next: a bandit whose reward is success per unit of money, one arm a model and persona.

The weights that a person gave are the prior. Everything follows from the history and the generator that is given.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evolve.contracts import History, Persona, Scored


def ordered(weights: Mapping[str, float], history: History, persona: Persona, rng: np.random.Generator) -> list[str]:
    """The models, the one to ask first at the front; the others are its fallbacks.

    A model's draw is its weight times a draw from Beta(1 + successes, 1 + failures), over its mean cost in relation to
    all models' (1 where nothing has cost anything). A success is a candidate that gained more than twice its error.
    """
    if len(weights) == 1:
        return list(weights)
    costs = {model: _mean_cost(history, model) for model in weights}
    known = [cost for cost in costs.values() if cost > 0]
    typical = sum(known) / len(known) if known else 1.0
    draws: dict[str, float] = {}
    for model, weight in weights.items():
        tried = [a for a in history.attempts if a.proposal.proposer == model and a.proposal.persona is persona]
        won = sum(
            isinstance(a.outcome, Scored) and a.outcome.gain > 2 * max(0.0, a.outcome.standard_error) for a in tried
        )
        relative = costs[model] / typical if costs[model] > 0 else 1.0
        draws[model] = weight * float(rng.beta(1 + won, 1 + len(tried) - won)) / relative
    return sorted(weights, key=lambda model: -draws[model])


def _mean_cost(history: History, model: str) -> float:
    paid = [a.proposal.cost_usd for a in history.attempts if a.proposal.proposer == model]
    return sum(paid) / len(paid) if paid else 0.0
