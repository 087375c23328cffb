"""Information from users whose north star is not known yet: their early metric, mended by those whose it is.

Knows nothing of decisions. With m(S) = theta S the effect on Y is the effect on m(S) of all users plus the effect on
Y - m(S) of the mature ones; theta is the slope among mature users, so that the two parts do not correlate and their
variances add (Scharfstein and Tsiatis 1998; Kallus and Mao 2020). Whatever early metric and north star have to do with
each other, the sum is an unbiased estimate of the effect on Y, unless a challenger changes how soon users are counted.
"""

from __future__ import annotations

import numpy as np

from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.moments import Moments
from evolve.contracts import Floats


def augmented(early: tuple[Moments, Moments], mature: tuple[Moments, Moments], looks: int, lead: int) -> Estimate:
    """The effect at each look at mature cohorts, the challenger first in both pairs.

    Args:
        early: `y` is the early metric, shape (..., cohorts); at least `looks` + `lead` cohorts, or all there will be.
        mature: `y` is the north star and `x` the same users' early metric, shape (..., cohorts), at least `looks`.
        looks: how many cohorts are mature at the last look.
        lead: how many more cohorts have an early metric at each look.
    """
    theta = _slopes(mature, looks)
    rest = difference(mature[0].first(looks).adjusted(theta), mature[1].first(looks).adjusted(theta))
    last = np.minimum(np.arange(looks) + lead, early[0].n.shape[-1] - 1)
    seen = difference(*early)
    effect, information = seen.effect[..., last], seen.information[..., last]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = theta**2 / information + 1.0 / rest.information
        whole = np.where(np.isfinite(variance), 1.0 / variance, 0.0)
    return Estimate(effect=theta * effect + rest.effect, information=whole, users=rest.users)


def _slopes(mature: tuple[Moments, Moments], looks: int) -> Floats:
    """The slope within cohorts and arms, over all users that are mature at the last look, shape (..., 1): one slope
    for all looks, as if it had been learned before, so that scores stay sums of independent steps."""
    firsts = [arm.first(looks) for arm in mature]
    top = sum(_centred(arm.xy, arm.x, arm.y, arm.n) for arm in firsts)
    low = np.asarray(sum(_centred(arm.xx, arm.x, arm.x, arm.n) for arm in firsts))
    return np.divide(top, low, out=np.zeros(low.shape), where=low > 0)


def _centred(products: Floats, one: Floats, other: Floats, n: Floats) -> Floats:
    """Sums of products of deviations from the cohort's means, over all cohorts; shape (..., 1)."""
    return np.sum(products - one * other / np.maximum(n, 1.0), axis=-1, keepdims=True)
