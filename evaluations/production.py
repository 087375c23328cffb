"""The present of the generated world: the same users and items after their log, served by the policies of arms.

Knows nothing of experiments' rules or statistics. A visit retrieves some of the catalogue at random, the arm's policy
scores it and the world samples the slate. All luck is keyed by seed, day and purpose and drawn for every user, so that
two productions that differ in a policy alone live under common random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from evaluations.world import Day, Policy, World, WorldConfig
from evaluations.world_log import world_after_log
from evaluations.world_population import Ids, Purpose, Singles, draw_users, join, stream
from evolve.errors import UsageError

RETRIEVED = 60
"""Items that a visit's retrieval hands to the ranker, of about a thousand."""
CURIOSITY, CURIOSITY_DAYS = 0.15, 5.0
"""Logits of clicking that a new ranking adds on its first day for a user, and how fast that wears off."""
NEVER = 10**6
"""A day that does not come."""
CRASH_S = 20.0
"""What a crash feels like, in seconds of waiting."""
FELT = 0.3
"""Weight of the last visit in how slow the service feels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """What a policy knows of the day's visitors; arrays have shape (visits,), `items` (visits, retrieved)."""

    day: int
    user: Ids
    hour: Ids
    device: Ids
    items: Ids


class Ranker(Protocol):
    """A policy that serves: it scores what was retrieved. Depends on its arguments and on finished days alone."""

    @property
    def name(self) -> str: ...
    @property
    def latency_s(self) -> float:
        """How much slower than usual it answers; measured from outside."""
        ...

    def scores(self, production: Production, visits: Visits) -> Singles:
        """Scores of shape (visits, retrieved), any finite value; slates are sampled in proportion to exp(score)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedPolicy:
    """A candidate as data: the service's stale view of users, and weights of what a service can see of an item.

    `blur` is the noise in its view of each user's interests, as a share of their length; candidates of one world
    share the noise's direction, so that a better model is a less blurred one.
    """

    name: str
    affinity: float = 0.6
    rating: float = 0.2
    fresh: float = 0.3
    bait: float = 0.0
    blur: float = 1.0
    latency_s: float = 0.0
    crash_rate: float = 0.0
    """The share of visits in which it fails."""

    def scores(self, production: Production, visits: Visits) -> Singles:
        items, chosen = production.items, visits.items
        taste = production.taste(self.blur)[visits.user]
        liking = np.einsum("vk,vrk->vr", taste, items.vector[chosen])
        fresh = np.exp(-np.maximum(visits.day - items.born[chosen], 0) / 4.0)
        seen = self.rating * items.rating[chosen] + self.fresh * fresh + self.bait * items.bait[chosen]
        return (self.affinity * liking + seen).astype(np.float32)


class Production(World):
    """`users` users from day 0 on: the panel that the log knows, and newcomers of the same kind.

    Raises UsageError where there should be fewer users than the log knows.
    """

    def __init__(self, config: WorldConfig, users: int) -> None:
        if users < config.users:
            raise UsageError(f"production has {users} users; the log knows {config.users} and there can't be fewer")
        past, _, _ = world_after_log(config)
        super().__init__(config)
        self.config = replace(config, users=users)
        self.day, self.items = past.day, past.items
        self.item_trend, self.topic_trend = past.item_trend, past.topic_trend
        more = draw_users(config.seed, self.structure, users - config.users, past.day, Purpose.NEWCOMERS)
        self.users = join(past.users, more)
        self.arm: Ids = np.zeros(self.config.users, dtype=np.int64)
        """Which of the rankers serves each user."""
        self.since: Ids = np.full(self.config.users, NEVER, dtype=np.int64)
        """The first day on which a ranking that was new to the user served them."""
        rng = stream(config.seed, Purpose.POLICIES)
        noise = rng.standard_normal(self.users.interest.shape) / np.sqrt(self.users.interest.shape[1])
        self._known = self.users.interest.copy()
        self._noise = (noise * np.linalg.norm(self.users.interest, axis=1, keepdims=True)).astype(np.float32)

    def taste(self, blur: float) -> Singles:
        """The service's view of every user's interests on day 0, shape (users, interests)."""
        return self._known + np.float32(blur) * self._noise

    def live(self, rankers: tuple[Ranker, ...]) -> Day:
        """One day: each visitor is served by the ranker that `arm` names."""
        slower = np.array([ranker.latency_s + CRASH_S * crash_rate(ranker) for ranker in rankers])
        age = np.maximum(self.day - self.since, 0)
        new = (self.day >= self.since) & (self.arm > 0)
        curious = np.where(new, CURIOSITY * np.exp(-age / CURIOSITY_DAYS), 0.0)
        self.users.curiosity = curious.astype(np.float32) * np.float32(self.truth.moves)
        who = self.active()
        happened = self.step(_Arms(rankers))
        felt = self.users.latency_s
        felt[who] += FELT * (slower[self.arm[who]] - felt[who])
        return happened

    def serve(self, policy: Policy, who: Ids, hour: Ids, device: Ids) -> tuple[Ids, Singles]:
        assert isinstance(policy, _Arms)
        visits = Visits(day=self.day, user=who, hour=hour, device=device, items=self._retrieve(who))
        scores = np.empty(visits.items.shape, dtype=np.float32)
        for number, ranker in enumerate(policy.rankers):
            rows = self.arm[who] == number
            if rows.any():
                served = Visits(day=self.day, user=who[rows], hour=hour[rows], device=device[rows],
                                items=visits.items[rows])  # fmt: skip
                scores[rows] = ranker.scores(self, served)
        places, propensity = self._sample(scores, who)
        return np.take_along_axis(visits.items, places, axis=1), propensity

    def _retrieve(self, who: Ids) -> Ids:
        """Distinct items for each visitor: steps of a random stride around a circle of prime length."""
        circle = _prime_up_to(len(self.items.born))
        rng, newest = stream(self.config.seed, Purpose.RETRIEVAL, self.day), len(self.items.born) - circle
        begin = rng.integers(0, circle, self.config.users)[who, None]
        stride = rng.integers(1, circle, self.config.users)[who, None]
        return newest + (begin + stride * np.arange(RETRIEVED)) % circle


def crash_rate(ranker: Ranker) -> float:
    """The share of visits in which a ranker fails; a ranker that does not say never does."""
    return float(getattr(ranker, "crash_rate", 0.0))


@dataclass(frozen=True, slots=True)
class _Arms:
    """The rankers of all arms, in the form in which the world asks for a policy."""

    rankers: tuple[Ranker, ...]

    def scores(self, world: World, users: Ids, day: int, hour: Ids, device: Ids) -> Singles:
        raise AssertionError("production scores what was retrieved, never the whole catalogue")

    def observe(self, happened: Day) -> None:
        """Exported policies do not learn."""


def _prime_up_to(limit: int) -> int:
    return next(n for n in range(limit, 1, -1) if all(n % k for k in range(2, int(n**0.5) + 1)))
