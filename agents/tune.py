"""Proposes values for a candidate's tunables: Optuna by ask and tell, and small steps around the best.

The study is built anew from the trials it is given, so that nothing is remembered between calls (TPE: Bergstra et al.
2011). With a handful of trials a model knows nothing yet, and a step around the best known values pays more. Does not
know trees, candidates or scores other than the gains it is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agents.tunables import Choice, Range, Tunable
from evolve.contracts import TunableValue

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

MODEL_FROM = 4
"""Scored trials from which on Optuna is asked for every other proposal."""
STEP = 0.18
"""Standard deviation of a step, in the unit of the range (of its logarithm, for log ranges)."""
MOVED = 3
"""At most so many tunables move in one step."""
DIGITS = 4
"""Significant digits of a proposed number: a diff that people can read."""
TOLD = 20
"""Optuna is told so many of the best trials and twice as many of the latest: its time must not grow with the run."""
TRIES = 12
"""Suggestions made before the tunables count as exhausted."""

Values = Mapping[str, TunableValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedTrial:
    """Values that were tried and their gain over the seed; None where the candidate broke or is in flight."""

    values: Values
    gain: float | None


def suggestions(
    tunables: Sequence[Tunable], trials: Sequence[TunedTrial], inherited: Values, rng: np.random.Generator
) -> Iterator[dict[str, TunableValue]]:
    """Values to try, best idea first; some may have been tried already.

    Args:
        tunables: what may move; their own values are the candidate's.
        trials: earlier trials of the same structure, the candidate's own among them, at least one with a gain.
        inherited: what the candidate's own parent had for tunables of the same name: the warm start.
        rng: decides everything that is left to chance.
    """
    scored = [trial for trial in trials if trial.gain is not None]
    warm = {t.key: inherited[t.key] if _admits(t, inherited) else t.value for t in tunables}
    if any(warm[tunable.key] != tunable.value for tunable in tunables):
        yield warm
    best = max(scored, key=lambda trial: trial.gain or 0.0, default=None)
    around = {t.key: best.values[t.key] if best and _admits(t, best.values) else t.value for t in tunables}
    for _ in range(TRIES):
        if len(scored) >= MODEL_FROM and rng.random() < 0.5:
            yield ask(tunables, trials, int(rng.integers(2**31)))
        else:
            yield _step(tunables, around, rng)


def _admits(tunable: Tunable, values: Values) -> bool:
    return tunable.key in values and tunable.domain.admits(values[tunable.key])


def _step(tunables: Sequence[Tunable], around: Values, rng: np.random.Generator) -> dict[str, TunableValue]:
    """Moves one to `MOVED` tunables a little away from `around`."""
    count = int(rng.integers(1, min(MOVED, len(tunables)) + 1))
    moved = {int(index) for index in rng.choice(len(tunables), size=count, replace=False)}
    return {
        tunable.key: _moved(tunable.domain, around[tunable.key], rng) if index in moved else around[tunable.key]
        for index, tunable in enumerate(tunables)
    }


def _moved(domain: Range | Choice, value: TunableValue, rng: np.random.Generator) -> TunableValue:
    if isinstance(domain, Choice):
        others = [option for option in domain.options if option != value]
        return others[int(rng.integers(len(others)))]
    assert not isinstance(value, str)
    low, high, now = (math.log(x) if domain.is_log else x for x in (domain.low, domain.high, value))
    place = (now - low) / (high - low) + STEP * float(rng.standard_normal())
    place = abs(place) if place <= 1 else 2 - place  # a step over the edge comes back from it
    place = low + min(max(place, 0.0), 1.0) * (high - low)
    return _rounded(domain, math.exp(place) if domain.is_log else place)


def _rounded(domain: Range, value: float) -> int | float:
    if domain.is_int:
        return int(min(max(round(value), domain.low), domain.high))
    return min(max(float(f"{value:.{DIGITS}g}"), domain.low), domain.high)


def ask(tunables: Sequence[Tunable], trials: Sequence[TunedTrial], seed: int) -> dict[str, TunableValue]:
    """One suggestion of a study that has seen the trials. A trial without a gain counts as the worst known one, so
    that neither a crash nor a candidate in flight is proposed again."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {tunable.key: _distribution(tunable.domain) for tunable in tunables}
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=MODEL_FROM)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    worst = min(trial.gain for trial in trials if trial.gain is not None)
    for trial in _told(trials):
        if all(_admits(tunable, trial.values) for tunable in tunables):
            told = {tunable.key: trial.values[tunable.key] for tunable in tunables}
            gain = worst if trial.gain is None else trial.gain
            study.add_trial(optuna.trial.create_trial(params=told, distributions=distributions, value=gain))
    asked = study.ask(distributions).params
    return {t.key: _rounded(t.domain, asked[t.key]) if isinstance(t.domain, Range) else asked[t.key] for t in tunables}


def _told(trials: Sequence[TunedTrial]) -> list[TunedTrial]:
    older, latest = trials[: -2 * TOLD], trials[-2 * TOLD :]
    scored = [trial for trial in older if trial.gain is not None]
    return [*sorted(scored, key=lambda trial: -(trial.gain or 0.0))[:TOLD], *latest]


def _distribution(domain: Range | Choice) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.options)
    if domain.is_int:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.is_log)
    return FloatDistribution(domain.low, domain.high, log=domain.is_log)
