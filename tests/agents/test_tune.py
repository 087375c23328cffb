"""What is proposed for tunables, told what was tried."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.tunables import find
from agents.tune import TunedTrial, suggestions
from evolve.contracts import TunableValue

TUNABLES = find(
    {
        "a.py": "RATE = 0.5  # tunable: 1e-4 .. 1.0 log\nWIDTH = 64  # tunable: 16 .. 256 log int\n"
        'KIND = "a"  # tunable: a | b\nDROP = 0.1  # tunable: 0.0 .. 0.5\n'
    }
).tunables
START: dict[str, TunableValue] = {tunable.key: tunable.value for tunable in TUNABLES}


def _gain(values: dict[str, TunableValue]) -> float:
    """Best at RATE = 0.01 and KIND = b."""
    return -abs(math.log10(float(values["a.py::RATE"])) + 2.0) + (0.5 if values["a.py::KIND"] == "b" else 0.0)


def _search(seed: int, trials: int) -> list[TunedTrial]:
    told = [TunedTrial(values=START, gain=_gain(START))]
    for number in range(trials):
        rng = np.random.default_rng([seed, number])
        values = next(suggestions(TUNABLES, told, {}, rng))
        told.append(TunedTrial(values=values, gain=_gain(values)))
    return told


@given(st.integers(0, 50), st.integers(0, 8))
def test_suggestions_are_admitted_and_reproducible(seed: int, trials: int) -> None:
    """Each value lies in its declaration, and the same trials and seed give the same suggestions."""
    told = _search(seed, trials)
    made = [list(suggestions(TUNABLES, told, {}, np.random.default_rng(seed))) for _ in range(2)]
    assert made[0] == made[1]
    assert all(tunable.domain.admits(values[tunable.key]) for values in made[0] for tunable in TUNABLES)


def test_what_the_parent_inherited_is_tried_first() -> None:
    """The warm start comes before anything drawn; values of other keys and out of range are passed over."""
    inherited = {"a.py::RATE": 0.01, "a.py::WIDTH": 4, "z.py::X": 1}
    first = next(suggestions(TUNABLES, [TunedTrial(values=START, gain=0.0)], inherited, np.random.default_rng(0)))
    assert first == {**START, "a.py::RATE": 0.01}


def test_with_few_trials_a_step_stays_near_the_best() -> None:
    """At most three tunables move, from the best known values and not from the candidate's own."""
    best = {**START, "a.py::RATE": 0.02}
    told = [TunedTrial(values=START, gain=0.0), TunedTrial(values=best, gain=0.1), TunedTrial(values=START, gain=None)]
    for values in suggestions(TUNABLES, told, {}, np.random.default_rng(1)):
        assert 1 <= sum(values[key] != best[key] for key in best) <= 3


def test_fifteen_trials_find_better_numbers_than_random_draws() -> None:
    """Mean over ten seeds: nearer the optimum than the best of fifteen uniform draws, and than the start."""
    ours = [max(t.gain or 0.0 for t in _search(seed, 15) if t.gain is not None) for seed in range(10)]
    chance = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        draws = [(10 ** rng.uniform(-4, 0), "ab"[rng.integers(2)]) for _ in range(15)]
        chance.append(max(_gain({"a.py::RATE": rate, "a.py::KIND": kind}) for rate, kind in draws))
    assert np.mean(ours) > np.mean(chance)
    assert np.mean(ours) > 0.3
