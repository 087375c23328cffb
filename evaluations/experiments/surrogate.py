"""What finished experiments teach: how proxies and early metrics foretell the north star, persona by persona.

Knows nothing of platforms, queues or decisions, and a forecast never promotes anything. One linear model with a normal
posterior: slopes shared by all personas plus each persona's own departure, shrunk towards none (a hierarchical model,
solved at once because all of it is normal). How strongly to shrink is averaged over a small grid by marginal
likelihood, so that intervals are honest after a handful of experiments. Both sides are noisy: what is regressed on is
the expected true proxy given the measured one, and the noise that proxy and north star share (the same users) is taken
out ("total covariance"; Tripuraneni et al. 2024, Bibaut et al. 2024 for the problem; Carroll et al. 2006 for the cure).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist

import numpy as np

from evaluations.experiments.lesson_table import (
    NORTH_STAR,
    Lesson,
    Reading,
    Table,
    Units,
    corrected,
    tabulate,
    units_of,
)
from evolve.contracts import Floats

GRID = tuple(product((0.1, 0.4, 1.0), (0.15, 0.6), (0.1, 0.3, 0.6, 1.0)))
"""Deviations of a shared slope, of a persona's departure from it (as a share of the former) and of what no proxy
tells: all in units of the north star's own spread per spread of a proxy."""
LEVEL = 0.5
"""The deviation, in spreads, of what a challenger with average proxies gains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is believed of a challenger's north star: normal with this mean and deviation."""

    mean: float
    sd: float

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Holds the true effect with this chance, as far as the model goes."""
        reach = NormalDist().inv_cdf(0.5 + confidence / 2) * self.sd
        return self.mean - reach, self.mean + reach

    def chance_above(self, smallest: float) -> float:
        """That the true effect is greater than `smallest`."""
        return 1.0 - NormalDist(self.mean, self.sd).cdf(smallest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """The posterior; made by `learn`, in `units`.

    Each of the c components of the mixture has `weights` (c,), a mean (c, d) and covariance (c, d, d) of the
    coefficients, and `rest` (c,), the deviation of what no proxy tells.
    """

    units: Units
    personas: tuple[str, ...]
    lessons: int
    weights: Floats
    mean: Floats
    covariance: Floats
    rest: Floats

    @property
    def names(self) -> tuple[str, ...]:
        """The proxies, in the order of the coefficients."""
        return self.units.names

    def forecast(
        self, persona: str, proxies: Mapping[str, Reading], shared: Mapping[tuple[str, str], float] | None = None
    ) -> Forecast:
        """Of a challenger whose proxies were measured so; a persona that was never met departs as any might. Errors
        that proxies share cancel where `shared` tells of them."""
        pairs = {pair: value for pair, value in (shared or {}).items() if NORTH_STAR not in pair}
        true = Reading(value=0.0, error=0.0)
        return self.promise(Lesson(name="", persona=persona, proxies=proxies, north_star=true, shared=pairs))

    def promise(self, lesson: Lesson) -> Forecast:
        """What its proxies say that its north star will be measured as: the forecast, and the error on top of it."""
        table, signal, unit = tabulate([lesson], self.units), self.units.signal, self.units.unit
        values, noise = table.values[0], table.noise[0]
        whole = np.linalg.inv(signal + noise[:-1, :-1])
        row = _row(np.append(1.0, signal @ whole @ values), self._slot(lesson.persona), len(self.personas))
        slopes, means = self._slopes(lesson.persona), self.mean @ row
        moved = slopes @ signal + noise[:-1, -1]
        left = np.einsum("ci,ij,cj->c", slopes, signal, slopes) + noise[-1, -1]
        left = np.maximum(left - np.einsum("ci,ij,cj->c", moved, whole, moved), 0.0)
        spread = np.einsum("i,cij,j->c", row, self.covariance, row) + self.rest**2 + left
        mean = float(self.weights @ means)
        variance = float(self.weights @ (spread + (means - mean) ** 2))
        mean += float(noise[:-1, -1] @ whole @ values)
        return Forecast(mean=mean * unit, sd=variance**0.5 * unit)

    def slope(self, persona: str | None, proxy: str) -> Forecast:
        """How much the north star moves with one unit of a true proxy, all other proxies standing still; without a
        persona, the slope that all share."""
        place, width = self.names.index(proxy) + 1, len(self.names) + 1
        pick = np.zeros(self.mean.shape[1])
        pick[place] = 1.0
        if persona is not None:
            pick[(1 + self._slot(persona)) * width + place] = 1.0
        means = self.mean @ pick
        spread = np.einsum("i,cij,j->c", pick, self.covariance, pick)
        mean = float(self.weights @ means)
        factor = self.units.unit / float(self.units.scale[place - 1])
        return Forecast(mean=mean * factor, sd=float(self.weights @ (spread + (means - mean) ** 2)) ** 0.5 * factor)

    def _slopes(self, persona: str) -> Floats:
        width = len(self.names) + 1
        begin = (1 + self._slot(persona)) * width
        return self.mean[:, 1:width] + self.mean[:, begin + 1 : begin + width]

    def _slot(self, persona: str) -> int:
        return self.personas.index(persona if persona in self.personas else "")


def learn(lessons: Sequence[Lesson], only: Collection[str] | None = None) -> Surrogate:
    """What lessons teach; with none, that nothing is known but the usual size of effects. `only` names the proxies
    that may be used. The order of the lessons does not matter."""
    found = {name for lesson in lessons for name in lesson.proxies}
    names = tuple(sorted(found if only is None else found & set(only)))
    personas = (*sorted({lesson.persona for lesson in lessons} - {""}), "")
    lessons = sorted(lessons, key=lambda lesson: lesson.name)
    table = tabulate(lessons, units_of(lessons, names))
    parts, weights = _mixture(table, personas, np.zeros(len(names)))
    # Once more, now that the noise which slopes carry over from the proxies is known.
    slopes = np.einsum("c,cd->d", weights, np.array([part.mean for part in parts]))[1 : len(names) + 1]
    parts, weights = _mixture(table, personas, slopes)
    return Surrogate(
        units=table.units, personas=personas, lessons=len(lessons), weights=weights,
        mean=np.array([part.mean for part in parts]), covariance=np.array([part.covariance for part in parts]),
        rest=np.array([rest for _, _, rest in GRID]),
    )  # fmt: skip


def _mixture(table: Table, personas: tuple[str, ...], slopes: Floats) -> tuple[list[_Part], Floats]:
    """The posterior under each prior of the grid, and each prior's weight."""
    rows, targets, variance = corrected(table, slopes)
    slots = [personas.index(persona) for persona in table.personas]
    design = np.array([_row(row, slot, len(personas)) for row, slot in zip(rows, slots, strict=True)])
    design = design.reshape(len(rows), (1 + len(personas)) * (1 + len(slopes)))
    parts = [_posterior(design, targets, variance, len(personas), grid) for grid in GRID]
    logs = np.array([part.log_evidence for part in parts])
    weights = np.exp(logs - logs.max())
    return parts, weights / weights.sum()


