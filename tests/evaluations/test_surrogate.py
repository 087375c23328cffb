"""The surrogate: what finished experiments teach of proxies, honestly from few of them, and when a proxy has turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from evaluations.experiments.calibration import ANYBODY, Trust, calibrate
from evaluations.experiments.goodhart import EVERY, watch
from evaluations.experiments.lesson_table import NORTH_STAR, Lesson, Reading, corrected, tabulate, units_of
from evaluations.experiments.queueing import Traffic, gain_per_day, ordered
from evaluations.experiments.surrogate import LEVEL, Forecast, learn
from evaluations.experiments.turns import PRIORS, followed, kinds

SLOPES = {"architecture": 0.5, "reward": 0.25}
TRAFFIC = Traffic(information=4000.0, alpha=0.01)


def history(seed: int, count: int, turn: int | None = None, slopes: dict[str, float] = SLOPES, shared: float = 0.0):
    """Experiments of a service where watching foretells return and clicks do not; after `turn` it is the reverse.
    Gives (true effects, lessons)."""
    rng = np.random.default_rng(seed)
    truths, lessons = [], []
    for number in range(count):
        persona = list(slopes)[number % len(slopes)]
        sign = 1.0 if turn is None or number < turn else -1.0
        watched, clicked = rng.normal(0.0, [0.03, 0.05])
        truth = sign * slopes[persona] * watched + rng.normal(0.0, 0.003)
        noise = rng.multivariate_normal([0, 0], [[1, shared], [shared, 1]])
        proxies = {
            "watch": Reading(value=watched + 0.01 * noise[0], error=0.01),
            "clicks": Reading(value=clicked + rng.normal(0, 0.01), error=0.01),
        }
        north_star = Reading(value=truth + 0.006 * noise[1], error=0.006)
        both = {(NORTH_STAR, "watch"): shared}
        truths.append(truth)
        lessons.append(
            Lesson(name=f"{number:04}", persona=persona, proxies=proxies, north_star=north_star, shared=both)
        )
    return np.array(truths), lessons


def foretold(model, lessons) -> list[Forecast]:
    return [model.forecast(lesson.persona, lesson.proxies) for lesson in lessons]


def test_from_a_hundred_experiments_the_north_star_is_foretold():
    _, past = history(1, 100)
    truth, new = history(2, 200)
    means = [one.mean for one in foretold(learn(past), new)]
    assert np.corrcoef(means, truth)[0, 1] > 0.8


@pytest.mark.parametrize("count", [3, 8, 20, 100])
def test_intervals_hold_the_truth_however_few_experiments_taught_them(count):
    held = []
    for seed in range(30):
        _, past = history(seed, count)
        truth, new = history(1000 + seed, 40)
        ends = np.array([one.interval() for one in foretold(learn(past), new)])
        held.append(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean())
    assert np.mean(held) > 0.9


def test_each_persona_has_its_own_slope_and_a_stranger_the_shared_one():
    model = learn(history(3, 200)[1])
    found = {persona: model.slope(persona, "watch") for persona in (*SLOPES, "kernel")}
    assert found["architecture"].mean == pytest.approx(0.5, abs=0.08)
    assert found["reward"].mean == pytest.approx(0.25, abs=0.08)
    assert found["reward"].mean < found["kernel"].mean < found["architecture"].mean
    assert found["kernel"].sd > found["reward"].sd


def test_errors_that_proxy_and_north_star_share_are_no_slope():
    """The proxy's true changes do nothing here; its errors are the north star's."""
    _, past = history(4, 300, slopes={"any": 0.0}, shared=0.9)
    slope = learn(past).slope("any", "watch")
    low, high = slope.interval()
    assert low < 0.0 < high and abs(slope.mean) < 0.03
    blind = learn([replace(lesson, shared={}) for lesson in past]).slope("any", "watch")
    assert blind.mean > 2 * abs(slope.mean)


@given(st.randoms(use_true_random=False), st.integers(0, 12))
@settings(max_examples=15)
def test_the_order_of_lessons_does_not_matter(rng, count):
    _, lessons = history(5, count)
    shuffled = list(lessons)
    rng.shuffle(shuffled)
    one, other = learn(lessons), learn(shuffled)
    new = history(6, 1)[1][0]
    assert one.promise(new) == other.promise(new)


@given(st.floats(1e-3, 1e3), st.integers(2, 15))
@settings(max_examples=15)
def test_the_unit_of_a_proxy_does_not_matter(factor, count):
    def scaled(lesson: Lesson) -> Lesson:
        watched = lesson.proxies["watch"]
        other = Reading(value=watched.value * factor, error=watched.error * factor)
        return replace(lesson, proxies={**lesson.proxies, "watch": other})

    _, lessons = history(7, count)
    new = history(8, 1)[1][0]
    one, other = learn(lessons).promise(new), learn([scaled(x) for x in lessons]).promise(scaled(new))
    assert other.mean == pytest.approx(one.mean, rel=1e-6, abs=1e-12) and other.sd == pytest.approx(one.sd, rel=1e-6)


def test_without_a_lesson_everything_is_possible_and_nothing_is_expected():
    found = learn([]).forecast("any", {"watch": Reading(value=0.1, error=0.01)})
    assert found.mean == 0.0 and 0.003 < found.sd < 0.03


def test_a_proxy_that_was_not_measured_leaves_the_forecast_wide():
    model, new = learn(history(9, 100)[1]), history(10, 1)[1][0]
    assert model.forecast("reward", {}).sd > model.forecast("reward", new.proxies).sd


# --- the queue ---------------------------------------------------------------------------------------


@given(st.floats(-0.03, 0.03), st.floats(0.0005, 0.03), st.floats(0.0001, 0.01))
def test_more_is_never_worth_less(mean, sd, more):
    assert gain_per_day(Forecast(mean=mean + more, sd=sd), TRAFFIC) >= gain_per_day(
        Forecast(mean=mean, sd=sd), TRAFFIC
    ) * (1 - 1e-6)


def test_of_two_that_promise_the_same_the_uncertain_one_goes_first():
    """Below the level at which a gain is found, only luck that is not yet known can pay."""
    found = ordered({"sure": Forecast(mean=0.0, sd=0.001), "unsure": Forecast(mean=0.0, sd=0.02)}, TRAFFIC)
    assert found == ["unsure", "sure"]


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_exploring_keeps_everybody_in_the_queue(seed, explore):
    forecasts = {str(k): Forecast(mean=0.001 * k, sd=0.01) for k in range(8)}
    found = ordered(forecasts, TRAFFIC, np.random.default_rng(seed), explore)
    assert sorted(found) == sorted(forecasts)


# --- Goodhart ----------------------------------------------------------------------------------------


def test_a_slope_that_turns_is_found_within_a_dozen_experiments_in_the_median():
    found = [watch(history(seed, 100, turn=40)[1]) for seed in range(20)]
    waits = [alarms[0].lesson - 39 if alarms else 61 for alarms in found]
    early = sum(wait <= 0 for wait in waits)
    assert np.median(waits) <= 12 and early <= 20 * 40 / EVERY


def test_slopes_that_hold_are_seldom_doubted():
    assert sum(bool(watch(history(seed, 100)[1])) for seed in range(40)) <= 40 * 100 / EVERY


def test_a_proxy_that_never_told_anything_is_not_doubted_for_long_silence():
    """The sum over all possible turns grows with every experiment, even where none is likelier than another."""
    assert watch(history(0, 60, slopes={"any": 0.0})[1], every=20) == ()


def test_of_two_proxies_that_tell_the_truth_the_one_that_turns_is_demoted():
    named = [{alarm.proxy for alarm in watch(of_two(seed, turn=40))} for seed in range(10)]
    assert sum(names == {"likes"} for names in named) >= 8


def of_two(seed: int, turn: int) -> list[Lesson]:
    """Watching and likes both foretell return; after `turn` likes foretell the reverse."""
    rng, lessons = np.random.default_rng(seed), []
    for number in range(80):
        watched, liked = rng.normal(0.0, 0.03, 2)
        truth = 0.5 * watched + (0.5 if number < turn else -0.5) * liked
        proxies = {
            name: Reading(value=value + rng.normal(0, 0.01), error=0.01)
            for name, value in (("watch", watched), ("likes", liked))
        }
        north_star = Reading(value=truth + rng.normal(0, 0.006), error=0.006)
        lessons.append(Lesson(name=f"{number:04}", persona="any", proxies=proxies, north_star=north_star))
    return lessons


def test_a_history_that_goes_on_repeats_its_alarms():
    whole = history(11, 100, turn=50)[1]
    found = watch(whole)
    assert found and watch(whole[: found[0].lesson]) == () and watch(whole[: found[0].lesson + 1]) == found[:1]


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_the_evidence_for_a_turn_is_that_of_the_whole_normal_model(seed, proxies):
    """One lesson after the other, or all at once: y is normal with the covariance that prior, rows and noise give."""
    names, rng = [f"proxy {k}" for k in range(proxies)], np.random.default_rng(seed)
    lessons = [
        Lesson(
            name=str(k), persona="any", north_star=Reading(value=rng.normal(0, 0.01), error=0.004),
            proxies={name: Reading(value=rng.normal(0, 0.02), error=0.005) for name in names},
        )
        for k in range(6)
    ]  # fmt: skip
    table, slopes = tabulate(lessons, units_of(lessons, tuple(names))), rng.normal(0, 0.5, proxies)
    *_, last = followed(table, slopes, least=3)
    rows, targets, _ = corrected(table, slopes)
    for turn, (kind, begun) in enumerate(zip(last.kind, last.begun, strict=True)):
        kept = kinds(proxies)[kind]
        turned = np.where((np.arange(6) >= begun)[:, None], np.append(1.0, kept), 1.0) * rows
        noise = np.where(np.arange(6) >= begun, corrected(table, slopes * kept)[2], corrected(table, slopes)[2])
        for prior, (shrink, rest) in enumerate(PRIORS):
            spread = np.diag([LEVEL**2, *[shrink**2] * proxies])
            whole = turned @ spread @ turned.T + np.diag(noise + rest**2)
            expected = multivariate_normal(np.zeros(6), whole).logpdf(targets) + 3 * np.log(2 * np.pi)
            assert last.evidence[turn, prior] == pytest.approx(expected)


def test_the_offline_agent_is_told_what_turned_and_the_surrogate_forgets_it():
    found = calibrate(history(11, 100, turn=50)[1])
    assert [alarm.proxy for alarm in found.alarms] == ["watch"] and "watch" not in found.surrogate.names
    assert "watch is demoted" in found.lines[0] and "went the other way" in found.lines[0]
    assert all(row.trust is Trust.DEMOTED for row in found.rows if row.proxy == "watch")
    assert found.thresholds == {}


def test_a_proxy_that_never_told_the_truth_is_said_to_mislead():
    found = calibrate(history(12, 60, turn=0)[1])
    row = next(row for row in found.rows if (row.proxy, row.persona) == ("watch", ANYBODY))
    assert row.trust is Trust.MISLEADING and "misleads" in found.lines[0]


# --- calibration -------------------------------------------------------------------------------------


def test_a_table_has_every_proxy_for_all_and_for_each_persona():
    found = calibrate(history(13, 80)[1])
    assert [(row.proxy, row.persona) for row in found.rows] == [
        (proxy, persona) for proxy in ("clicks", "watch") for persona in (ANYBODY, *sorted(SLOPES))
    ]
    trust = {row.proxy: row.trust for row in found.rows if row.persona == ANYBODY}
    assert trust == {"clicks": Trust.UNKNOWN, "watch": Trust.TRUSTED}
    assert abs(found.thresholds["watch"]) < 0.02
    assert all(row.low <= row.slope <= row.high for row in found.rows)


def test_nothing_finished_gives_an_empty_table():
    found = calibrate([])
    assert found.rows == () and found.lines == () and found.thresholds == {}
