"""Candidates whose true effects were lived: paired productions under common random numbers, one family at a time.

What `proxies`, `end_to_end` and the augmented figures feed the statistics with. Truth is the mean paired effect over
all users of a small world (300 users with a log, newcomers on top). Experiments are then drawn around it: arms' means
are normal, with the covariance that users of that world have once the days before are taken out. So one lived pool
serves any number of experiments, and each of them has a truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.common import progress
from evaluations.experiments.lesson_table import NORTH_STAR, Lesson, Reading
from evaluations.production_truth import CHAMPION, FAMILIES, Kind, Lived, candidates, live
from evaluations.world import WorldConfig
from evolve.contracts import Floats

SMALL = WorldConfig(users=300, first_items=300, items_per_day=4, log_days=10)
MEASURED = ("early_active", "clicks", "likes", "watch_s", NORTH_STAR)
RATE = "click rate"
METRICS = (RATE, *MEASURED)
"""Clicks per visit are what a service watches first, and the naive proxy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """True relative effects, shape (candidates, metrics), and the covariance of one user's relative values, shape
    (metrics, metrics), in the order of `METRICS`."""

    effects: Floats
    noise: Floats

    def column(self, name: str) -> Floats:
        """One metric's true effects."""
        return self.effects[:, METRICS.index(name)]

    def errors(self, users: float) -> Floats:
        """Covariance of an experiment's effects with so many users in each arm."""
        return self.noise * 2.0 / users


def pool(kind: Kind, worlds: int, each: int, users: int) -> Pool:
    """`each` candidates of each of `worlds` worlds of a kind."""
    effects: list[Floats] = []
    noises: list[Floats] = []
    for seed in range(worlds):
        config = replace(SMALL, family=FAMILIES[kind], seed=seed)
        reference = live(config, users, CHAMPION)
        noises.append(lived_noise(reference))
        if kind is Kind.NULL:  # exactly 0, as the tests of the world show
            effects.append(np.zeros((each, len(METRICS))))
            continue
        effects.append(
            np.array([lived_effects(live(config, users, one), reference) for one in candidates(kind, each, seed)])
        )
        progress(f"{kind} world {seed}: {each} candidates lived")
    return Pool(effects=np.concatenate(effects), noise=np.mean(noises, axis=0))


def lived_effects(lived: Lived, reference: Lived) -> Floats:
    """Of every metric; the click rate is clicks over visits."""
    gap = [float(np.nansum(getattr(lived, n)) / np.nansum(getattr(reference, n))) - 1.0 for n in MEASURED]
    return np.array([(1.0 + gap[1]) / (1.0 + gap[0]) - 1.0, *gap])


def lived_noise(reference: Lived) -> Floats:
    """Covariance of one user's relative values, once the days before are taken out."""
    exposed = np.isfinite(reference.before)
    before = reference.before[exposed] - reference.before[exposed].mean()
    columns = [getattr(reference, name)[exposed] for name in MEASURED]
    relative = np.array([column / column.mean() - 1.0 for column in columns])
    rest = relative - np.outer(relative @ before / (before @ before), before)
    return np.cov(np.vstack([rest[1] - rest[0], rest]))


def lessons(pool: Pool, rng: np.random.Generator, rows: Floats, users: float, scale: float = 1.0) -> list[Lesson]:
    """One experiment for each row, its true effects scaled; all its metrics are measured on the same users."""
    errors = pool.errors(users)
    truth = pool.effects[rows] * scale
    seen = truth + rng.multivariate_normal(np.zeros(len(METRICS)), errors, len(truth), method="eigh")
    sizes = np.sqrt(np.diag(errors))
    shared = {
        (min(a, b), max(a, b)): float(errors[i, j] / sizes[i] / sizes[j])
        for i, a in enumerate(METRICS) for j, b in enumerate(METRICS) if i < j
    }  # fmt: skip
    found: list[Lesson] = []
    for number, row in enumerate(seen):
        read = {n: Reading(value=float(v), error=float(e)) for n, v, e in zip(METRICS, row, sizes, strict=True)}
        north_star = read.pop(NORTH_STAR)
        found.append(Lesson(name=f"{number:05}", persona="any", proxies=read, north_star=north_star, shared=shared))
    return found