def _row(row: Floats, slot: int, personas: int) -> Floats:
    """Coefficients are the shared ones, then each persona's departures."""
    whole = np.zeros((1 + personas, len(row)))
    whole[0] = whole[1 + slot] = row
    return whole.ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    mean: Floats
    covariance: Floats
    log_evidence: float


def _posterior(
    design: Floats, targets: Floats, variance: Floats, personas: int, grid: tuple[float, float, float]
) -> _Part:
    """Of the coefficients under one prior, with the log evidence for that prior up to a constant."""
    shrink, departure, rest = grid
    width = design.shape[1] // (1 + personas)
    own = np.append(LEVEL, np.full(width - 1, shrink))
    prior = np.concatenate([own, np.tile(own * departure, personas)]) ** 2
    whole = variance + rest**2
    weighted = design / whole[:, None]
    covariance: Floats = np.linalg.inv(np.diag(1.0 / prior) + design.T @ weighted).astype(float)
    pull = weighted.T @ targets
    mean: Floats = covariance @ pull
    _, log_size = np.linalg.slogdet(covariance)
    logs = float(log_size) - float(np.log(prior).sum()) - float(np.log(whole).sum())
    fit = float((targets**2 / whole).sum()) - float(pull @ mean)
    return _Part(mean=mean, covariance=covariance, log_evidence=0.5 * (logs - fit))
