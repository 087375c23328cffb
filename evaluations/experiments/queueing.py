"""Which challenger to test next: the gain to be expected for each day of traffic.

Knows nothing of proxies or platforms: beliefs come as forecasts. An order is no claim: whatever is believed of a
challenger, its experiment decides on fresh users at its own level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluations.experiments.surrogate import Forecast
from evolve.contracts import Floats

POINTS = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What an experiment costs: `information` (1 / squared standard error of the relative effect) gathered on a day,
    the level it is held to, and the rules that end it."""

    information: float
    alpha: float
    smallest: float = 0.005
    futile_from: int = 7
    most_days: int = 28


def gain_per_day(forecast: Forecast, traffic: Traffic) -> float:
    """The expected promoted gain over the expected days of enrolment.

    A true gain y reaches the evidence after about 2 log(1 / alpha) / y^2 of information, and is found with the chance
    that its score is over that boundary at the cap; what has no gain is mostly dropped as futile.
    """
    gains = forecast.mean + forecast.sd * np.linspace(-4.0, 4.0, POINTS)
    mass = np.exp(-0.5 * np.linspace(-4.0, 4.0, POINTS) ** 2)
    mass /= mass.sum()
    found = _power(gains, traffic)
    days = np.where(gains > traffic.smallest, _days(gains, traffic), _dropped(gains, traffic))
    return float((mass * found * np.maximum(gains, 0.0)).sum() / (mass * days).sum())


def ordered(
    forecasts: Mapping[str, Forecast], traffic: Traffic, rng: np.random.Generator | None = None, explore: float = 0.1
) -> Sequence[str]:
    """Challengers by their gain per day, the greatest first; equals in the order of their names.

    With `rng` a share `explore` of the places goes to challengers drawn at random, so that the surrogate keeps
    learning from what it thinks little of.
    """
    worth = {name: gain_per_day(forecast, traffic) for name, forecast in forecasts.items()}
    waiting = sorted(worth, key=lambda name: (-worth[name], name))
    if rng is None:
        return waiting
    order: list[str] = []
    while waiting:
        drawn = int(rng.integers(len(waiting))) if rng.random() < explore else 0
        order.append(waiting.pop(drawn))
    return order


def _power(gains: Floats, traffic: Traffic) -> Floats:
    from scipy.special import ndtr

    whole = traffic.information * traffic.most_days
    boundary = (-2.0 * np.log(traffic.alpha)) ** 0.5
    return np.asarray(ndtr(gains * whole**0.5 - boundary), dtype=float)


def _days(gains: Floats, traffic: Traffic) -> Floats:
    needed = -2.0 * np.log(traffic.alpha) / np.maximum(gains, 1e-9) ** 2 / traffic.information
    return np.clip(needed, 1.0, traffic.most_days)


def _dropped(gains: Floats, traffic: Traffic) -> Floats:
    """Until the upper end of what is believable is below the smallest gain that counts."""
    short = np.maximum(traffic.smallest - gains, 1e-9)
    return np.clip(1.28**2 / short**2 / traffic.information, traffic.futile_from, traffic.most_days)
