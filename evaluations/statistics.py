"""Paired comparisons of two candidates and the error budget of a run. Pure; knows nothing of candidates' code.

The unit is the user: every difference is first averaged over training seeds for each user. The variance
of the mean difference has two parts, sampling of users and of training seeds, and its degrees of freedom
follow Welch and Satterthwaite (Satterthwaite 1946, Biometrics Bulletin 2:110).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evolve.contracts import Floats, Measurement, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedVariance:
    """How much the mean metric of one program varies over training seeds: a variance and its freedom."""

    variance: float = 0.0
    freedom: float = 0.0

    def pooled(self, means: Sequence[float]) -> SeedVariance:
        """This estimate pooled with the means of another program over its seeds."""
        if len(means) < 2:
            return self
        own = len(means) - 1
        variance = (self.variance * self.freedom + float(np.var(means, ddof=1)) * own) / (self.freedom + own)
        return SeedVariance(variance=variance, freedom=self.freedom + own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The mean paired difference with its standard error and degrees of freedom."""

    effect: float
    standard_error: float
    freedom: float
    users: int
    seeds: int

    def interval(self, alpha: float) -> tuple[float, float]:
        """The two-sided interval at confidence 1 - `alpha`."""
        from scipy import stats

        half = float(stats.t.ppf(1 - alpha / 2, self.freedom)) * self.standard_error
        return self.effect - half, self.effect + half

    def p_not_better(self) -> float:
        """One-sided p-value of "the challenger is not better"."""
        from scipy import stats

        if self.standard_error == 0:
            return 0.0 if self.effect > 0 else 1.0
        return float(stats.t.sf(self.effect / self.standard_error, self.freedom))


def pair(
    challenger: Sequence[Measurement], reference: Sequence[Measurement], metric: str, seed_variance: SeedVariance
) -> Paired:
    """Pairs two programs by user and seed. Both must hold the same seeds on the same split."""
    seeds = [m.seed for m in challenger]
    if seeds != [m.seed for m in reference]:
        raise ValueError(f"challenger has seeds {seeds}, reference {[m.seed for m in reference]}")
    difference = user_means(challenger, metric) - user_means(reference, metric)
    defined = difference[np.isfinite(difference)]
    users = len(defined)
    of_users = float(np.var(defined, ddof=1)) / users if users > 1 else 0.0
    pooled = seed_variance.pooled([m.mean(metric) for m in challenger]).pooled([m.mean(metric) for m in reference])
    of_seeds = 2 * pooled.variance / len(seeds)
    return Paired(
        effect=float(defined.mean()) if users else float("nan"),
        standard_error=float(np.sqrt(of_users + of_seeds)),
        freedom=_freedom([(of_users, users - 1), (of_seeds, pooled.freedom)]),
        users=users,
        seeds=len(seeds),
    )


def verdict(paired: Paired, metric: str, alpha: float, minimum_effect: float, *, moved: str | None = None) -> Verdict:
    """Better, worse or undecided at one-sided level `alpha`; below `minimum_effect` always undecided.

    `moved` says why a declared observable vetoes a gain, or is None.
    """
    low, high = paired.interval(2 * alpha)
    p = paired.p_not_better()
    small = abs(paired.effect) < minimum_effect
    decision, reason = "undecided", f"the interval [{low:+.4f}, {high:+.4f}] holds zero"
    if small:
        reason = f"the effect {paired.effect:+.4f} is below the smallest that can be seen, {minimum_effect:.4f}"
    elif low > 0 and moved:
        reason = f"a gain of {paired.effect:+.4f}, but {moved}"
    elif low > 0:
        decision, reason = "better", f"the whole interval [{low:+.4f}, {high:+.4f}] is above zero"
    elif high < 0:
        decision, reason = "worse", f"the whole interval [{low:+.4f}, {high:+.4f}] is below zero"
    return Verdict(
        decision=decision,
        metric=metric,
        effect=paired.effect,
        low=low,
        high=high,
        p=p,
        alpha=alpha,
        users=paired.users,
        seeds=paired.seeds,
        reason=reason,
    )


def undecided(metric: str, alpha: float, reason: str) -> Verdict:
    """The verdict where there is nothing to compare."""
    return Verdict(
        decision="undecided", metric=metric, effect=0.0, low=0.0, high=0.0, p=1.0, alpha=alpha, users=0, seeds=0,
        reason=reason,
    )  # fmt: skip


def as_seed(measurement: Measurement, seed: int) -> Measurement:
    """The same numbers under another seed's name, to pair two runs of one program."""
    return replace(measurement, seed=seed)


def user_means(measurements: Sequence[Measurement], metric: str) -> Floats:
    """The metric per user, averaged over seeds; shape (n,), NaN where any seed left it undefined."""
    return np.mean([m.metrics[metric] for m in measurements], axis=0)


def _freedom(parts: Sequence[tuple[float, float]]) -> float:
    total = sum(variance for variance, _ in parts)
    spread = sum(variance**2 / freedom for variance, freedom in parts if freedom > 0 and variance > 0)
    return total**2 / spread if spread > 0 else 1.0
