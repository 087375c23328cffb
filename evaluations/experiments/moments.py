"""What an arm's users did, as sums: all that the statistics need, and nothing of any single user.

Knows nothing of arms, looks or decisions. Sums of disjoint groups of users add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evolve.contracts import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over users of one arm; every array has shape (..., cohorts).

    `y` is the metric, `x` a second number per user: a covariate from before the experiment, or the denominator of
    a ratio. `yy`, `xx` and `xy` are the sums of their products. `n` counts users.
    """

    n: Floats
    y: Floats
    yy: Floats
    x: Floats
    xx: Floats
    xy: Floats

    @property
    def mean(self) -> Floats:
        """Of `y`; NaN for an empty cohort."""
        return self.y / np.where(self.n > 0, self.n, np.nan)

    @property
    def squares(self) -> Floats:
        """The sum of squared deviations of `y` from its cohort's mean; 0 for an empty cohort."""
        return np.maximum(self.yy - self.y**2 / np.maximum(self.n, 1.0), 0.0)

    def adjusted(self, theta: Floats | float) -> Moments:
        """Moments of y - theta * x: the metric with its pre-period part taken out (CUPED; Deng, Xu, Kohavi and
        Walker 2013, equation 5). `theta` must not depend on the users that it adjusts, or only on so many of them
        that one more changes nothing."""
        return self._of(self.y - theta * self.x, self.yy - 2 * theta * self.xy + theta**2 * self.xx)

    def linearised(self, ratio: float, denominator: float) -> Moments:
        """Moments of (y - ratio * x) / denominator: a ratio metric as a mean over users, to first order.

        `ratio` and `denominator` are the metric and the mean of `x` per user from before the experiment; being
        fixed, they leave the cohorts independent (Budylin et al. 2018, "Consistent transformation of ratio
        metrics"; with the arm's own ratio it is the delta method of Deng, Knoblich and Lu 2018).
        """
        y = (self.y - ratio * self.x) / denominator
        return self._of(y, (self.yy - 2 * ratio * self.xy + ratio**2 * self.xx) / denominator**2)

    def _of(self, y: Floats, yy: Floats) -> Moments:
        zero = np.zeros_like(y)
        return Moments(n=self.n, y=y, yy=yy, x=zero, xx=zero, xy=zero)

    def __add__(self, other: Moments) -> Moments:
        """Two disjoint groups of users together."""
        return Moments(**{name: getattr(self, name) + getattr(other, name) for name in Moments.__slots__})

    def first(self, cohorts: int) -> Moments:
        """Only the cohorts that entered first."""
        return Moments(**{name: getattr(self, name)[..., :cohorts] for name in Moments.__slots__})

    def total(self) -> Moments:
        """All cohorts as one; shape (..., 1)."""
        return Moments(**{name: getattr(self, name).sum(axis=-1, keepdims=True) for name in Moments.__slots__})


def moments_of(y: Floats, x: Floats | None = None) -> Moments:
    """Moments of users' values of shape (..., users); the result has shape (...)."""
    second = np.zeros_like(y) if x is None else x
    return Moments(
        n=np.full(y.shape[:-1], float(y.shape[-1])),
        y=y.sum(axis=-1),
        yy=np.einsum("...u,...u->...", y, y),
        x=second.sum(axis=-1),
        xx=np.einsum("...u,...u->...", second, second),
        xy=np.einsum("...u,...u->...", y, second),
    )


def theta_of(past: Moments) -> float:
    """The slope of the metric on its covariate in past users, all cohorts together; 0 where x never varies."""
    whole = past.total()
    n = float(whole.n.sum())
    xx = float(whole.xx.sum()) - float(whole.x.sum()) ** 2 / n
    xy = float(whole.xy.sum()) - float(whole.x.sum()) * float(whole.y.sum()) / n
    return xy / xx if xx > 0 else 0.0
