"""The generated world: one seed one world, exact propensities, signals that hang together."""

from __future__ import annotations

import time

import numpy as np
import pytest

from evaluations.world import LoggingPolicy, World, WorldConfig
from evaluations.world_log import digest_of, generate_log, load_log, world_after_log
from evaluations.world_population import Family
from evaluations.world_truth import LONG_WATCH_SHARE
from evolve.errors import DataError

SMALL = WorldConfig(users=150, first_items=120, items_per_day=2, log_days=10)


def test_the_same_seed_gives_the_same_log() -> None:
    """Every column is equal to the last bit."""
    first, second = generate_log(SMALL), generate_log(SMALL)
    assert all(np.array_equal(first.impressions[name], second.impressions[name]) for name in first.impressions)


def test_another_seed_gives_another_log() -> None:
    """The seed reaches the draws and the digest."""
    other = WorldConfig(users=150, first_items=120, items_per_day=2, log_days=10, seed=1)
    assert digest_of(other) != digest_of(SMALL)
    assert not np.array_equal(
        generate_log(SMALL).impressions["item"][:500], generate_log(other).impressions["item"][:500]
    )


def test_the_default_log_has_its_stated_size_and_is_made_in_time() -> None:
    """2,000 users, 1,000 items, a few hundred thousand impressions, within three seconds of one core."""
    begun = time.process_time()
    log = generate_log(WorldConfig())
    assert time.process_time() - begun < 3.0
    assert len(log.items["born"]) == 1000
    assert log.impressions["user"].max() == 1999
    assert 200_000 < len(log.impressions["user"]) < 400_000


def test_production_goes_on_from_the_log() -> None:
    """Day 0 follows day -1 in one world: `returned` of the log's last day is who visits on day 0."""
    log = generate_log(SMALL)
    world, policy, _ = world_after_log(SMALL)
    today = world.step(policy)
    last = log.impressions["day"] == -1
    assert today.day == 0
    assert np.array_equal(log.impressions["returned"][last], np.isin(log.impressions["user"][last], today.user))


def test_no_slate_shows_an_item_twice_or_before_it_was_born() -> None:
    """A slate holds distinct items of the day's catalogue."""
    log = generate_log(SMALL)
    slates = log.impressions["item"].reshape(-1, SMALL.slate)
    assert all(len(set(slate)) == SMALL.slate for slate in slates)
    assert (log.items["born"][log.impressions["item"]] <= log.impressions["day"]).all()


def test_propensities_are_the_true_chances_of_the_first_position() -> None:
    """Over many visitors the logged chance of an item at the top equals how often it stands there."""

    class Fixed:
        def scores(self, world, users, day, hour, device):
            return np.tile(np.linspace(0.0, 3.0, len(world.items.born), dtype=np.float32), (len(users), 1))

        def observe(self, happened):
            pass

    world = World(WorldConfig(users=6000, first_items=20, items_per_day=1, log_days=1))
    day = world.step(Fixed())
    top = day.position == 0
    shown = np.bincount(day.item[top], minlength=21) / top.sum()
    scores = np.exp(np.linspace(0.0, 3.0, 21))
    expected = scores / scores.sum()
    assert np.allclose(day.propensity[top], expected[day.item[top]], rtol=1e-4)
    assert np.abs(shown - expected).max() < 0.02


def test_signals_need_a_click() -> None:
    """Without a click nothing is watched, liked, shared or skipped."""
    columns = generate_log(SMALL).impressions
    ignored = ~columns["click"]
    assert not (columns["like"] | columns["share"] | columns["skip"])[ignored].any()
    assert (columns["watch_s"][ignored] == 0).all()


def test_lower_positions_are_clicked_less() -> None:
    """Position bias is in the log."""
    columns = generate_log(WorldConfig(users=400, log_days=10)).impressions
    rate = [columns["click"][columns["position"] == place].mean() for place in (0, 4, 9)]
    assert rate[0] > rate[1] > rate[2]


def test_bait_raises_clicks_and_lowers_watching() -> None:
    """Click bait is a promise that is not kept."""
    world, _, days = world_after_log(WorldConfig(users=800, log_days=10))
    item = np.concatenate([day.item for day in days])
    click = np.concatenate([day.click for day in days])
    seconds = np.concatenate([day.watch_s for day in days])
    held = seconds > LONG_WATCH_SHARE * world.items.duration_s[item]
    bait = world.items.bait[item] > 0.5
    assert click[bait].mean() > click[~bait].mean()
    assert held[bait & click].mean() < held[~bait & click].mean()


def test_in_the_noise_family_no_item_is_better_than_another() -> None:
    """Click rates of well-liked and other items agree within chance."""
    world, _, days = world_after_log(WorldConfig(users=800, log_days=12, family=Family.NOISE))
    item, click = np.concatenate([day.item for day in days]), np.concatenate([day.click for day in days])
    good = world.items.quality[item] > 0
    gap = click[good].mean() - click[~good].mean()
    assert abs(gap) < 4 * np.sqrt(0.11 * (1 / good.sum() + 1 / (~good).sum()))


def test_the_null_family_follows_the_visible_rating() -> None:
    """The one thing that matters there is a feature that every model sees."""
    world, _, days = world_after_log(WorldConfig(users=800, log_days=12, family=Family.NULL))
    item, click = np.concatenate([day.item for day in days]), np.concatenate([day.click for day in days])
    good = world.items.rating[item] > 0
    assert click[good].mean() > 1.3 * click[~good].mean()


def test_a_policy_meets_the_same_visitors_and_contexts_as_another() -> None:
    """Luck is keyed by seed, day and purpose: on the first day only what is shown differs."""

    class Random:
        def scores(self, world, users, day, hour, device):
            return np.zeros((len(users), len(world.items.born)), dtype=np.float32)

        def observe(self, happened):
            pass

    one, two = World(SMALL), World(SMALL)
    first, second = one.step(LoggingPolicy(one)), two.step(Random())
    assert np.array_equal(first.user, second.user)
    assert np.array_equal(first.hour, second.hour)
    assert not np.array_equal(first.item, second.item)


def test_the_log_is_cached_and_read_back_whole(tmp_path) -> None:
    """The second load reads what the first one wrote."""
    first, second = load_log(SMALL, tmp_path), load_log(SMALL, tmp_path)
    assert all(np.array_equal(first.impressions[name], second.impressions[name]) for name in first.impressions)
    assert all(np.array_equal(first.items[name], second.items[name]) for name in first.items)
    assert len(list((tmp_path / "worlds").iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path) -> None:
    """A file in the folder's place is a DataError with the path in it."""
    (tmp_path / "worlds").write_text("in the way")
    with pytest.raises(DataError, match="worlds"):
        load_log(SMALL, tmp_path)


def test_the_log_holds_no_true_chance() -> None:
    """What a perfect ranker would know is told to studies of the world, never to a log."""
    assert "chance" not in generate_log(SMALL).impressions


def test_the_true_chance_is_the_rate_of_long_watches_that_are_looked_at() -> None:
    """At the top everything is looked at: predicted and observed long watches agree within chance."""
    world, _, days = world_after_log(WorldConfig(users=800, log_days=12))
    item, seconds, chance, position = (
        np.concatenate([getattr(day, name) for day in days]) for name in ("item", "watch_s", "chance", "position")
    )
    held = seconds > LONG_WATCH_SHARE * world.items.duration_s[item]
    top = position == 0
    error = np.sqrt((chance[top] * (1 - chance[top])).sum())
    assert abs(held[top].sum() - chance[top].sum()) < 4 * error
