"""Experiments that don't lie: evidence that may be looked at daily, rules with reasons, effects without hindsight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from evaluations.experiments.budget import Season, discoveries, together
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.evidence import (
    Bet,
    best_precision,
    ever,
    half_width,
    interval,
    log_evidence,
    log_mismatch,
    log_two_sided,
)
from evaluations.experiments.moments import Moments, moments_of, theta_of
from evaluations.experiments.rules import Plan, decide
from evaluations.experiments.shrinkage import vague
from evolve.contracts import Action

PLAN = Plan(bet=Bet(mean=0.01, sd=0.01))
reals = st.floats(-3, 3)


def seen(effect: float, information: float, looks: int = 10, users: float = 10_000.0) -> Estimate:
    """An experiment that gathered its information evenly and saw one effect all along."""
    steps = np.arange(1.0, looks + 1) / looks
    return Estimate(effect=np.full(looks, effect), information=information * steps, users=users * steps)


def walk(rng: np.random.Generator, shape: tuple[int, ...], drift: float = 0.0) -> Estimate:
    """Brownian scores that gather information 1 a look."""
    score = np.cumsum(rng.normal(drift, 1.0, shape), axis=-1)
    information = np.broadcast_to(np.arange(1.0, shape[-1] + 1), shape)
    return Estimate(effect=score / information, information=information, users=1000 * information)


def drawn(rng: np.random.Generator, users: tuple[int, ...], gain: float = 0.0) -> Moments:
    x = rng.normal(5, 1, users)
    return moments_of(0.8 * x + rng.normal(gain, 1, users), x)


# --- moments and estimates ---------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_sums_of_disjoint_users_add_up(seed, cut):
    values = np.random.default_rng(seed).normal(size=(2, 12))
    parts = moments_of(values[:, :cut]) + moments_of(values[:, cut:])
    assert parts.yy == pytest.approx(moments_of(values).yy) and parts.n == pytest.approx(moments_of(values).n)


@given(st.integers(0, 2**32 - 1))
def test_swapping_the_arms_mirrors_the_effect(seed):
    rng = np.random.default_rng(seed)
    one, other = drawn(rng, (3, 20)), drawn(rng, (3, 20))
    there, back = difference(one, other), difference(other, one)
    assert there.effect == pytest.approx(-back.effect) and there.information == pytest.approx(back.information)


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
def test_what_all_users_of_a_day_share_cancels(seed, weekday):
    """A busy day on which the challenger has most of the traffic moves no effect: cohorts are strata."""
    rng = np.random.default_rng(seed)
    y = [[rng.normal(size=30), rng.normal(size=10)], [rng.normal(size=10), rng.normal(size=30)]]

    def effect(extra: float) -> float:
        arms = []
        for cohorts in y:
            parts = [moments_of(cohorts[0]), moments_of(cohorts[1] + extra)]
            arms.append(Moments(**{k: np.array([getattr(p, k) for p in parts]) for k in Moments.__slots__}))
        return float(difference(*arms).effect[-1])

    assert effect(weekday) == pytest.approx(effect(0.0), abs=1e-9)


def test_one_cohort_gives_the_two_sample_difference():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 50), rng.normal(0, 2, 80)
    found = difference(moments_of(a[None]), moments_of(b[None]))
    assert found.effect[0] == pytest.approx(a.mean() - b.mean())
    assert found.standard_error[0] == pytest.approx(np.sqrt(a.var(ddof=1) / 50 + b.var(ddof=1) / 80))


def test_the_past_takes_its_part_out_of_the_variance():
    """With correlation r between metric and covariate, information grows by 1 / (1 - r^2)."""
    rng = np.random.default_rng(1)
    theta = theta_of(drawn(rng, (1, 100_000)))
    one, other = drawn(rng, (1, 50_000)), drawn(rng, (1, 50_000))
    gained = difference(one.adjusted(theta), other.adjusted(theta)).information / difference(one, other).information
    assert gained[0] == pytest.approx(1 / (1 - 0.8**2 / (0.8**2 + 1)), rel=0.03)


def test_a_ratio_is_a_mean_of_linearised_users():
    rng = np.random.default_rng(2)
    visits = rng.poisson(4, (2, 200_000)) + 1.0
    watched = visits * rng.gamma(2, 1, visits.shape) * np.array([[1.0], [1.02]])
    base, new = (moments_of(watched[k][None], visits[k][None]).linearised(2.0, 5.0) for k in (0, 1))
    ratios = watched.sum(axis=1) / visits.sum(axis=1)
    assert difference(new, base).effect[0] == pytest.approx(ratios[1] - ratios[0], abs=0.002)


def test_a_cohort_without_users_in_an_arm_says_nothing():
    one, other = drawn(np.random.default_rng(3), (2, 9)), drawn(np.random.default_rng(4), (2, 9))
    empty = Moments(**{k: getattr(other, k) * np.array([1.0, 0.0]) for k in Moments.__slots__})
    found = difference(one, empty)
    assert found.effect[1] == found.effect[0] and found.information[1] == found.information[0]


# --- evidence ------------------------------------------------------------------------------------


@given(st.floats(-4, 6), st.floats(1e3, 1e6), st.floats(0, 0.03), st.floats(0.002, 0.03))
@settings(max_examples=60)
def test_the_e_value_is_the_likelihood_ratio_averaged_over_the_bet(z, information, mean, sd):
    """The closed form equals the integral that it stands for."""
    effect = z / np.sqrt(information)
    gains = np.linspace(0.0, max(effect, mean, 0.0) + 8 * sd + 8 / np.sqrt(information), 200_001)
    ratio = np.exp(gains * effect * information - gains**2 * information / 2 - z**2 / 2)
    density = stats.norm.pdf(gains, mean, sd) / stats.norm.sf(0, mean, sd)
    found = log_evidence(seen(effect, information, looks=1), Bet(mean=mean, sd=sd))[-1]
    assert found == pytest.approx(np.log(integrate.simpson(ratio * density, x=gains)) + z**2 / 2, abs=1e-5)


@given(reals, reals, st.floats(0.1, 1e4))
def test_a_greater_effect_is_never_weaker_evidence(one, other, information):
    low, high = sorted((one, other))
    bet = Bet(mean=0.5, sd=0.5)
    assert log_evidence(seen(low, information), bet)[-1] <= log_evidence(seen(high, information), bet)[-1] + 1e-9


@given(st.floats(0.001, 0.2), st.floats(0.01, 100), st.floats(0.1, 1e5))
def test_the_interval_holds_what_the_two_sided_evidence_does_not_refuse(alpha, precision, information):
    half = half_width(np.array([information]), alpha, precision)[0]
    edge = Estimate(effect=np.array([half]), information=np.array([information]), users=np.array([1.0]))
    assert log_two_sided(edge, precision)[0] == pytest.approx(-np.log(alpha), rel=1e-6)


@given(st.floats(1e-6, 0.2), st.floats(1, 1e6))
def test_no_other_precision_is_narrower(alpha, information):
    best = best_precision(information, alpha)
    widths = [half_width(np.array([information]), alpha, best * factor)[0] for factor in (0.8, 1.0, 1.25)]
    assert widths[1] <= min(widths)


@pytest.mark.parametrize("drift", [0.0, -0.05])
def test_evidence_for_a_gain_that_is_not_there_is_rare_at_every_look_together(drift):
    """4,000 experiments, 200 looks each: the share that ever reaches 1 / .05 keeps the level."""
    found = ever(log_evidence(walk(np.random.default_rng(5), (4000, 200), drift), Bet(mean=0.1, sd=0.1)), 0.05)
    assert found[:, -1].mean() < 0.05


def test_the_interval_holds_the_truth_at_every_look_together():
    estimate = walk(np.random.default_rng(6), (4000, 200), 0.1)
    low, high = interval(estimate, 0.05, best_precision(100.0, 0.05))
    assert ((low > 0.1) | (high < 0.1)).any(axis=1).mean() < 0.05


def test_a_peeking_z_test_breaks_the_same_level():
    """The gate above bites: the naive rule fails it by far."""
    estimate = walk(np.random.default_rng(5), (4000, 200))
    assert (estimate.effect / estimate.standard_error > 1.645).any(axis=1).mean() > 0.25


def test_an_even_split_is_not_suspected_and_an_uneven_one_is():
    rng, shares = np.random.default_rng(7), np.array([0.5, 0.5])

    def suspected(share: float) -> float:
        treated = np.cumsum(rng.binomial(4000, share, (2000, 28)), axis=1).astype(float)
        counts = np.stack([4000.0 * np.arange(1, 29) - treated, treated], axis=-1)
        return float(ever(log_mismatch(counts, shares), 0.001)[:, 6].mean())

    assert suspected(0.5) < 0.002 and suspected(0.52) > 0.9


# --- the campaign's budget -------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0.01, 0.3))
def test_a_seasons_levels_are_those_of_discoveries_with_equal_weights(values, level):
    season, found = Season(level=level, tests=40), []
    for value in values:
        found.append(value * season.alpha(sum(found)) >= 1)
    weights = [1 / 40] * len(values)
    assert sum(found) == pytest.approx(sum(discoveries(values, level, weights)), abs=0)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=30), st.floats(0.01, 0.3))
def test_a_greater_e_value_is_never_left_out(values, level):
    e_values = np.array(values)
    found = together(e_values, level)
    assert not found.any() or e_values[found].min() >= e_values[~found].max(initial=0.0)


# --- rules -------------------------------------------------------------------------------------------


def decision(north_star: Estimate, plan: Plan = PLAN, mismatch: float = 0.0, **guardrails: Estimate):
    return decide(north_star, guardrails, mismatch, plan, 0.01)


def test_a_clear_gain_is_promoted_with_its_numbers():
    found = decision(seen(0.02, 60_000))
    assert found.action is Action.PROMOTE and found.low > 0 and found.log_e > np.log(100)


def test_a_gain_on_the_first_day_is_not_promoted_yet():
    assert decision(seen(0.2, 60_000, looks=2)).action is Action.EXTEND


def test_no_gain_is_dropped_as_futile_and_a_small_one_waits():
    assert "out of sight" in decision(seen(-0.002, 60_000)).reason
    assert decision(seen(0.008, 20_000)).action is Action.EXTEND


def test_the_last_cohort_ends_an_undecided_experiment():
    assert decision(seen(0.008, 20_000, looks=28)).action is Action.DROP


def test_harm_rolls_back_whatever_the_north_star_says():
    found = decision(seen(0.02, 60_000), latency=seen(-0.03, 60_000))
    assert found.action is Action.ROLL_BACK and "latency" in found.reason


def test_a_mismatch_of_the_split_is_quarantined_however_great_the_gain():
    assert decision(seen(0.05, 90_000), mismatch=8.0).action is Action.QUARANTINE


def test_a_guardrail_that_is_not_shown_to_be_safe_holds_a_promotion_back():
    plan = Plan(bet=PLAN.bet, margins={"revenue": 0.01})
    unsure, safe = seen(-0.004, 20_000), seen(0.0, 2_000_000)
    assert decision(seen(0.02, 60_000), plan, revenue=unsure).action is Action.EXTEND
    assert decision(seen(0.02, 60_000), plan, revenue=safe).action is Action.PROMOTE


def test_an_experiment_without_a_complete_cohort_goes_on():
    nothing = Estimate(effect=np.zeros(0), information=np.zeros(0), users=np.zeros(0))
    assert decision(nothing).action is Action.EXTEND


@given(st.floats(-0.1, 0.1), st.just(0.0) | st.floats(1, 1e6), st.integers(0, 40), st.floats(-5, 20))
def test_nothing_is_promoted_without_its_evidence(effect, information, looks, mismatch):
    found = decision(seen(effect, information, looks=looks), mismatch=mismatch)
    if found.action is Action.PROMOTE:
        assert found.log_e >= np.log(100) and mismatch < np.log(1000) and looks >= PLAN.least_cohorts


# --- effects without hindsight -----------------------------------------------------------------------


def test_effects_of_winners_are_shrunk_to_what_they_are():
    """3,000 experiments of which one in ten is a gain: the winners' raw sum is too high, the shrunk one is not."""
    rng = np.random.default_rng(8)
    truth = np.where(rng.random(3000) < 0.1, rng.uniform(0.005, 0.03, 3000), 0.0)
    information = np.full(3000, 1 / 0.005**2)
    estimate = Estimate(effect=rng.normal(truth, 0.005), information=information, users=information)
    won = estimate.effect / 0.005 > 2.0
    shrunk = vague().learned(estimate).mean(estimate)
    assert estimate.effect[won].sum() / truth[won].sum() > 1.15
    assert shrunk[won].sum() / truth[won].sum() == pytest.approx(1.0, abs=0.08)


@given(st.floats(-0.03, 0.03), st.floats(1e3, 1e6))
def test_a_shrunk_effect_lies_in_its_interval(effect, information):
    estimate = Estimate(effect=np.array([effect]), information=np.array([information]), users=np.array([1.0]))
    low, high = vague().interval(estimate)
    assert low[0] <= vague().mean(estimate)[0] <= high[0]


def test_what_is_learned_stays_a_distribution():
    effect = np.linspace(-0.01, 0.02, 20)
    learned = vague().learned(Estimate(effect=effect, information=np.full(20, 1e5), users=np.ones(20)))
    assert learned.weights.sum() == pytest.approx(1.0) and (learned.weights >= 0).all()
