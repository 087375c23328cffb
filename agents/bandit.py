"""Thompson sampling over technique x parent: which technique, on which parent, is worth the next trial.

A pair's value is the parent's sampled gain plus the technique's sampled gain. Both are Normal and shrunk towards
"nothing changes" (Thompson 1933; Russo et al. 2018, "A Tutorial on Thompson Sampling"). Pure arithmetic: knows nothing
of trees, cards or time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evolve.contracts import Floats, NoiseFloor

PRIOR_IN_FLOORS = 2.0
"""A technique's gain is expected within this many minimum effects of zero."""
SPREAD = 0.5
"""How much one technique's gain differs between parents, in prior standard deviations."""
FAILURE = -2.0
"""What a candidate that broke counts as, in prior standard deviations; no measured loss counts as more."""
PARENT_SPREAD = 2.0
"""Prior standard deviation of a parent's gain, in those of a technique: gains add up over generations."""
VIRTUAL_LOSS = 0.5
"""What each candidate in flight takes off its arm's mean, in prior standard deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One finished use of a technique: its candidate's gain less the parent's. `delta` is None where it broke."""

    delta: float | None
    standard_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What is known of a technique: its finished trials, and how many are in flight."""

    trials: Sequence[Trial]
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """A Normal belief about a gain."""

    mean: float
    sd: float


def prior_sd(floor: NoiseFloor) -> float:
    """The prior standard deviation of a technique's gain, in the metric's unit."""
    return PRIOR_IN_FLOORS * max(floor.minimum_effect, 1e-12)


def technique_belief(arm: Arm, sd: float) -> Belief:
    """What the trials say of the technique, shrunk towards 0 by the prior's `sd`."""
    precision, weighted = 1.0 / sd**2, 0.0
    for trial in arm.trials:
        delta = FAILURE * sd if trial.delta is None else max(trial.delta, FAILURE * sd)
        error = sd if trial.delta is None else trial.standard_error
        weight = 1.0 / (error**2 + (SPREAD * sd) ** 2)
        precision += weight
        weighted += weight * delta
    return Belief(mean=weighted / precision - VIRTUAL_LOSS * sd * arm.waiting, sd=precision**-0.5)


def parent_belief(gain: float, standard_error: float, sd: float, waiting: int = 0) -> Belief:
    """A parent's true gain over the seed: the best of many measured gains is partly luck, so it is shrunk."""
    spread = (PARENT_SPREAD * sd) ** 2
    kept = spread / (spread + standard_error**2)
    return Belief(mean=kept * gain - VIRTUAL_LOSS * sd * waiting, sd=math.sqrt(kept) * standard_error)


def sample(beliefs: Sequence[Belief], rng: np.random.Generator) -> Floats:
    """One draw from each belief; shape (n,)."""
    means = np.array([belief.mean for belief in beliefs], dtype=np.float64)
    sds = np.array([belief.sd for belief in beliefs], dtype=np.float64)
    return means + sds * rng.standard_normal(len(beliefs))


def ranked_pairs(parents: Floats, techniques: Floats) -> Iterator[tuple[int, int]]:
    """Indices (parent, technique) by falling sum of their draws; ties in the order given."""
    values = parents[:, None] + techniques[None, :]
    for flat in np.argsort(-values, axis=None, kind="stable"):
        yield int(flat) // len(techniques), int(flat) % len(techniques)
