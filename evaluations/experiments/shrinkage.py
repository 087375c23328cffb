"""What a launch is really worth: estimates shrunk for the winner's curse by what past experiments taught.

Knows nothing of decisions. A promoted estimate is too high on average, because luck helped it to be promoted. The
posterior under the distribution of true effects is not: when to stop was decided on the data alone, so the likelihood
of an effect is the same as without stopping. That distribution is learned from every finished experiment, dropped
ones included (empirical Bayes: Robbins 1956; Kiefer and Wolfowitz 1956; Koenker and Mizera 2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluations.experiments.estimates import Estimate
from evaluations.experiments.evidence import Bet
from evolve.contracts import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """A distribution of true effects: weights on a grid, both of shape (points,). `strength` is how many experiments
    the weights count for when more are learned."""

    grid: Floats
    weights: Floats
    strength: float

    def likelihood(self, estimate: Estimate) -> Floats:
        """Of each grid point, up to a factor, from scores and information of shape (n,); shape (n, points)."""
        score, information = estimate.score[:, None], estimate.information[:, None]
        logs = self.grid * score - 0.5 * self.grid**2 * information
        return np.exp(logs - logs.max(axis=1, keepdims=True))

    def posterior(self, estimate: Estimate) -> Floats:
        """Weights of each grid point given each experiment; shape (n, points)."""
        joint = self.likelihood(estimate) * self.weights
        return joint / joint.sum(axis=1, keepdims=True)

    def mean(self, estimate: Estimate) -> Floats:
        """The shrunk effect of each experiment; shape (n,)."""
        return self.posterior(estimate) @ self.grid

    def interval(self, estimate: Estimate, confidence: float = 0.95) -> tuple[Floats, Floats]:
        """Equal-tailed credible intervals; two arrays of shape (n,)."""
        mass = np.cumsum(self.posterior(estimate), axis=1)
        tail = (1.0 - confidence) / 2
        low = (mass < tail).sum(axis=1)
        high = (mass < 1.0 - tail).sum(axis=1)
        return self.grid[low], self.grid[np.minimum(high, len(self.grid) - 1)]

    def bet(self, smallest: float) -> Bet:
        """The bet for the next experiments: mean and deviation of the effects of at least `smallest`, on which this
        must put some weight. The deviation is at least half the mean: what was never seen may still come."""
        gains = self.grid >= smallest
        weights = self.weights[gains] / self.weights[gains].sum()
        mean = float(weights @ self.grid[gains])
        sd = float(np.sqrt(weights @ (self.grid[gains] - mean) ** 2))
        return Bet(mean=mean, sd=max(sd, mean / 2))

    def learned(self, estimate: Estimate, steps: int = 100) -> Effects:
        """The distribution after finished experiments of shape (n,): expectation-maximisation of the weights, with
        these weights as `strength` experiments that were seen before."""
        likelihood, before = self.likelihood(estimate), self.strength * self.weights
        weights, total = self.weights, self.strength + len(likelihood)
        for _ in range(steps):
            joint = likelihood * weights
            weights = (before + (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0)) / total
        return Effects(grid=self.grid, weights=weights, strength=self.strength)


def vague(
    widest: float = 0.06, points: int = 121, none: float = 0.5, sd: float = 0.01, strength: float = 10
) -> Effects:
    """What is believed before the first experiment: half of all candidates do nothing, the others are normal around
    0 with deviation `sd`. The grid goes from -`widest` to `widest`; `points` must be odd, so that 0 is on it."""
    grid = np.linspace(-widest, widest, points)
    weights = np.exp(-0.5 * (grid / sd) ** 2)
    weights *= (1.0 - none) / weights.sum()
    weights[points // 2] += none
    return Effects(grid=grid, weights=weights, strength=strength)
