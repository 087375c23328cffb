"""Our statistics against independent libraries, on recorded data (`oracles/record.py` wrote their answers down)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluations.experiments.budget import discoveries, together
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.evidence import (
    Bet,
    best_precision,
    half_width,
    interval,
    log_evidence,
    log_two_sided,
)
from evaluations.experiments.moments import Moments, moments_of, theta_of

RECORDED = json.loads((Path(__file__).parent / "oracles" / "recorded.json").read_text())
GIVEN = {name: np.array(values) for name, values in RECORDED["inputs"].items()}
SAME = {"rel": 1e-9, "abs": 1e-12}


def arms(second: str = "x", theta: float = 0.0) -> Estimate:
    both = [moments_of(GIVEN["y"][k][None], GIVEN[second][k][None]).adjusted(theta) for k in (1, 0)]
    return difference(*both)


def stream() -> Estimate:
    """The mean of the first t standard normals, at each t: its information is t."""
    t = np.arange(1.0, len(GIVEN["stream"]) + 1)
    return Estimate(effect=np.cumsum(GIVEN["stream"]) / t, information=t, users=t)


def test_the_slope_on_the_covariate_is_that_of_statsmodels_and_gbstats():
    """gbstats pools both arms around one mean, as ours does; so does ordinary least squares."""
    past = moments_of(GIVEN["y"].reshape(1, -1), GIVEN["x"].reshape(1, -1))
    assert theta_of(past) == pytest.approx(RECORDED["statsmodels"]["theta"], **SAME)
    assert theta_of(past) == pytest.approx(RECORDED["gbstats"]["theta"], **SAME)


@pytest.mark.parametrize("kind", ["plain", "adjusted"])
def test_effect_variance_interval_and_e_value_are_those_of_gbstats(kind):
    """Their precision is per user of both arms and moves with the data; here it is given in ours."""
    theirs = RECORDED["gbstats"][kind]
    found = arms(theta=RECORDED["gbstats"]["theta"] if kind == "adjusted" else 0.0)
    assert found.effect[0] == pytest.approx(theirs["effect"], **SAME)
    assert 1 / found.information[0] == pytest.approx(theirs["variance"], **SAME)
    precision = found.information[0] / (800 * theirs["rho"] ** 2)
    low, high = interval(found, 0.05, precision)
    assert (low[0], high[0]) == pytest.approx((theirs["low"], theirs["high"]), **SAME)
    assert np.exp(-log_two_sided(found, precision)[0]) == pytest.approx(theirs["p"], **SAME)


def test_the_variance_of_a_ratio_is_that_of_gbstats_where_the_ratio_is_the_arms_own():
    y, visits = GIVEN["y"], GIVEN["visits"]
    for arm in (0, 1):
        ratio, denominator = y[arm].sum() / visits[arm].sum(), visits[arm].mean()
        own = moments_of(y[arm][None], visits[arm][None]).linearised(ratio, denominator)
        assert own.squares[0] / 399 == pytest.approx(RECORDED["gbstats"]["ratio_variances"][arm], **SAME)


def test_the_fixed_interval_is_that_of_spotify_confidence_and_statsmodels():
    found = arms()
    theirs = RECORDED["spotify_confidence"]
    assert found.effect[0] == pytest.approx(theirs["effect"], **SAME)
    half = 1.959963984540054 * found.standard_error[0]
    assert found.effect[0] - half == pytest.approx(theirs["low"], **SAME)
    assert found.effect[0] == pytest.approx(RECORDED["statsmodels"]["middle"], **SAME)


def test_the_two_sided_e_value_is_that_of_ville():
    assert log_two_sided(stream(), 0.3**-2) == pytest.approx(RECORDED["ville"]["log_e"], **SAME)


def test_the_confidence_sequence_is_that_of_ville_and_its_precision_is_as_good():
    """ville searches the best precision numerically, ours solves for it: the widths agree to the search's error."""
    theirs = RECORDED["ville"]
    same = half_width(stream().information, 0.05, theirs["precision"])
    assert same == pytest.approx(theirs["half_width"], **SAME)
    ours = half_width(np.array([100.0]), 0.05, best_precision(100.0, 0.05))[0]
    assert ours <= theirs["half_width"][99] + 1e-12
    assert best_precision(100.0, 0.05) == pytest.approx(theirs["precision"], rel=1e-3)


def test_the_one_sided_e_value_is_one_over_alpha_on_the_boundary_of_ville():
    theirs = RECORDED["ville"]
    times, scores = np.array(theirs["times"]), np.array(theirs["one_sided_boundary"])
    found = log_evidence(Estimate(effect=scores / times, information=times, users=times), Bet(mean=0.0, sd=0.2))
    assert found == pytest.approx(np.full(4, np.log(100.0)), **SAME)


def test_discoveries_are_those_of_online_fdr():
    theirs = RECORDED["online_fdr"]
    assert discoveries(list(GIVEN["e_values"]), 0.1, theirs["weights"]) == theirs["found"]
    assert sum(theirs["found"]) > 2


def test_discoveries_at_once_are_those_of_online_fdr_and_ville():
    ours = together(GIVEN["e_values"], 0.1).tolist()
    assert ours == RECORDED["online_fdr"]["together"] == RECORDED["ville"]["together"]
    assert sum(ours) > 2


def test_not_worse_is_decided_as_spotify_confidence_decides():
    """At a 5 % margin of the control's mean, with its fixed-horizon one-sided bound."""
    found, margin = arms(), 0.05 * GIVEN["y"][0].mean()
    bound = found.effect[0] - 1.6448536269514722 * found.standard_error[0]
    assert (bound > -margin) == RECORDED["spotify_confidence"]["not_worse_by_5_percent"]


def test_recorded_moments_are_all_that_is_needed():
    """Cutting the users into cohorts and adding them up again changes nothing."""
    parts = [moments_of(GIVEN["y"][0][half][None]) for half in (slice(0, 150), slice(150, 400))]
    whole = parts[0] + parts[1]
    assert isinstance(whole, Moments)
    assert whole.squares == pytest.approx(moments_of(GIVEN["y"][0][None]).squares, **SAME)
