"""The generated world: users and items that live day by day. Its past is a training log, its present the
simulated production: one world, never two.

Knows nothing of models, features or splits. A policy says which items are good; the world samples the
slate from it (Plackett-Luce, so the propensity of every shown item is known exactly) and lets the users
choose. All luck is keyed by seed, day and purpose and drawn for every user, active or not, so that two
policies can be run under common random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluations.world_population import (
    DEVICES,
    INTEREST_NORM,
    INTERESTS,
    TOPICS,
    Family,
    Ids,
    Purpose,
    Singles,
    append,
    draw_items,
    draw_structure,
    draw_users,
    stream,
    unit,
)
from evaluations.world_truth import TRUTHS, Signals, choose, sigmoid
from evolve.contracts import Floats

WEEKDAY = (0.0, -0.05, -0.1, 0.0, 0.15, 0.35, 0.3)
"""Activity by weekday from Monday on, in logits: weekends are busy."""
LATENCY = 0.2
"""Activity lost per second that the service felt slower, in logits: 100 ms cost about one visit in a hundred, a few
times what Brutlag ("Speed matters", 2009) found for searches. The log knows no latency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """Size and seed of a world. The log is days -`log_days` to -1."""

    seed: int = 0
    family: Family = Family.ALIGNED
    users: int = 2000
    first_items: int = 664
    items_per_day: int = 8
    log_days: int = 42
    slate: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What happened on one day; one row an impression, all arrays of shape (impressions,)."""

    day: int
    user: Ids
    item: Ids
    slate: Ids
    position: Ids
    propensity: Singles
    hour: Ids
    device: Ids
    click: NDArray[np.bool_]
    watch_s: Singles
    like: NDArray[np.bool_]
    share: NDArray[np.bool_]
    skip: NDArray[np.bool_]
    chance: Floats
    """The true probability of a long watch where the item is looked at; never part of the log."""


class Policy(Protocol):
    """Says how good items are for users; the world samples slates in proportion to exp(score)."""

    def scores(self, world: World, users: Ids, day: int, hour: Ids, device: Ids) -> Singles:
        """Scores of shape (users, items), any finite value. A policy reads what a service could know."""
        ...

    def observe(self, happened: Day) -> None:
        """Learns from a finished day."""
        ...


class World:
    """Users and items, stepped day by day from -log_days on."""

    def __init__(self, config: WorldConfig) -> None:
        self.config = config
        self.truth = TRUTHS[config.family]
        self.day = -config.log_days
        self.structure = draw_structure(config.seed)
        self.users = draw_users(config.seed, self.structure, config.users, self.day, Purpose.USERS)
        self.items = draw_items(config.seed, self.structure, self.day, config.first_items, 120)
        self.topic_trend = np.zeros(TOPICS, dtype=np.float32)
        self.item_trend = np.zeros(config.first_items, dtype=np.float32)

    def active(self) -> Ids:
        """Who visits today, drawn from the state at the day's start; asking twice gives the same answer."""
        users, weekday = self.users, WEEKDAY[self.day % 7] if self.truth.moves else 0.0
        luck = stream(self.config.seed, Purpose.ACTIVITY, self.day).random(self.config.users)
        idle = self.day - users.last_active
        # The last visit is remembered for some days, general satisfaction for long (online habit models).
        recent = users.last_session * 0.6 ** np.maximum(idle - 1, 0)
        logit = users.base + 0.8 * (2 * users.habit - 0.8) + 1.1 * users.satisfaction + 0.8 * recent + weekday
        logit = logit - LATENCY * users.latency_s
        chance = sigmoid(logit if self.truth.moves else users.base - LATENCY * users.latency_s)
        return np.flatnonzero(luck < np.where(idle > 28, 0.15, 1.0) * chance)

    def step(self, policy: Policy) -> Day:
        """Lives one day under `policy` and moves on to the next."""
        self._arrive()
        who = self.active()
        hour, device = self._context()
        slate, propensity = self.serve(policy, who, hour[who], device[who])
        shape = (self.config.users, self.config.slate)
        rng = stream(self.config.seed, Purpose.CHOICE, self.day)
        luck, mood = rng.random((*shape, 4), dtype=np.float32), rng.standard_normal(shape, dtype=np.float32)
        signals = choose(
            self.truth, self.structure, self.users, self.items, self.trend(),
            who, slate, device[who], hour[who], luck[who], mood[who],
        )  # fmt: skip
        happened = self._record(who, slate, propensity, hour[who], device[who], signals)
        self._live(who, slate, signals)
        policy.observe(happened)
        self.day += 1
        return happened

    def serve(self, policy: Policy, who: Ids, hour: Ids, device: Ids) -> tuple[Ids, Singles]:
        """Today's slates of the visitors, and each item's propensity; both of shape (visitors, slate)."""
        return self._sample(policy.scores(self, who, self.day, hour, device), who)

    def trend(self) -> Singles:
        """Each item's popularity today: its own appeal, its and its topic's drift, and its novelty."""
        age = np.maximum(self.day - self.items.born, 0)
        novelty = 1.2 * np.exp(-age / 4.0) - 0.2
        drift = self.item_trend + self.topic_trend[self.items.topic]
        return (self.items.appeal + drift + novelty).astype(np.float32)

    def _arrive(self) -> None:
        arrived = draw_items(self.config.seed, self.structure, self.day + 1_000, self.config.items_per_day, 1)
        arrived.born[:] = self.day
        self.items = append(self.items, arrived)
        self.item_trend = np.concatenate([self.item_trend, np.zeros(len(arrived.born), dtype=np.float32)])

    def _context(self) -> tuple[Ids, Ids]:
        """Hour of the visit and device, for every user."""
        rng, users = stream(self.config.seed, Purpose.CONTEXT, self.day), self.users
        later = np.where(rng.random(self.config.users) < 0.35, 1.0, 11.0) + (2.0 if self.day % 7 >= 5 else 0.0)
        hour = np.round(users.wake_hour + later + rng.normal(0.0, 2.0, self.config.users)).astype(np.int64) % 24
        tilt = users.device_taste * np.where((hour >= 18)[:, None], [1.0, 0.7, 2.5], [1.4, 1.0, 0.3])
        edges = np.cumsum(tilt / tilt.sum(axis=1, keepdims=True), axis=1)
        return hour, np.minimum((rng.random((self.config.users, 1)) > edges).sum(axis=1), DEVICES - 1)

    def _sample(self, scores: Singles, who: Ids) -> tuple[Ids, Singles]:
        """Slates of shape (visitors, slate) by the Gumbel trick, and each item's exact probability of
        standing at its position given the items above it."""
        rng = stream(self.config.seed, Purpose.SLATE, self.day)
        waiting = rng.standard_exponential((self.config.users, scores.shape[1]), dtype=np.float32)[who]
        keys = scores - np.log(np.maximum(waiting, 1e-30))
        top = np.argpartition(-keys, self.config.slate, axis=1)[:, : self.config.slate]
        order = np.argsort(-np.take_along_axis(keys, top, axis=1), axis=1)
        slate = np.take_along_axis(top, order, axis=1)
        mass = np.exp((scores - scores.max(axis=1, keepdims=True)).astype(np.float64))
        shown = np.take_along_axis(mass, slate, axis=1)
        left = mass.sum(axis=1, keepdims=True) - np.cumsum(shown, axis=1) + shown
        return slate, (shown / left).astype(np.float32)

    def _record(self, who: Ids, slate: Ids, propensity: Singles, hour: Ids, device: Ids, signals: Signals) -> Day:
        width = self.config.slate
        return Day(
            day=self.day,
            user=np.repeat(who, width),
            item=slate.ravel(),
            slate=np.repeat(np.arange(len(who)), width),
            position=np.tile(np.arange(width), len(who)),
            propensity=propensity.ravel(),
            hour=np.repeat(hour, width),
            device=np.repeat(device, width),
            click=signals.click.ravel(),
            watch_s=signals.watch_s.ravel(),
            like=signals.like.ravel(),
            share=signals.share.ravel(),
            skip=signals.skip.ravel(),
            chance=signals.chance.ravel(),
        )

    def _live(self, who: Ids, slate: Ids, signals: Signals) -> None:
        """The day's marks on its users: habit, satisfaction, satiation and drifting interests."""
        users, visited = self.users, np.zeros(self.config.users)
        visited[who] = 1.0
        users.habit = 0.93 * users.habit + 0.07 * visited
        users.last_active[who] = self.day
        if not self.truth.moves:
            return
        users.satisfaction[who] += 0.06 * (signals.session - users.satisfaction[who])
        users.last_session[who] = signals.session
        users.satiation *= 0.75
        rows, columns = np.nonzero(signals.click)
        np.add.at(users.satiation, (who[rows], self.items.topic[slate[rows, columns]]), np.float32(0.35))
        self._drift(who[rows], slate[rows, columns])

    def _drift(self, clickers: Ids, clicked: Ids) -> None:
        """Interests wander by themselves and a little towards what is consumed; trends come and go."""
        rng, users, drift = stream(self.config.seed, Purpose.DRIFT, self.day), self.users, self.truth.drift
        wander = rng.standard_normal(users.interest.shape, dtype=np.float32)
        interest = users.interest + 0.08 * drift * INTEREST_NORM / np.sqrt(INTERESTS) * wander
        np.add.at(interest, clickers, 0.003 * INTEREST_NORM * self.items.vector[clicked])
        users.interest = (INTEREST_NORM * unit(interest)).astype(np.float32)
        # What is popular changes within a month, not within a week: half-lives of 17 and 23 days.
        self.topic_trend = (0.96 * self.topic_trend + 0.3 * drift * rng.standard_normal(TOPICS)).astype(np.float32)
        count = len(self.item_trend)
        self.item_trend = (0.97 * self.item_trend + 0.5 * drift * rng.standard_normal(count)).astype(np.float32)


