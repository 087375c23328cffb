"""When a proxy stops telling the truth: a watch over finished experiments that finds a slope which has turned.

Knows nothing of platforms or candidates. Each experiment says how far its north star fell behind what the proxy
promised. A mixture of Shiryaev-Roberts statistics sums that up; with slopes that hold it is expected to grow by one an
experiment, so that `EVERY` experiments pass on average before a false alarm (Pollak and Siegmund 1985).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluations.experiments.lesson_table import Lesson
from evaluations.experiments.surrogate import Surrogate, learn
from evolve.contracts import Floats

TURNS = (0.1, 0.2, 0.4, 0.8)
"""Falls of the slope that are bet on: deviations of the north star's error, a spread of the proxy."""
EVERY = 2000
LEAST = 8
"""Experiments before anything is promised, so that there is a slope that can turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A proxy that went one way while the north star went the other. `lesson` counts from 0; `begun` is where the
    turn most likely began; `before` and `since` are the slopes on either side of it."""

    proxy: str
    lesson: int
    begun: int
    before: float
    since: float

    def line(self) -> str:
        """What the offline agent is told."""
        did = "went the other way" if self.since < 0 < self.before else "no longer followed"
        return (
            f"{self.proxy} is demoted: over {self.lesson - self.begun + 1} experiments the north star {did} "
            f"(slope {self.since:+.3g}, before {self.before:+.3g}); a gain in {self.proxy} alone is no gain"
        )


def watch(lessons: Sequence[Lesson], proxy: str, every: float = EVERY) -> Alarm | None:
    """The first alarm over `lessons` in the order in which they ended, if there is one.

    The slope is learned anew from all lessons so far whenever their number has doubled.
    """
    known = [number for number, lesson in enumerate(lessons) if proxy in lesson.proxies]
    if len(known) <= LEAST:
        return None
    sums, ratios = np.zeros(len(TURNS)), np.zeros(len(known))
    model, refit = _model(lessons, known[:LEAST], proxy), 2 * LEAST
    for place in range(LEAST, len(known)):
        if place == refit:
            model, refit = _model(lessons, known[:place], proxy), 2 * refit
        fall, weight = behind(model, lessons[known[place]], proxy)
        turns = np.array(TURNS) * weight
        ratios[place] = turns[-1] * fall - 0.5 * turns[-1] ** 2
        sums = (sums + 1.0) * np.exp(turns * fall - 0.5 * turns**2)
        if sums.mean() >= every:
            return _alarm(lessons, known[: place + 1], proxy, ratios[: place + 1])
    return None


def behind(model: Surrogate, lesson: Lesson, proxy: str) -> tuple[float, float]:
    """How far the measured north star fell behind what the proxy promised, in deviations and in the direction in which
    the proxy moved; and how far the proxy moved, in its spreads."""
    reading = lesson.proxies[proxy]
    place = model.names.index(proxy)
    moved = (reading.value - float(model.units.centre[place])) / float(model.units.scale[place])
    promised = model.promise(lesson)
    slope = float(np.sign(model.slope(lesson.persona, proxy).mean)) or 1.0
    gap = (promised.mean - lesson.north_star.value) / promised.sd
    return gap * float(np.sign(moved)) * slope, abs(moved)


def _model(lessons: Sequence[Lesson], places: Sequence[int], proxy: str) -> Surrogate:
    return learn([lessons[place] for place in places], only=[proxy])


def _alarm(lessons: Sequence[Lesson], known: Sequence[int], proxy: str, ratios: Floats) -> Alarm:
    """The turn began where it is most likely: where the sum of the log likelihood ratios was at its lowest."""
    begun = int(np.argmin(np.cumsum(ratios)[LEAST - 1 : -1])) + LEAST
    return Alarm(
        proxy=proxy, lesson=known[-1], begun=known[begun],
        before=_slope(lessons, known[:begun], proxy), since=_slope(lessons, known[begun:], proxy),
    )  # fmt: skip


def _slope(lessons: Sequence[Lesson], places: Sequence[int], proxy: str) -> float:
    return _model(lessons, places, proxy).slope(None, proxy).mean
