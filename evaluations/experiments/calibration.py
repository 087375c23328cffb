"""How far each proxy can be trusted, persona by persona, and what follows for the offline loop.

Pure functions of lessons: the same lessons in the same order give the same table, thresholds and lines. Knows nothing
of where lessons come from or of who reads the lines.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from evaluations.experiments.goodhart import EVERY, Alarm, watch
from evaluations.experiments.lesson_table import Lesson, Reading
from evaluations.experiments.surrogate import Surrogate, learn

ANYBODY = ""
"""In a table, what all personas share; in a forecast, a persona that was never met."""


class Trust(StrEnum):
    """What a proxy's gain is worth."""

    UNKNOWN = "unknown"
    TRUSTED = "trusted"
    MISLEADING = "misleading"
    DEMOTED = "demoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One proxy for one persona (`ANYBODY` for all): the north star's effect per unit of the true proxy, taken alone,
    with its 95 % interval; the correlation of measured effects; and over how many lessons."""

    proxy: str
    persona: str
    slope: float
    low: float
    high: float
    correlation: float
    lessons: int
    trust: Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All that finished experiments taught. `surrogate` uses no proxy that is demoted; `thresholds` are the least
    measured gains of each trusted proxy alone with which a challenger more likely than not helps the north star."""

    rows: tuple[Row, ...]
    surrogate: Surrogate
    alarms: tuple[Alarm, ...]
    thresholds: dict[str, float]

    @property
    def lines(self) -> tuple[str, ...]:
        """What the offline agent is told of its proxies."""
        misled = [row for row in self.rows if row.persona == ANYBODY and row.trust is Trust.MISLEADING]
        said = [
            f"{row.proxy} misleads: the north star falls as it rises (slope {row.slope:+.3g} "
            f"[{row.low:+.3g}, {row.high:+.3g}] over {row.lessons} experiments)"
            for row in misled
        ]
        return (*(alarm.line() for alarm in self.alarms), *said)


def calibrate(lessons: Sequence[Lesson], every: float = EVERY) -> Calibration:
    """From lessons in the order in which their experiments ended. `every` is how many experiments may pass, on average,
    before proxies that still tell the truth are demoted."""
    names = sorted({name for lesson in lessons for name in lesson.proxies})
    alarms = watch(lessons, every)
    demoted = {alarm.proxy for alarm in alarms}
    rows = [row for name in names for row in _rows(lessons, name, demoted)]
    trusted = [row.proxy for row in rows if row.persona == ANYBODY and row.trust is Trust.TRUSTED]
    return Calibration(
        rows=tuple(rows), surrogate=learn(lessons, only=set(names) - demoted), alarms=alarms,
        thresholds={name: threshold(lessons, name) for name in trusted},
    )  # fmt: skip


def threshold(lessons: Sequence[Lesson], proxy: str, chance: float = 0.5) -> float:
    """The least measured gain of a proxy, alone and with its usual error, at which a challenger of whom nothing else
    is known helps with this chance; infinite where none of up to ten spreads is enough."""
    model = learn(lessons, only=[proxy])
    error = float(np.median([one.proxies[proxy].error for one in lessons if proxy in one.proxies]))
    for gain in np.linspace(-2.0, 10.0, 241) * float(model.units.scale[0]):
        if model.forecast(ANYBODY, {proxy: Reading(value=float(gain), error=error)}).chance_above(0.0) >= chance:
            return float(gain)
    return float("inf")


def _rows(lessons: Sequence[Lesson], proxy: str, demoted: Collection[str]) -> list[Row]:
    having = [lesson for lesson in lessons if proxy in lesson.proxies]
    model = learn(having, only=[proxy])
    personas = sorted({lesson.persona for lesson in having} - {ANYBODY})
    return [_row(model, having, proxy, persona, proxy in demoted) for persona in (ANYBODY, *personas)]


def _row(model: Surrogate, having: Sequence[Lesson], proxy: str, persona: str, demoted: bool) -> Row:
    own = [lesson for lesson in having if persona in (ANYBODY, lesson.persona)]
    slope = model.slope(persona or None, proxy)
    low, high = slope.interval()
    trust = Trust.TRUSTED if low > 0 else Trust.MISLEADING if high < 0 else Trust.UNKNOWN
    return Row(
        proxy=proxy, persona=persona, slope=slope.mean, low=low, high=high, correlation=_correlation(own, proxy),
        lessons=len(own), trust=Trust.DEMOTED if demoted else trust,
    )  # fmt: skip


def _correlation(lessons: Sequence[Lesson], proxy: str) -> float:
    """Of measured effects; 0 where there is none to speak of."""
    moved = np.array([lesson.proxies[proxy].value for lesson in lessons])
    gained = np.array([lesson.north_star.value for lesson in lessons])
    if len(lessons) < 3 or not moved.std() or not gained.std():
        return 0.0
    return float(np.corrcoef(moved, gained)[0, 1])
