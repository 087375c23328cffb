"""Users whose north star is not known yet add information, and never an effect."""

from __future__ import annotations

import numpy as np
import pytest

from evaluations.experiments.augmentation import augmented
from evaluations.experiments.estimates import difference
from evaluations.experiments.moments import moments_of


def arms(seed: int, count: int = 200, early_gain: float = 0.0, late_gain: float = 0.0, correlation: float = 0.6):
    """Challenger and control of `count` experiments, ten cohorts of 200 users: early and mature moments."""
    rng, found = np.random.default_rng(seed), []
    for treated in (1.0, 0.0):
        early = rng.normal(treated * early_gain, 1.0, (count, 10, 200))
        late = correlation * (early - treated * early_gain) + (1 - correlation**2) ** 0.5 * rng.normal(size=early.shape)
        late += treated * late_gain
        found.append((moments_of(early), moments_of(late, early)))
    return (found[0][0], found[1][0]), (found[0][1], found[1][1])


def test_at_the_first_looks_information_grows_and_at_the_last_it_is_the_same():
    early, mature = arms(0)
    found, plain = augmented(early, mature, 10, 8), difference(*mature)
    gain = (found.information / plain.information).mean(axis=0)
    assert gain[0] == pytest.approx(1 / (1 - 0.6**2 * (1 - 1 / 9)), rel=0.05)
    assert gain[-1] == pytest.approx(1.0, abs=0.02) and (np.diff(gain) < 0.02).all()


@pytest.mark.parametrize(("early_gain", "late_gain"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.3), (-0.4, 0.3)])
def test_the_effect_is_the_north_stars_whatever_the_early_metric_does(early_gain, late_gain):
    """A gamed early metric moves nothing."""
    found = augmented(*arms(1, early_gain=early_gain, late_gain=late_gain), 10, 8)
    assert found.effect[:, 0].mean() == pytest.approx(late_gain, abs=0.02)


def test_the_error_is_as_large_as_it_says():
    found = augmented(*arms(2, count=2000), 3, 7)
    z = found.effect / found.standard_error
    assert z.std(axis=0) == pytest.approx(np.ones(3), abs=0.06)


def test_without_users_who_are_known_early_it_is_the_plain_estimate():
    early, mature = arms(3, count=5)
    found, plain = augmented(early, mature, 10, 0), difference(*mature)
    assert found.effect[:, -1] == pytest.approx(plain.effect[:, -1]) and found.users == pytest.approx(plain.users)
