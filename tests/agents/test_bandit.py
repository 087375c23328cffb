"""The bandit's arithmetic, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_space import FLOOR

from agents.bandit import Arm, Trial, parent_belief, prior_sd, ranked_pairs, sample, technique_belief

SD = prior_sd(FLOOR)


def _arm(*deltas: float | None, error: float = 0.002, waiting: int = 0) -> Arm:
    return Arm(trials=[Trial(delta=delta, standard_error=error) for delta in deltas], waiting=waiting)


def test_without_trials_the_prior_stands() -> None:
    """Nothing known: mean zero, the floor's spread."""
    belief = technique_belief(_arm(), SD)
    assert (belief.mean, belief.sd) == (0.0, pytest.approx(SD))


@given(st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=20))
def test_a_belief_is_shrunk_and_grows_surer(deltas: list[float]) -> None:
    """It lies between nothing and the mean of the clipped trials, and another trial makes it narrower."""
    belief = technique_belief(_arm(*deltas), SD)
    mean = float(np.mean([max(delta, -2 * SD) for delta in deltas]))
    assert abs(belief.mean) <= abs(mean) + 1e-12
    assert technique_belief(_arm(*deltas, 0.0), SD).sd < belief.sd < SD


def test_a_failure_counts_as_a_loss() -> None:
    """A technique that broke is believed to be worse than one that changed nothing."""
    assert technique_belief(_arm(None), SD).mean < technique_belief(_arm(0.0), SD).mean < 0.001


def test_candidates_in_flight_lower_their_arm() -> None:
    """So that parallel workers do not all draw the same one."""
    assert technique_belief(_arm(0.01, waiting=2), SD).mean < technique_belief(_arm(0.01), SD).mean
    assert parent_belief(0.01, 0.002, SD, waiting=1).mean < parent_belief(0.01, 0.002, SD).mean


def test_a_noisy_parent_is_shrunk_more_than_a_well_measured_one() -> None:
    """The seed, whose gain is zero by definition, is certain."""
    assert parent_belief(0.02, 0.05, SD).mean < parent_belief(0.02, 0.001, SD).mean < 0.02
    assert parent_belief(0.0, 0.0, SD).sd == 0.0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5), st.lists(st.floats(-1, 1), min_size=1, max_size=5))
def test_pairs_come_once_and_best_first(parents: list[float], techniques: list[float]) -> None:
    """Every pair, by falling sum."""
    pairs = list(ranked_pairs(np.array(parents), np.array(techniques)))
    assert len(set(pairs)) == len(parents) * len(techniques)
    sums = [parents[parent] + techniques[technique] for parent, technique in pairs]
    assert sums == sorted(sums, reverse=True)


def _pulls_until_five(gains: list[float], seed: int) -> int:
    """How many proposals until the best of the arms was proposed five times."""
    rng = np.random.default_rng(seed)
    deltas: list[list[float]] = [[] for _ in gains]
    best, pulls = int(np.argmax(gains)), 0
    while len(deltas[best]) < 5:
        draws = sample([technique_belief(_arm(*known), SD) for known in deltas], rng)
        arm = int(np.argmax(draws))
        deltas[arm].append(gains[arm] + 0.002 * float(rng.standard_normal()))
        pulls += 1
    return pulls


def test_the_paying_technique_is_found_sooner_than_by_chance() -> None:
    """One of ten pays 0.01, four minimum effects' worth of nothing else: five uses of it take chance 50 proposals in
    the mean; the bandit needs less than half as many over 20 seeds."""
    gains = [0.0, -0.01, 0.0, 0.0, 0.01, -0.005, 0.0, -0.01, 0.0, -0.02]
    assert np.mean([_pulls_until_five(gains, seed) for seed in range(20)]) < 25
