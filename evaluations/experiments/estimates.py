"""Effects of a challenger against its control, look by look, with all the information that they carry.

Knows nothing of levels or decisions. Each cohort is a stratum of its own, so weekdays and a changing share of traffic
cancel. A look at the first k cohorts is sound only where all k are complete: a user counts when the whole window has
been reported, or not at all (an unfinished window makes the error no martingale: Lindon and Kallus 2026).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluations.experiments.moments import Moments
from evolve.contracts import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An effect and its information (1 / squared standard error) at every look; shape (..., looks).

    Effect times information, the score, moves like a Brownian motion with drift `effect` in time `information`.
    `users` counts both arms.
    """

    effect: Floats
    information: Floats
    users: Floats

    @property
    def score(self) -> Floats:
        """Effect times information."""
        return self.effect * self.information

    @property
    def standard_error(self) -> Floats:
        """Of the effect; infinite where there is no information."""
        with np.errstate(divide="ignore"):
            return 1.0 / np.sqrt(self.information)

    def relative(self, baseline: float) -> Estimate:
        """The effect as a share of `baseline`, the metric's mean from before the experiment."""
        information = self.information * baseline**2
        return Estimate(effect=self.effect / baseline, information=information, users=self.users)

    def mirrored(self) -> Estimate:
        """The effect with its sign turned: how much worse."""
        return Estimate(effect=-self.effect, information=self.information, users=self.users)

    def at(self, look: int) -> Estimate:
        """One look; shape (..., 1)."""
        keep = slice(look, look + 1 or None)
        return Estimate(
            effect=self.effect[..., keep], information=self.information[..., keep], users=self.users[..., keep]
        )


def difference(challenger: Moments, control: Moments) -> Estimate:
    """Mean of the challenger minus mean of the control after each cohort, within cohorts.

    A cohort weighs n_a n_b / (n_a + n_b), which is its information where both arms vary alike. Each arm's variance
    is pooled within cohorts up to the look. Where an arm has no user the cohort weighs nothing.
    """
    both = (challenger.n > 0) & (control.n > 0)
    n_a, n_b = np.where(both, challenger.n, 0.0), np.where(both, control.n, 0.0)
    weight = n_a * n_b / np.maximum(n_a + n_b, 1.0)
    gap = np.where(both, np.nan_to_num(challenger.mean) - np.nan_to_num(control.mean), 0.0)
    whole = np.cumsum(weight, axis=-1)
    effect = _over(np.cumsum(weight * gap, axis=-1), whole)
    spread = _variance(challenger, both) * np.cumsum(_over(weight**2, n_a), axis=-1)
    spread = spread + _variance(control, both) * np.cumsum(_over(weight**2, n_b), axis=-1)
    return Estimate(effect=effect, information=_over(whole**2, spread), users=np.cumsum(n_a + n_b, axis=-1))


def _variance(arm: Moments, counted: np.ndarray) -> Floats:
    """Of one user within a cohort, pooled over the cohorts up to each look."""
    squares = np.cumsum(np.where(counted, arm.squares, 0.0), axis=-1)
    freedom = np.cumsum(np.where(counted, np.maximum(arm.n - 1.0, 0.0), 0.0), axis=-1)
    return _over(squares, freedom)


def _over(top: Floats, bottom: Floats) -> Floats:
    """A quotient, 0 where the divisor is 0."""
    return np.divide(top, bottom, out=np.zeros(np.broadcast_shapes(top.shape, bottom.shape)), where=bottom > 0)
