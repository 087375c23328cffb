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
from dataclasses import dataclass, field
from itertools import product
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Floats

NORTH_STAR = "north_star"
GRID = tuple(product((0.1, 0.4, 1.0), (0.15, 0.6), (0.1, 0.3, 0.6, 1.0)))
"""Deviations of a shared slope, of a persona's departure from it (as a share of the former) and of what no proxy
tells: all in units of the north star's own spread per spread of a proxy."""
LEVEL = 0.5
"""The deviation, in spreads, of what a challenger with average proxies gains."""
USUAL = 0.01
"""The spread of true effects before any is known, worth `PRIOR_LESSONS` lessons: launches move a north star little."""
PRIOR_LESSONS = 4.0
"""How many lessons the belief that proxies move independently counts for."""
UNKNOWN = 1e6
"""The noise variance, in squared spreads, of a proxy that was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A measured effect with its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one challenger's proxies and early metrics said, and what the north star then did.

    All numbers are effects against the control of that experiment. `shared` is the correlation of the errors of two
    proxies, or of a proxy and `north_star` (pairs in alphabetical order); what is not there is 0.
    """

    name: str
    persona: str
    proxies: Mapping[str, Reading]
    north_star: Reading
    shared: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])


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
    """The posterior; made by `learn`. Proxies are in units of `scale` around `centre`, the north star of `unit`.

    `signal` is the true proxies' covariance (p, p). Each of the c components of the mixture has `weights` (c,), a mean
    (c, d) and covariance (c, d, d) of the coefficients, and `rest` (c,), the deviation of what no proxy tells.
    """

    names: tuple[str, ...]
    personas: tuple[str, ...]
    lessons: int
    centre: Floats
    scale: Floats
    unit: float
    signal: Floats
    weights: Floats
    mean: Floats
    covariance: Floats
    rest: Floats

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
        known = np.array([name in lesson.proxies for name in self.names], dtype=bool)
        readings = [lesson.proxies.get(name, Reading(value=0.0, error=0.0)) for name in self.names]
        values = np.where(known, np.array([one.value for one in readings]) - self.centre, 0.0) / self.scale
        errors = np.where(known, np.array([one.error for one in readings]) / self.scale, UNKNOWN**0.5)
        errors = np.append(errors, lesson.north_star.error / self.unit)
        noise = errors * errors[:, None] * _correlations([lesson], (*self.names, NORTH_STAR))[0]
        whole = np.linalg.inv(self.signal + noise[:-1, :-1])
        row = _row(np.append(1.0, self.signal @ whole @ values), self._slot(lesson.persona), len(self.personas))
        slopes, means = self._slopes(lesson.persona), self.mean @ row
        moved = slopes @ self.signal + noise[:-1, -1]
        left = np.einsum("ci,ij,cj->c", slopes, self.signal, slopes) + noise[-1, -1]
        left = np.maximum(left - np.einsum("ci,ij,cj->c", moved, whole, moved), 0.0)
        spread = np.einsum("i,cij,j->c", row, self.covariance, row) + self.rest**2 + left
        mean = float(self.weights @ means)
        variance = float(self.weights @ (spread + (means - mean) ** 2))
        mean += float(noise[:-1, -1] @ whole @ values)
        return Forecast(mean=mean * self.unit, sd=variance**0.5 * self.unit)

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
        factor = self.unit / float(self.scale[place - 1])
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
    table = tabulate(sorted(lessons, key=lambda lesson: lesson.name), names)
    parts, weights = _mixture(table, personas, np.zeros(len(names)))
    # Once more, now that the noise which slopes carry over from the proxies is known.
    slopes = np.einsum("c,cd->d", weights, np.array([part.mean for part in parts]))[1 : len(names) + 1]
    parts, weights = _mixture(table, personas, slopes)
    return Surrogate(
        names=names, personas=personas, lessons=len(lessons), centre=table.centre, scale=table.scale, unit=table.unit,
        signal=table.signal, weights=weights, mean=np.array([part.mean for part in parts]),
        covariance=np.array([part.covariance for part in parts]), rest=np.array([rest for _, _, rest in GRID]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Lessons as arrays in units of the spreads: `values` (n, p) around `centre`, `targets` (n,), and the errors'
    covariance `noise` (n, p + 1, p + 1), the north star last. `signal` (p, p) is the true proxies' covariance."""

    personas: tuple[str, ...]
    centre: Floats
    scale: Floats
    unit: float
    values: Floats
    targets: Floats
    noise: Floats
    signal: Floats


def tabulate(lessons: Sequence[Lesson], names: tuple[str, ...]) -> Table:
    """Lessons in the units in which they can be compared; a proxy that was not measured is nothing but noise."""
    known = np.array([[name in lesson.proxies for name in names] for lesson in lessons], dtype=bool)
    known = known.reshape(len(lessons), len(names))
    raw = np.array([[_reading(lesson, name).value for name in names] for lesson in lessons]).reshape(known.shape)
    errors = np.array([[_reading(lesson, name).error for name in (*names, NORTH_STAR)] for lesson in lessons])
    errors = errors.reshape(len(lessons), len(names) + 1)
    count = known.sum(axis=0)
    centre = raw.sum(axis=0) / (count + PRIOR_LESSONS)
    values = np.where(known, raw - centre, 0.0)
    scale = _spread(values, errors[:, :-1], count)
    targets = np.array([lesson.north_star.value for lesson in lessons])
    excess = float((targets**2 - errors[:, -1] ** 2).sum()) + PRIOR_LESSONS * USUAL**2
    unit = max(excess / (len(lessons) + PRIOR_LESSONS), (0.2 * USUAL) ** 2) ** 0.5
    errors = errors / np.append(scale, unit)
    errors[:, :-1] = np.where(known, errors[:, :-1], UNKNOWN**0.5)
    noise = errors[:, :, None] * errors[:, None, :] * _correlations(lessons, (*names, NORTH_STAR))
    return Table(
        personas=tuple(lesson.persona for lesson in lessons), centre=centre, scale=scale, unit=unit,
        values=values / scale, targets=targets / unit, noise=noise, signal=_signal(values / scale, known, noise),
    )  # fmt: skip


def _reading(lesson: Lesson, name: str) -> Reading:
    return lesson.north_star if name == NORTH_STAR else lesson.proxies.get(name, Reading(value=0.0, error=0.0))


def _spread(values: Floats, errors: Floats, count: Floats) -> Floats:
    """The deviation of true proxies; at least a third of what was measured, and 1 where nothing was."""
    whole = (values**2).sum(axis=0) / np.maximum(count, 1)
    true = np.maximum(whole - (errors**2).sum(axis=0) / np.maximum(count, 1), 0.1 * whole)
    return np.where(true > 0, np.sqrt(true), 1.0)


def _correlations(lessons: Sequence[Lesson], names: tuple[str, ...]) -> Floats:
    found = np.tile(np.eye(len(names)), (len(lessons), 1, 1))
    for one, lesson in enumerate(lessons):
        for (first, second), value in lesson.shared.items():
            if first in names and second in names:
                a, b = names.index(first), names.index(second)
                found[one, a, b] = found[one, b, a] = value
    return found


def _signal(values: Floats, known: NDArray[np.bool_], noise: Floats) -> Floats:
    """The total covariance minus the errors', shrunk towards independence and kept positive."""
    pairs = (known[:, :, None] & known[:, None, :]).astype(float)
    excess = values[:, :, None] * values[:, None, :] - noise[:, :-1, :-1]
    whole = (pairs * excess).sum(axis=0) + PRIOR_LESSONS * np.eye(values.shape[1])
    sizes, axes = np.linalg.eigh(whole / (pairs.sum(axis=0) + PRIOR_LESSONS))
    return (axes * np.maximum(sizes, 0.01)) @ axes.T


def _corrected(table: Table, slopes: Floats) -> tuple[Floats, Floats, Floats]:
    """Rows (n, 1 + p): a one and the expected true proxies; the north star less the error that it shares with the
    measured proxies (n,); and the variance that is left of it if true slopes are near `slopes` (n,)."""
    n = len(table.targets)
    own, shared, last = table.noise[:, :-1, :-1], table.noise[:, :-1, -1], table.noise[:, -1, -1]
    whole = np.linalg.inv(table.signal + own)
    seen = np.einsum("nij,nj->ni", whole, table.values)
    moved = table.signal @ slopes + shared
    left = slopes @ table.signal @ slopes + last - np.einsum("ni,nij,nj->n", moved, whole, moved)
    rows = np.concatenate([np.ones((n, 1)), seen @ table.signal], axis=1)
    return rows, table.targets - np.einsum("ni,ni->n", shared, seen), np.maximum(left, 0.0)


def _mixture(table: Table, personas: tuple[str, ...], slopes: Floats) -> tuple[list[_Part], Floats]:
    """The posterior under each prior of the grid, and each prior's weight."""
    rows, targets, variance = _corrected(table, slopes)
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
