"""Whether the slopes of proxies turned, which of them and when: Bayes factors of every turn that could have been.

Knows nothing of alarms or of who reads them. A north star is linear in the expected true proxies, with the surrogate's
own priors; personas' departures count as what no proxy tells. A turn leaves a share (`KEPT`) of the slopes of one proxy
or of all, from one lesson on. Each turn is believed beside all others, and each lesson is foretold before it is seen,
so that a Bayes factor is expected to stay 1 for as long as nothing turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from evaluations.experiments.lesson_table import Table, corrected
from evaluations.experiments.surrogate import GRID, LEVEL
from evolve.contracts import Floats

KEPT = (0.0, -1.0)
"""What is left of a slope: it tells nothing any more, or the reverse."""
PRIORS = tuple(sorted({(shrink, rest) for shrink, _, rest in GRID}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What is believed after some lessons of h turns, each with its own belief of the slopes.

    `kind` (h,) is the row of `kinds` and `begun` (h,) the lesson from which on it holds; turn 0 is that nothing turned.
    Under each of g priors: the coefficients' `mean` (h, g, 1 + p) and `covariance` (h, g, 1 + p, 1 + p), and the log
    `evidence` (h, g).
    """

    kind: NDArray[np.int64]
    begun: NDArray[np.int64]
    mean: Floats
    covariance: Floats
    evidence: Floats

    def odds(self) -> Floats:
        """Log Bayes factors of the turns against none, shape (h - 1,)."""
        evidence = np.logaddexp.reduce(self.evidence, axis=1)
        return evidence[1:] - evidence[0]

    def begin(self, count: int, lesson: int) -> Turns:
        """The `count` turns that could begin at this lesson join: up to here they are as if nothing had turned."""
        return Turns(
            kind=np.append(self.kind, np.arange(1, count + 1)),
            begun=np.append(self.begun, np.full(count, lesson)),
            mean=_joined(self.mean, count),
            covariance=_joined(self.covariance, count),
            evidence=_joined(self.evidence, count),
        )

    def learn(self, rows: Floats, variance: Floats, target: float) -> Turns:
        """One lesson more: its `rows` (h, 1 + p) under each turn, with noise of `variance` (h, g)."""
        moved = np.einsum("hgij,hj->hgi", self.covariance, rows)
        whole = np.einsum("hi,hgi->hg", rows, moved) + variance
        missed = target - np.einsum("hi,hgi->hg", rows, self.mean)
        pull = moved / whole[..., None]
        return Turns(
            kind=self.kind,
            begun=self.begun,
            mean=self.mean + pull * missed[..., None],
            covariance=self.covariance - pull[..., :, None] * moved[..., None, :],
            evidence=self.evidence - 0.5 * (np.log(whole) + missed**2 / whole),
        )


def kinds(proxies: int) -> Floats:
    """What is left of each slope under each kind of turn, shape (k, p): first none, then all slopes and each alone."""
    alone = np.eye(proxies, dtype=bool)
    whose = [np.ones(proxies, dtype=bool), *(alone if proxies > 1 else ())]
    return np.array([np.ones(proxies), *(np.where(who, kept, 1.0) for who, kept in product(whose, KEPT))])


def followed(table: Table, slopes: Floats, least: int) -> Iterator[Turns]:
    """Beliefs after each lesson of the table. Turns begin at lesson `least` or later; `slopes` (p,) are about right and
    tell how much noise they carry over from the proxies."""
    kept = kinds(len(slopes))
    rows, targets, _ = corrected(table, slopes)
    noise = np.array([corrected(table, slopes * left)[2] for left in kept])
    rest = np.array([rest**2 for _, rest in PRIORS])
    turns = _unmet(len(slopes))
    for lesson, (row, target) in enumerate(zip(rows, targets, strict=True)):
        if lesson >= least:
            turns = turns.begin(len(kept) - 1, lesson)
        turned = np.column_stack([np.ones(len(turns.kind)), kept[turns.kind] * row[1:]])
        turns = turns.learn(turned, noise[turns.kind, lesson][:, None] + rest, float(target))
        yield turns


def _unmet(proxies: int) -> Turns:
    spread = np.array([[LEVEL, *[shrink] * proxies] for shrink, _ in PRIORS])
    nothing = np.zeros(1, dtype=np.int64)
    return Turns(
        kind=nothing, begun=nothing, mean=np.zeros((1, *spread.shape)), evidence=np.zeros((1, len(PRIORS))),
        covariance=(spread[:, :, None] ** 2 * np.eye(proxies + 1))[None],
    )  # fmt: skip


def _joined(values: Floats, count: int) -> Floats:
    return np.concatenate([values, np.repeat(values[:1], count, axis=0)])
