"""Verdicts: paired by user, honest about seeds, silent below the noise floor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evaluations.statistics import SeedVariance, pair, user_means, verdict
from evolve.contracts import Measurement

finite = arrays.arrays(float, 12, elements=st.floats(-1, 1))


def measured(values: np.ndarray, seed: int = 0) -> Measurement:
    return Measurement(
        rung="full", seed=seed, split="search", users=np.arange(len(values)), metrics={"m": values}, observables={},
        compute_s=0.0,
    )  # fmt: skip


def compared(new: np.ndarray, old: np.ndarray, minimum: float = 0.0):
    return verdict(pair([measured(new)], [measured(old)], "m", SeedVariance()), "m", 0.05, minimum)


@given(finite, finite)
def test_swapping_the_two_mirrors_the_effect(new, old):
    one, other = compared(new, old), compared(old, new)
    assert one.effect == pytest.approx(-other.effect) and one.low == pytest.approx(-other.high)


@given(finite, finite, st.permutations(range(12)))
def test_the_order_of_users_changes_nothing(new, old, order):
    assert compared(new[order], old[order]).effect == pytest.approx(compared(new, old).effect)


@given(finite, finite)
def test_never_better_and_below_zero_at_once(new, old):
    found = compared(new, old)
    assert found.decision != "better" or found.low > 0
    assert found.decision != "worse" or found.high < 0


@given(finite)
def test_a_candidate_is_undecided_against_itself(values):
    assert compared(values, values).decision == "undecided"


def test_a_clear_gain_is_better_and_a_clear_loss_is_worse():
    old, gain = np.linspace(0, 1, 50), 0.1 + np.linspace(0, 0.01, 50)
    assert compared(old + gain, old).decision == "better"
    assert compared(old - gain, old).decision == "worse"


def test_an_effect_below_the_floor_is_undecided_however_sure_it_is():
    old = np.linspace(0, 1, 50)
    assert compared(old + 0.001, old, minimum=0.01).decision == "undecided"


def test_users_for_whom_the_metric_is_undefined_are_left_out():
    old = np.array([0.1, 0.2, np.nan, 0.4])
    assert pair([measured(old + 0.1)], [measured(old)], "m", SeedVariance()).users == 3


def test_different_seeds_can_not_be_paired():
    with pytest.raises(ValueError, match="seeds"):
        pair([measured(np.zeros(3), seed=1)], [measured(np.zeros(3), seed=2)], "m", SeedVariance())


def test_user_means_average_over_seeds():
    means = user_means([measured(np.array([0.0, 1.0])), measured(np.array([1.0, 1.0]))], "m")
    assert list(means) == [0.5, 1.0]


def test_two_equal_programs_are_called_better_no_more_often_than_the_level():
    """3 seeds each, seeds as noisy as users: the share of false wins stays at or below one-sided 5 %."""
    rng, wins, trials = np.random.default_rng(0), 0, 2000
    for _ in range(trials):
        taste = rng.normal(size=60)
        floor = SeedVariance().pooled([taste.mean() + rng.normal(0, 0.15) for _ in range(4)])
        runs = [[measured(taste + rng.normal(0, 0.15) + rng.normal(0, 0.5, 60), k) for k in range(3)] for _ in "ab"]
        wins += verdict(pair(*runs, "m", floor), "m", 0.05, 0.0).decision == "better"
    assert wins / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_more_seeds_narrow_the_interval():
    rng = np.random.default_rng(0)
    floor = SeedVariance(variance=0.01, freedom=5)
    one = pair([measured(rng.normal(size=50))], [measured(rng.normal(size=50))], "m", floor)
    new = [measured(rng.normal(size=50), k) for k in range(8)]
    old = [measured(rng.normal(size=50), k) for k in range(8)]
    assert pair(new, old, "m", floor).standard_error < one.standard_error
