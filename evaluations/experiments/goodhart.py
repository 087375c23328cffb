"""When proxies stop telling the truth: a watch over finished experiments that finds slopes which have turned.

Knows nothing of platforms or candidates. The mean over all kinds of turns of a sum over all lessons at which one could
have begun is a Shiryaev-Roberts statistic: with slopes that hold it is expected to grow by one an experiment, so that
`EVERY` experiments pass on average before a false alarm (Pollak and Siegmund 1985).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from evaluations.experiments.lesson_table import Lesson, tabulate
from evaluations.experiments.surrogate import learn
from evaluations.experiments.turns import Turns, followed, kinds
from evolve.contracts import Floats

EVERY = 400
"""All proxies are watched at once: as rare as five that are each doubted falsely once in 2,000 experiments."""
LEAST = 8
"""Experiments before a turn can begin, so that there is a slope that can turn."""
STRONG = 10.0
"""The Bayes factor that the likeliest turn needs on top: where proxies tell nothing, the sum grows all the same."""
SURE = 0.9
"""The chance of having turned with which a proxy is demoted; the likeliest always is."""


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


def watch(lessons: Sequence[Lesson], every: float = EVERY) -> tuple[Alarm, ...]:
    """The alarms over `lessons` in the order in which they ended. A proxy that is demoted is watched no more, the
    others are, with as many false alarms again."""
    alarms: list[Alarm] = []
    names, begin = {name for lesson in lessons for name in lesson.proxies}, LEAST
    while names and (found := _first(lessons, names, begin, every)):
        alarms += found
        names -= {alarm.proxy for alarm in found}
        begin = found[0].lesson
    return tuple(alarms)


def _first(lessons: Sequence[Lesson], names: Collection[str], begin: int, every: float) -> list[Alarm]:
    """The alarms of the first lesson from `begin` on that has any. Units are learned anew from all lessons so far
    whenever their number has doubled."""
    known = LEAST
    while known < len(lessons):
        model, until = learn(lessons[:known], only=names), min(2 * known, len(lessons))
        slopes = np.array([model.slope(None, name).mean for name in model.names])
        slopes = slopes * model.units.scale / model.units.unit
        bar = np.log(every * (len(kinds(len(slopes))) - 1))
        for lesson, turns in enumerate(followed(tabulate(lessons[:until], model.units), slopes, LEAST)):
            if lesson >= max(known, begin) and _found(turns.odds(), bar):
                return _alarms(lessons[: lesson + 1], model.names, turns)
        known = until
    return []


def _found(odds: Floats, bar: float) -> bool:
    return bool(np.logaddexp.reduce(odds) >= bar and odds.max() >= np.log(STRONG))


def _alarms(lessons: Sequence[Lesson], names: Sequence[str], turns: Turns) -> list[Alarm]:
    """One for each proxy that has turned."""
    odds = turns.odds()
    chances = np.exp(odds - np.logaddexp.reduce(odds))
    turned = chances @ (kinds(len(names))[turns.kind[1:]] != 1.0)
    begun = int(turns.begun[1 + int(np.argmax(odds))])
    return [
        Alarm(
            proxy=name, lesson=len(lessons) - 1, begun=begun,
            before=_slope(lessons[:begun], name), since=_slope(lessons[begun:], name),
        )
        for name, chance in zip(names, turned, strict=True) if chance >= min(SURE, float(turned.max()))
    ]  # fmt: skip


def _slope(lessons: Sequence[Lesson], proxy: str) -> float:
    having = [lesson for lesson in lessons if proxy in lesson.proxies]
    return learn(having, only=[proxy]).slope(None, proxy).mean if having else 0.0
