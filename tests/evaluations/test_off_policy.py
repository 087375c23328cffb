"""Off-policy evaluation: unbiased where it says so, near the truth in the generated world, equal to sb-obp."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluations.off_policy import Rounds, chances, doubly_robust, estimates, ips, snips
from evaluations.world import LoggingPolicy, WorldConfig
from evaluations.world_log import world_after_log
from evolve.errors import UsageError
from tests.evaluations.open_bandit import open_bandit, rates

RECORDED = json.loads((Path(__file__).parent / "oracles" / "off_policy.json").read_text())
ITEMS = 80
seeds = st.integers(0, 2**32 - 1)


def bandit(seed: int, count: int = 4000, actions: int = 6):
    """Rounds of a made-up service: logged by one softmax, to be judged under another. Gives (rounds, truth)."""
    rng = np.random.default_rng(seed)
    worth = rng.random((count, actions)) * 0.6
    old, new = (chances(rng.normal(size=(count, actions))) for _ in range(2))
    shown = (rng.random((count, 1)) > np.cumsum(old, axis=1)).sum(axis=1).clip(max=actions - 1)
    at = np.arange(count), shown
    guess = worth + rng.normal(0.1, 0.1, worth.shape)
    rounds = Rounds(
        reward=(rng.random(count) < worth[at]).astype(float), propensity=old[at], target=new[at],
        predicted=guess[at], expected=(new * guess).sum(axis=1),
    )  # fmt: skip
    return rounds, float((new * worth).sum(axis=1).mean())


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = {"ips": 0, "snips": 0, "doubly robust": 0}
    for seed in range(200):
        rounds, truth = bandit(seed)
        for name, found in estimates(rounds).items():
            low, high = found.interval()
            held[name] += low <= truth <= high
    assert all(count >= 180 for count in held.values())


def test_a_model_narrows_the_estimate_and_a_wrong_one_does_not_bias_it():
    rounds = [bandit(seed) for seed in range(100)]
    assert np.mean([doubly_robust(one).error / ips(one).error for one, _ in rounds]) < 0.95
    assert abs(np.mean([doubly_robust(one).value - truth for one, truth in rounds])) < 0.005


@given(seeds)
def test_the_logging_policy_itself_is_worth_what_it_earned(seed):
    rounds, _ = bandit(seed, 50)
    own = replace(rounds, target=rounds.propensity, predicted=np.zeros(50), expected=np.zeros(50))
    assert all(found.value == pytest.approx(own.reward.mean()) for found in estimates(own).values())
    assert own.effective == pytest.approx(50)


@given(seeds, st.floats(-5, 5))
def test_a_self_normalised_estimate_moves_with_its_rewards(seed, shift):
    rounds, _ = bandit(seed, 60)
    moved = replace(rounds, reward=rounds.reward + shift)
    assert snips(moved).value == pytest.approx(snips(rounds).value + shift)


def test_a_round_that_could_not_have_been_shown_is_refused():
    rounds, _ = bandit(0, 10)
    with pytest.raises(UsageError, match="above 0"):
        replace(rounds, propensity=np.zeros(10))
    with pytest.raises(UsageError, match="one number each"):
        replace(rounds, target=np.zeros(3))


# --- the generated world -----------------------------------------------------------------------------


class _Sharper:
    """The log's ranker, surer of itself; keeps the last day's scores."""

    def __init__(self, base: LoggingPolicy, factor: float) -> None:
        self.base, self.factor = base, factor

    def scores(self, world, users, day, hour, device):
        self.seen = (self.factor * self.base.scores(world, users, day, hour, device)).astype(np.float32)
        return self.seen

    def observe(self, happened):
        pass


def test_the_worlds_true_propensities_foretell_another_rankers_first_places():
    """The first place of each slate is a bandit with exact propensities; the truth comes from other luck."""
    config = WorldConfig(users=4000, first_items=150, items_per_day=2, log_days=5)
    world, logging, _ = world_after_log(config)
    who = world.active()
    hour, device = world._context()
    watched = _Sharper(logging, 1.0)
    day = world.step(watched)
    scores = watched.seen.astype(float)
    sharper = chances(scores * 1.5)
    first = day.position == 0
    shown = (np.arange(len(who)), day.item[first])
    liked = 1.0 / (1.0 + np.exp(-(world.items.rating - 1.0)))
    rounds = Rounds(
        reward=day.click[first].astype(float), propensity=day.propensity[first].astype(float), target=sharper[shown],
        predicted=0.3 * liked[day.item[first]], expected=0.3 * sharper @ liked,
    )  # fmt: skip
    assert rounds.propensity == pytest.approx(chances(scores)[shown], rel=1e-3)
    truth = []
    for seed in range(8):
        twin, same, _ = world_after_log(config)
        twin.config = replace(twin.config, seed=1000 + seed)
        twin.active = lambda: who
        twin._context = lambda: (hour, device)
        lived = twin.step(_Sharper(same, 1.5))
        truth.append(lived.click[lived.position == 0].mean())
    for found in estimates(rounds).values():
        assert abs(found.value - np.mean(truth)) < 3.5 * found.error + 0.005
    assert rounds.effective > 100


# --- the Open Bandit data ----------------------------------------------------------------------------


def uniform_rounds() -> Rounds:
    """Thompson sampling's log, asked what a random choice of 80 items would have earned."""
    log = open_bandit("bts")
    model = rates(log, ITEMS)
    count = len(log["click"])
    return Rounds(
        reward=log["click"], propensity=log["propensity"], target=np.full(count, 1 / ITEMS),
        predicted=model[log["item"]], expected=np.full(count, model.mean()),
    )  # fmt: skip


def test_estimates_on_the_open_bandit_data_are_those_of_sb_obp():
    found = estimates(uniform_rounds())
    for name, value in RECORDED["open_bandit"].items():
        assert found[name].value == pytest.approx(value, rel=1e-9)


def test_what_a_random_choice_earned_lies_in_the_intervals():
    """The data holds the answer: a random policy served the same shop in the same week."""
    truth = open_bandit("random")["click"].mean()
    for found in estimates(uniform_rounds()).values():
        low, high = found.interval(3.0)
        assert low < truth < high


def test_estimates_on_recorded_rounds_are_those_of_sb_obp():
    rounds = Rounds(**{name: np.array(values) for name, values in RECORDED["inputs"].items()})
    for name, value in RECORDED["recorded"].items():
        assert estimates(rounds)[name].value == pytest.approx(value, rel=1e-9)
