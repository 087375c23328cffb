"""How the bandit draws parents."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from toy_space import FLOOR

from agents.bandit import draw_parents, prior_sd

SD = prior_sd(FLOOR)


def _draws(gain: float, error: float, waiting: float = 0.0, count: int = 4000) -> np.ndarray:
    """Many draws of one parent."""
    of = np.ones(count)
    return draw_parents(gain * of, error * of, waiting * of, SD, np.random.default_rng(0))


def test_a_noisy_parent_is_shrunk_more_than_a_well_measured_one() -> None:
    """The best of many measured gains is partly luck."""
    assert _draws(0.02, 0.05).mean() < _draws(0.02, 0.001).mean() < 0.0201


def test_the_seed_is_certain() -> None:
    """Its gain over itself is zero by definition."""
    assert not _draws(0.0, 0.0).any()


def test_children_in_flight_lower_their_parent() -> None:
    """So that parallel workers do not all change the same one."""
    assert _draws(0.01, 0.002, waiting=1).mean() < _draws(0.01, 0.002).mean()


@given(st.floats(-0.1, 0.1), st.floats(0.0, 0.1))
def test_a_draw_lies_within_what_was_measured(gain: float, error: float) -> None:
    """Within six standard errors of the gain or of its shrunk value."""
    draws = _draws(gain, error, count=50)
    assert np.all(draws >= min(gain, 0.0) - 6 * error - 1e-12)
    assert np.all(draws <= max(gain, 0.0) + 6 * error + 1e-12)
