"""The video_ranking task: no label travels, metrics are what they say, splits never meet."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from evaluations.ranking_metrics import auc_by_user, calibration_by_user, rank_correlation_by_user, ranks_within
from evaluations.video_ranking import CUT, METRICS, WINDOWS, VideoRanking, first_of_neighbours
from evaluations.video_ranking_features import DENSE, build_features
from evaluations.world import WorldConfig
from evaluations.world_log import Log, generate_log

CONFIG = WorldConfig(users=300, first_items=150, items_per_day=2)
LABELS = {
    "click",
    "watch_s",
    "like",
    "share",
    "skip",
    "returned",
    "returned_known",
    "long_watch",
    "position",
    "propensity",
}


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> VideoRanking:
    return VideoRanking(tmp_path_factory.mktemp("cache"), CONFIG)


def _answers(task: VideoRanking, split: str, rung: str, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(batch.shape, dtype=np.float32) for batch in task.batches(split, rung)]


rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.booleans()), min_size=1, max_size=60)


@given(rows)
def test_ranks_within_are_average_ranks_of_each_owner(entries) -> None:
    """They agree with scipy's average ranks, owner by owner."""
    owner, value = np.array([e[0] for e in entries]), np.array([float(e[1]) for e in entries])
    ranks = ranks_within(owner, value)
    for one in np.unique(owner):
        assert np.allclose(ranks[owner == one], rankdata(value[owner == one]))


@given(rows)
def test_auc_is_the_share_of_pairs_in_order(entries) -> None:
    """It agrees with counting all pairs, ties half, and is NaN without a pair."""
    owner = np.array([e[0] for e in entries])
    value, positive = np.array([float(e[1]) for e in entries]), np.array([e[2] for e in entries])
    found = auc_by_user(owner, 5, ranks_within(owner, value), positive)
    for one in range(5):
        good, bad = value[(owner == one) & positive], value[(owner == one) & ~positive]
        if not len(good) or not len(bad):
            assert np.isnan(found[one])
        else:
            apart = good[:, None] - bad[None, :]
            assert found[one] == pytest.approx(((apart > 0) + 0.5 * (apart == 0)).mean())


def test_rank_correlation_is_spearmans() -> None:
    """It agrees with scipy's, ties averaged."""
    rng = np.random.default_rng(0)
    owner, left, right = np.repeat([0, 1], 30), rng.normal(size=60), rng.integers(0, 4, 60).astype(float)
    found = rank_correlation_by_user(owner, 2, ranks_within(owner, left), ranks_within(owner, right))
    assert found == pytest.approx([spearmanr(left[:30], right[:30])[0], spearmanr(left[30:], right[30:])[0]])


def test_calibration_does_not_depend_on_the_scale_of_predictions() -> None:
    """Any monotone change of the predictions gives the same figure, since the fit is isotonic."""
    rng = np.random.default_rng(0)
    owner, value = np.repeat(np.arange(40), 25), rng.normal(size=1000)
    outcome, fold = rng.random(1000) < 1 / (1 + np.exp(-value)), (np.repeat(np.arange(40), 25) % 2) == 0
    assert np.allclose(
        calibration_by_user(owner, 40, fold, value, outcome),
        calibration_by_user(owner, 40, fold, np.exp(value), outcome),
    )


def test_no_label_is_in_a_query(task: VideoRanking) -> None:
    """Queries hold serving-time features alone."""
    assert not LABELS & set(task.batches("search", "full")[0].queries)


def test_training_ends_before_every_window_of_the_search(task: VideoRanking) -> None:
    """No day of the short or full window is in the training folder."""
    day = np.load(task.training_folder(final=False) / "day.npy")
    assert day.max() == CUT - 1
    assert all(first >= CUT for first, _ in WINDOWS.values())


def test_the_last_days_return_is_not_known_in_training(task: VideoRanking) -> None:
    """A return is told a day late: the last day's is masked."""
    folder = task.training_folder(final=False)
    day, known = np.load(folder / "day.npy"), np.load(folder / "returned_known.npy")
    assert np.array_equal(known == 0, day == CUT - 1)
    assert (np.load(folder / "returned.npy")[known == 0] == 0).all()


def test_search_and_confirmation_share_no_user(task: VideoRanking) -> None:
    """Users are split in halves; the test asks all."""
    asked = {
        split: set(task.measure(split, "full", _answers(task, split, "full"))[0])
        for split in ("search", "confirm", "test")
    }
    assert not asked["search"] & asked["confirm"]
    assert asked["test"] & asked["search"]
    assert asked["test"] & asked["confirm"]


def test_windows_share_no_day() -> None:
    """What the short rung asks tells nothing of the full rung, and neither of the test."""
    (_, short), (full, full_end), (test, _) = WINDOWS["short"], WINDOWS["full"], WINDOWS["test"]
    assert short <= full < full_end <= test


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=40, unique=True))
def test_no_user_is_asked_on_two_days_in_a_row(visits) -> None:
    """Otherwise the second day's query would be the first day's label `returned`."""
    user, day = np.array([v[0] for v in visits], dtype=np.int64), np.array([v[1] for v in visits], dtype=np.int64)
    keep = first_of_neighbours(user, day, 2, 9)
    kept = set(zip(user[keep].tolist(), day[keep].tolist(), strict=True))
    assert not any((one, today + 1) in kept for one, today in kept)
    assert all(2 <= today < 9 for _, today in kept)


