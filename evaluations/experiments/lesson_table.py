"""Lessons of finished experiments as arrays in units that can be compared, with the noise of both sides.

Knows nothing of slopes' priors, personas or forecasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Floats

NORTH_STAR = "north_star"
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
class Units:
    """What lessons are measured in: the p proxies by name, around `centre` in spreads of `scale`, both (p,), and the
    north star in spreads of `unit`. `signal` (p, p) is the true proxies' covariance in these units."""

    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    unit: float
    signal: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Lessons as arrays in `units`: `values` (n, p), `targets` (n,), and the errors' covariance `noise`
    (n, p + 1, p + 1), the north star last."""

    personas: tuple[str, ...]
    units: Units
    values: Floats
    targets: Floats
    noise: Floats


def units_of(lessons: Sequence[Lesson], names: tuple[str, ...]) -> Units:
    """The spreads that lessons show, shrunk towards the usual ones; the order of the lessons does not matter."""
    raw, errors, known = _measured(lessons, names)
    count = known.sum(axis=0)
    centre = raw.sum(axis=0) / (count + PRIOR_LESSONS)
    values = np.where(known, raw - centre, 0.0)
    scale = _spread(values, errors[:, :-1], count)
    targets = np.array([lesson.north_star.value for lesson in lessons])
    excess = float((targets**2 - errors[:, -1] ** 2).sum()) + PRIOR_LESSONS * USUAL**2
    unit = max(excess / (len(lessons) + PRIOR_LESSONS), (0.2 * USUAL) ** 2) ** 0.5
    units = Units(names=names, centre=centre, scale=scale, unit=unit, signal=np.eye(len(names)))
    table = tabulate(lessons, units)
    return replace(units, signal=_signal(table.values, known, table.noise))


def tabulate(lessons: Sequence[Lesson], units: Units) -> Table:
    """Lessons in units in which they can be compared; a proxy that was not measured is nothing but noise."""
    raw, errors, known = _measured(lessons, units.names)
    errors = errors / np.append(units.scale, units.unit)
    errors[:, :-1] = np.where(known, errors[:, :-1], UNKNOWN**0.5)
    noise = errors[:, :, None] * errors[:, None, :] * _correlations(lessons, (*units.names, NORTH_STAR))
    return Table(
        personas=tuple(lesson.persona for lesson in lessons), units=units,
        values=np.where(known, raw - units.centre, 0.0) / units.scale,
        targets=np.array([lesson.north_star.value for lesson in lessons]) / units.unit, noise=noise,
    )  # fmt: skip


def _measured(lessons: Sequence[Lesson], names: tuple[str, ...]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Proxies' values (n, p), all errors (n, p + 1) with the north star's last, and which proxies were measured."""
    shape = (len(lessons), len(names))
    known = np.array([[name in lesson.proxies for name in names] for lesson in lessons], dtype=bool).reshape(shape)
    raw = np.array([[_reading(lesson, name).value for name in names] for lesson in lessons]).reshape(shape)
    errors = np.array([[_reading(lesson, name).error for name in (*names, NORTH_STAR)] for lesson in lessons])
    return raw, errors.reshape(len(lessons), len(names) + 1), known


def _reading(lesson: Lesson, name: str) -> Reading:
    return lesson.north_star if name == NORTH_STAR else lesson.proxies.get(name, Reading(value=0.0, error=0.0))


def _spread(values: Floats, errors: Floats, count: Floats) -> Floats:
    """The deviation of true proxies; at least a third of what was measured, and 1 where nothing was."""
    whole = (values**2).sum(axis=0) / np.maximum(count, 1)
    true = np.maximum(whole - (errors**2).sum(axis=0) / np.maximum(count, 1), 0.1 * whole)
    return np.where(true > 0, np.sqrt(true), 1.0)


def _correlations(lessons: Sequence[Lesson], names: tuple[str, ...]) -> Floats:
    """Of the errors of `names`, shape (n, p, p)."""
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


def corrected(table: Table, slopes: Floats) -> tuple[Floats, Floats, Floats]:
    """Rows (n, 1 + p): a one and the expected true proxies; the north star less the error that it shares with the
    measured proxies (n,); and the variance that is left of it if true slopes are near `slopes` (n,)."""
    n = len(table.targets)
    own, shared, last = table.noise[:, :-1, :-1], table.noise[:, :-1, -1], table.noise[:, -1, -1]
    whole = np.linalg.inv(table.units.signal + own)
    seen = np.einsum("nij,nj->ni", whole, table.values)
    moved = table.units.signal @ slopes + shared
    left = slopes @ table.units.signal @ slopes + last - np.einsum("ni,nij,nj->n", moved, whole, moved)
    rows = np.concatenate([np.ones((n, 1)), seen @ table.units.signal], axis=1)
    return rows, table.targets - np.einsum("ni,ni->n", shared, seen), np.maximum(left, 0.0)