class LoggingPolicy:
    """The service's former ranker, which wrote the log: popularity, an upstream score and a coarse, stale
    view of each user's interests, served with enough randomness that every item can be shown."""

    def __init__(self, world: World) -> None:
        rng = stream(world.config.seed, Purpose.LOGGING)
        blur = rng.standard_normal(world.users.interest.shape)
        self._taste = (world.users.interest + INTEREST_NORM / np.sqrt(INTERESTS) * blur).astype(np.float32)
        self._clicks: Floats = np.zeros(0)
        self._shown: Floats = np.zeros(0)

    def scores(self, world: World, users: Ids, day: int, hour: Ids, device: Ids) -> Singles:
        self._grow(len(world.items.born))
        rate = (self._clicks + 3.0) / (self._shown + 20.0)
        fresh = 0.5 * np.exp(-np.maximum(day - world.items.born, 0) / 4.0)
        common = np.log(rate) + fresh + 0.2 * world.items.rating
        return (self._taste[users] @ world.items.vector.T * 0.6 + common).astype(np.float32)

    def observe(self, happened: Day) -> None:
        self._clicks = 0.9 * self._clicks + np.bincount(happened.item[happened.click], minlength=len(self._clicks))
        self._shown = 0.9 * self._shown + np.bincount(happened.item, minlength=len(self._shown))

    def _grow(self, count: int) -> None:
        missing = np.zeros(count - len(self._clicks))
        self._clicks, self._shown = np.concatenate([self._clicks, missing]), np.concatenate([self._shown, missing])