def test_features_of_a_query_do_not_change_with_later_labels() -> None:
    """Turning every label from the frozen day on around leaves every feature as it was."""
    log = generate_log(WorldConfig(users=80, first_items=60, items_per_day=1, log_days=12))
    late = log.impressions["day"] >= -5
    changed = dict(log.impressions)
    for name in ("click", "like", "share", "skip"):
        changed[name] = np.where(late, ~log.impressions[name], log.impressions[name])
    changed["watch_s"] = np.where(late, 999.0, log.impressions["watch_s"]).astype(np.float32)
    other = build_features(Log(config=log.config, impressions=changed, items=log.items), frozen=-5)
    for name, column in build_features(log, frozen=-5).items():
        assert np.array_equal(column, other[name]), name


def test_training_features_do_not_see_their_own_day() -> None:
    """An impression's features stay when its own day's labels change."""
    log = generate_log(WorldConfig(users=80, first_items=60, items_per_day=1, log_days=12))
    today = log.impressions["day"] == -6
    changed = dict(log.impressions) | {"click": np.where(today, ~log.impressions["click"], log.impressions["click"])}
    other = build_features(Log(config=log.config, impressions=changed, items=log.items), frozen=0)
    past = log.impressions["day"] <= -6
    same = build_features(log, frozen=0)
    assert np.array_equal(same["dense"][past], other["dense"][past])
    assert np.array_equal(same["recent"][past], other["recent"][past])


def test_counts_are_those_of_the_past() -> None:
    """A user's click count before a day is the number of clicks logged before it."""
    log = generate_log(WorldConfig(users=80, first_items=60, items_per_day=1, log_days=12))
    dense = build_features(log, frozen=0)["dense"]
    row = int(np.flatnonzero(log.impressions["day"] == -2)[0])
    user = log.impressions["user"][row]
    before = (log.impressions["user"] == user) & (log.impressions["day"] < -2)
    assert dense[row, DENSE.index("user_clicks")] == log.impressions["click"][before].sum()


def test_the_most_recent_clicks_come_first() -> None:
    """`recent` begins with the last clicked item of the user's last visit."""
    log = generate_log(WorldConfig(users=80, first_items=60, items_per_day=1, log_days=12))
    recent = build_features(log, frozen=0)["recent"]
    columns = log.impressions
    row = int(np.flatnonzero((columns["day"] == -1) & (recent[:, 1] >= 0))[0])
    before = (columns["user"] == columns["user"][row]) & (columns["day"] < -1) & columns["click"]
    assert recent[row].tolist()[: before.sum()] == columns["item"][before][::-1][:10].tolist()


def test_perfect_answers_score_near_one_and_constant_ones_half(task: VideoRanking) -> None:
    """The labels, were they known, would give the best order; no order at all gives one half."""
    asked = task._window("search", "full")
    grade = asked.grade_rank.astype(np.float32)
    count = [batch.shape[0] for batch in task.batches("search", "full")]
    best = np.split(grade, np.cumsum(count)[:-1])
    flat = [np.zeros(size, dtype=np.float32) for size in count]
    assert np.nanmean(task.measure("search", "full", best)[1]["value"]) > 0.9
    assert np.nanmean(task.measure("search", "full", flat)[1]["long_watch_auc"]) == 0.5


def test_every_metric_has_one_number_a_user(task: VideoRanking) -> None:
    """Shapes agree, and `value` is defined for almost everybody."""
    users, metrics = task.measure("search", "short", _answers(task, "search", "short"))
    assert tuple(metrics) == METRICS == task.metrics
    assert all(values.shape == users.shape for values in metrics.values())
    assert np.isfinite(metrics["value"]).mean() > 0.7


def test_the_smoke_rung_asks_few(task: VideoRanking) -> None:
    """A cheaper rung asks fewer queries of the short rung's window."""
    assert sum(batch.shape[0] for batch in task.batches("search", "smoke")) == 512


def test_measuring_all_users_is_fast(tmp_path) -> None:
    """2,000 users within 0.3 CPU-seconds."""
    big = VideoRanking(tmp_path)
    answers = _answers(big, "test", "full")
    big.measure("test", "full", answers)
    begun = time.process_time()
    big.measure("test", "full", answers)
    assert time.process_time() - begun < 0.3


def test_floors_are_measured_on_every_metric(task: VideoRanking) -> None:
    """Popularity and random order stand in every report."""
    floors = task.floors()
    assert set(floors) == {"popularity", "random"}
    assert all(set(row) == set(METRICS) for row in floors.values())
    assert abs(floors["random"]["value"] - 0.5) < 0.06


def test_the_digest_tells_worlds_apart(tmp_path) -> None:
    """Another seed is another task."""
    assert VideoRanking(tmp_path, CONFIG).digest != VideoRanking(tmp_path, WorldConfig(seed=1)).digest
