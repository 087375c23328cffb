"""Which parents are worth changing: Thompson sampling over their true gains.

A gain is a Normal belief shrunk towards "nothing changes" (Thompson 1933; Russo et al. 2018, "A Tutorial on Thompson
Sampling"). What techniques are worth is in `agents.effects`. Pure arithmetic: knows nothing of trees, cards or time.
"""

from __future__ import annotations

import numpy as np

from evolve.contracts import Floats, NoiseFloor

PRIOR_IN_FLOORS = 3.0
"""A technique's effect is expected within this many minimum effects of zero."""
PARENT_SPREAD = 2.0
"""Prior standard deviation of a parent's gain, in those of a technique: gains add up over generations."""
VIRTUAL_LOSS = 0.5
"""What each child in flight takes off its parent's mean, in prior standard deviations."""


def prior_sd(floor: NoiseFloor) -> float:
    """The prior standard deviation of a technique's effect, in the metric's unit."""
    return PRIOR_IN_FLOORS * max(floor.minimum_effect, 1e-12)


def draw_parents(
    gains: Floats, standard_errors: Floats, waiting: Floats, sd: float, rng: np.random.Generator
) -> Floats:
    """One draw of each parent's true gain over the seed; all of shape (n,). The best of many measured gains is partly
    luck, so each is shrunk; `waiting` counts the parent's children in flight."""
    spread = (PARENT_SPREAD * sd) ** 2
    kept = spread / (spread + standard_errors**2)
    means = kept * gains - VIRTUAL_LOSS * sd * waiting
    return means + np.sqrt(kept) * standard_errors * rng.standard_normal(len(gains))
