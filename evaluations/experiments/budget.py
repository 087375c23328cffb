"""The error budget of a campaign: how sure each experiment must be so that few promotions are false.

Knows nothing of effects or traffic. Holds for any dependence between experiments (shared control, concurrent arms,
candidates that learned from earlier ones), as long as each e-value is sound given what came before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """A season of at most `tests` experiments whose false discovery rate stays below `level` (e-LOND; Xu and Ramdas
    2024, "Online multiple testing with e-values", equation 6, with equal weights 1 / tests)."""

    level: float
    tests: int

    def alpha(self, promotions: int) -> float:
        """The level of an experiment while `promotions` were made before: `level` / tests * (promotions + 1).

        It may grow while an experiment runs: with R promotions in all, an indicator of promotion over R is at most
        level / tests times the e-value, whenever the decision falls.
        """
        return self.level / self.tests * (promotions + 1)

    def spent(self, started: int) -> float:
        """The share of the season's budget that started experiments have taken."""
        return started / self.tests


def discoveries(e_values: Sequence[float], level: float, weights: Sequence[float]) -> list[bool]:
    """e-LOND over e-values that come one after the other, with `weights` that sum to at most 1."""
    found: list[bool] = []
    for value, weight in zip(e_values, weights, strict=True):
        found.append(value * level * weight * (sum(found) + 1) >= 1)
    return found


def together(e_values: Floats, level: float) -> NDArray[np.bool_]:
    """e-BH over e-values that are all there at once (Wang and Ramdas 2022): the k greatest, for the greatest k with
    k e_(k) / m >= 1 / level. Shape (m,)."""
    order = np.argsort(-e_values, kind="stable")
    ranks = np.arange(1, len(order) + 1)
    enough = np.flatnonzero(ranks * e_values[order] * level >= len(order))
    found = np.zeros(len(order), dtype=bool)
    found[order[: enough[-1] + 1 if len(enough) else 0]] = True
    return found
