"""What each technique is worth, learned from steps that change several at once: Bayesian linear regression.

A step's gain over its parent is modelled as the sum of the effects of the techniques that it brought, less those of the
techniques that it displaced. One draw of all effects at once is Thompson sampling for linear payoffs (Agrawal & Goyal
2013, arXiv:1209.3352). Pure arithmetic: knows nothing of trees, cards or time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evolve.contracts import Floats

SPREAD = 0.5
"""How much one technique's effect differs between parents, in prior standard deviations."""
FAILURE = -2.0
"""What a step that broke counts as, in prior standard deviations; no measured loss counts as more."""
VIRTUAL_LOSS = 0.5
"""What each step in flight takes off its techniques' effects, in prior standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One finished change of a parent: its gain less the parent's, None where it broke."""

    brought: Collection[str]
    displaced: Collection[str]
    delta: float | None
    standard_error: float


class Effects:
    """A Normal belief about all effects together, shrunk towards 0 by the prior's `sd`. `learn` is the only way in."""

    def __init__(self, names: Sequence[str], sd: float) -> None:
        self._index = {name: index for index, name in enumerate(names)}
        self._sd = sd
        self._precision = np.eye(len(names)) / sd**2
        self._weighted = np.zeros(len(names))

    def learn(self, step: Step) -> None:
        """Takes one finished step. A step that changes no known technique teaches nothing."""
        change = self._change(step)
        size = float(np.abs(change).sum())
        if size == 0:
            return
        floor = FAILURE * self._sd
        delta = floor if step.delta is None else max(step.delta, floor)
        error = self._sd if step.delta is None else step.standard_error
        variance = error**2 + size * (SPREAD * self._sd) ** 2
        self._precision += np.outer(change, change) / variance
        self._weighted += change * delta / variance

    def _change(self, step: Step) -> Floats:
        change = np.zeros(len(self._index))
        change[[self._index[name] for name in step.brought if name in self._index]] = 1.0
        if step.delta is not None:
            change[[self._index[name] for name in step.displaced if name in self._index]] = -1.0
        return change

    def mean(self) -> dict[str, float]:
        """Technique -> its expected effect, in the metric's unit."""
        return dict(zip(self._index, map(float, np.linalg.solve(self._precision, self._weighted)), strict=True))

    def draw(self, rng: np.random.Generator, waiting: Mapping[str, int]) -> dict[str, float]:
        """Technique -> one draw of its effect. `waiting` counts steps in flight: each lowers its techniques' draws, so
        that parallel workers do not all try the same."""
        lower = np.linalg.cholesky(self._precision)
        noise = np.linalg.solve(lower.T, rng.standard_normal(len(self._index)))
        drawn = np.linalg.solve(self._precision, self._weighted) + noise
        loss = VIRTUAL_LOSS * self._sd
        return {name: float(drawn[i]) - loss * waiting.get(name, 0) for name, i in self._index.items()}
