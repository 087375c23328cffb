"""What is learned of techniques from steps that change several at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.effects import FAILURE, Effects, Step

SD = 0.01
NAMES = tuple("abcdefgh")


def _effects(*steps: Step) -> Effects:
    effects = Effects(NAMES, SD)
    for step in steps:
        effects.learn(step)
    return effects


def _step(brought: str, delta: float | None, *, displaced: str = "", error: float = 0.002) -> Step:
    return Step(brought=tuple(brought), displaced=tuple(displaced), delta=delta, standard_error=error)


def _draws(effects: Effects, name: str, waiting: dict[str, int] | None = None) -> list[float]:
    return [effects.draw(np.random.default_rng(seed), waiting or {})[name] for seed in range(400)]


def test_without_steps_the_prior_stands() -> None:
    """Nothing known: mean zero, the prior's spread."""
    effects = _effects()
    assert effects.mean() == dict.fromkeys(NAMES, 0.0)
    assert np.std(_draws(effects, "a")) == pytest.approx(SD, rel=0.15)


@given(st.lists(st.floats(-0.05, 0.05), min_size=1, max_size=20))
def test_an_effect_is_shrunk_and_grows_surer(deltas: list[float]) -> None:
    """It lies between nothing and the mean of the clipped steps, and another step makes it narrower."""
    effects = _effects(*(_step("a", delta) for delta in deltas))
    mean = float(np.mean([max(delta, FAILURE * SD) for delta in deltas]))
    assert abs(effects.mean()["a"]) <= abs(mean) + 1e-9
    assert np.std(_draws(effects, "a")) < SD


def test_a_stack_is_told_apart_by_other_stacks() -> None:
    """Three techniques were only ever used in pairs; which of them pays is still found."""
    steps = [_step("ab", 0.02), _step("bc", 0.0), _step("ac", 0.02)] * 4
    mean = _effects(*steps).mean()
    assert mean["a"] > 0.012
    assert abs(mean["b"]) < 0.005
    assert abs(mean["c"]) < 0.005


def test_what_takes_the_place_of_something_good_is_not_blamed_for_it() -> None:
    """`b` gained nothing where it displaced `a`, which is known to be good: so it is as good."""
    mean = _effects(*[_step("a", 0.02)] * 5, _step("b", 0.0, displaced="a")).mean()
    assert mean["b"] > 0.008


def test_a_step_that_broke_counts_as_a_loss_of_what_it_brought() -> None:
    """And says nothing of what it displaced."""
    mean = _effects(_step("a", None, displaced="b")).mean()
    assert mean["a"] < 0.0
    assert mean["b"] == 0.0


def test_steps_in_flight_lower_their_techniques() -> None:
    """So that parallel workers do not all try the same."""
    effects = _effects(_step("a", 0.01))
    assert np.mean(_draws(effects, "a", {"a": 2})) < np.mean(_draws(effects, "a"))


def test_unknown_names_teach_nothing() -> None:
    """Tunings and combinations are no techniques."""
    assert _effects(Step(brought=("tune",), displaced=(), delta=0.5, standard_error=0.0)).mean() == _effects().mean()


def _pulls_until_five(gains: list[float], seed: int) -> int:
    """How many steps until the best of the techniques was used five times."""
    rng, effects = np.random.default_rng(seed), Effects([str(i) for i in range(len(gains))], SD)
    best, used, pulls = int(np.argmax(gains)), 0, 0
    while used < 5:
        draw = effects.draw(rng, {})
        arm = max(range(len(gains)), key=lambda i: draw[str(i)])
        delta = gains[arm] + 0.002 * float(rng.standard_normal())
        effects.learn(Step(brought=(str(arm),), displaced=(), delta=delta, standard_error=0.002))
        used += arm == best
        pulls += 1
    return pulls


def test_the_paying_technique_is_found_sooner_than_by_chance() -> None:
    """One of ten pays: five uses of it take chance 50 steps in the mean; this takes less than half as many."""
    gains = [0.0, -0.01, 0.0, 0.0, 0.01, -0.005, 0.0, -0.01, 0.0, -0.02]
    assert np.mean([_pulls_until_five(gains, seed) for seed in range(20)]) < 25
