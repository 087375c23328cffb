"""Who lives in the generated world: users, items, topics and creators, and how they begin.

Knows nothing of slates, clicks, days gone by or logs. Every draw is keyed by the world's seed and a
purpose, so that adding a purpose never changes what another one drew.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Floats

Singles = NDArray[np.float32]
Ids = NDArray[np.int64]

INTERESTS = 8
"""Latent dimensions: few enough to be learned from 50 impressions a user, too many for a linear model."""
TOPICS = 20
CREATORS = 120
DEVICES = 3
"""0 phone, 1 computer, 2 television."""
DAYPARTS = 4
"""Night, morning, afternoon, evening: hour // 6."""

INTEREST_NORM = 2.6
"""Length of an interest vector; with unit items and eight dimensions affinity has a deviation near 0.9."""
COMMUNITIES = 24
"""Tastes are shared: users of one community differ little, so that a hundred users teach what one can't."""
ENGAGED_SHARE = 0.4
"""Most visitors are casual; the minority that engages makes most of the watch time, as on real services."""


class Family(StrEnum):
    """Which truth the users follow.

    `aligned`: everything in `world_truth`. `null`: every signal is linear in one item feature that the
    training folder shows, so a richer model has nothing to find. `noise`: signals depend on no item
    at all, so no ranking is better than another, exactly. `goodhart`: bait is clicked far more, and disappoints as
    before, so that clicks and satisfaction point apart. `drifting`: interests and trends move three times as fast.
    """

    ALIGNED = "aligned"
    NULL = "null"
    NOISE = "noise"
    GOODHART = "goodhart"
    DRIFTING = "drifting"


class Purpose(StrEnum):
    """What a stream of random numbers is for; the order is part of the world and only ever grows."""

    ITEMS = "items"
    USERS = "users"
    STRUCTURE = "structure"
    ACTIVITY = "activity"
    CONTEXT = "context"
    SLATE = "slate"
    CHOICE = "choice"
    DRIFT = "drift"
    LOGGING = "logging"
    NEWCOMERS = "newcomers"
    RETRIEVAL = "retrieval"
    POLICIES = "policies"


def stream(seed: int, purpose: Purpose, day: int = 0) -> np.random.Generator:
    """Random numbers of one purpose on one day; no other stream can move them."""
    return np.random.default_rng([seed, list(Purpose).index(purpose), day + 100_000])


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What never changes: topic centres (TOPICS, INTERESTS), communities' tastes (COMMUNITIES, INTERESTS),
    creators' topics (CREATORS,), creators' quality (CREATORS,), the context gate (DEVICES, DAYPARTS,
    INTERESTS) around 1, the topics of a context (DEVICES, DAYPARTS, TOPICS) around 0, and the liked
    log-duration (DEVICES, DAYPARTS)."""

    centres: Singles
    communities: Singles
    creator_topic: Ids
    creator_quality: Singles
    gate: Singles
    occasion: Singles
    liked_duration: Singles


@dataclass(slots=True, kw_only=True)
class Items:
    """The catalogue, one row an item in order of arrival; all arrays have shape (items, ...)."""

    born: Ids
    topic: Ids
    creator: Ids
    vector: Singles
    duration_s: Singles
    quality: Singles
    bait: Singles
    appeal: Singles
    rating: Singles


@dataclass(slots=True, kw_only=True)
class Users:
    """Users and their state at the start of a day; all arrays have shape (users, ...).

    `latency_s` is how much slower than usual the service felt lately, in seconds; `curiosity` is added to a user's
    clicks, in logits, while something is new to them. Both are 0 throughout the log.
    """

    engaged: NDArray[np.bool_]
    base: Floats
    latency_s: Floats
    click_bias: Singles
    curiosity: Singles
    interest: Singles
    topic_quirk: Singles
    loyalty: Singles
    device_taste: Floats
    wake_hour: Floats
    habit: Floats
    satisfaction: Floats
    last_session: Floats
    satiation: Singles
    last_active: Ids


def unit(vectors: Singles) -> Singles:
    """The same directions with length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def draw_structure(seed: int) -> Structure:
    """What never changes, drawn once."""
    rng = stream(seed, Purpose.STRUCTURE)
    # A sigmoid of a wide normal is mostly open or mostly shut: contexts select interests rather than
    # shade them (news in the morning on a phone, films in the evening on a television).
    gate = 2.0 / (1.0 + np.exp(-1.5 * rng.standard_normal((DEVICES, DAYPARTS, INTERESTS))))
    # News on a phone in the morning, films on a television at night: what fits an occasion fits it for everybody.
    occasion = rng.standard_normal((DEVICES, DAYPARTS, TOPICS))
    centres = unit(rng.standard_normal((TOPICS, INTERESTS)).astype(np.float32))
    favourites = rng.dirichlet(np.full(TOPICS, 0.15), size=COMMUNITIES)
    by_device = np.log(np.array([120.0, 300.0, 1200.0]))[:, None]
    by_daypart = np.array([0.3, -0.4, 0.0, 0.4])[None, :]
    return Structure(
        centres=centres,
        communities=unit((favourites @ centres).astype(np.float32)),
        creator_topic=rng.integers(0, TOPICS, CREATORS),
        creator_quality=rng.normal(0.0, 0.6, CREATORS).astype(np.float32),
        gate=gate.astype(np.float32),
        occasion=occasion.astype(np.float32),
        liked_duration=(by_device + by_daypart).astype(np.float32),
    )


def draw_items(seed: int, structure: Structure, day: int, count: int, oldest: int) -> Items:
    """`count` items that arrive on `day`, or that were born on the `oldest` days up to it."""
    rng = stream(seed, Purpose.ITEMS, day)
    # Zipf-like creators: a few make most of the catalogue.
    share = 1.0 / np.arange(3, CREATORS + 3)
    creator = rng.choice(CREATORS, size=count, p=share / share.sum())
    own_topic = rng.random(count) < 0.8
    topic = np.where(own_topic, structure.creator_topic[creator], rng.integers(0, TOPICS, count))
    spread = 0.45 * rng.standard_normal((count, INTERESTS)) / np.sqrt(INTERESTS / 2)
    quality = structure.creator_quality[creator] + rng.normal(0.0, 0.8, count)
    return Items(
        born=day - rng.integers(0, oldest, count),
        topic=topic,
        creator=creator,
        vector=unit((structure.centres[topic] + spread).astype(np.float32)),
        duration_s=np.exp(rng.normal(np.log(280.0), 1.0, count)).astype(np.float32),
        quality=quality.astype(np.float32),
        # One item in seven promises more than it keeps; few enough that clicks still speak for satisfaction.
        bait=np.where(rng.random(count) < 0.15, rng.gamma(4.0, 0.25, count), 0.15 * rng.random(count)).astype(
            np.float32
        ),
        appeal=rng.normal(0.0, 0.8, count).astype(np.float32),
        # An upstream content classifier's score: a weak view of quality (correlation about 0.4).
        rating=(0.4 * quality + rng.normal(0.0, 0.9, count)).astype(np.float32),
    )


def append(items: Items, arrived: Items) -> Items:
    """The catalogue with the arrived items at its end; no id ever changes."""
    return Items(**{name: np.concatenate([getattr(items, name), getattr(arrived, name)]) for name in Items.__slots__})


def join(users: Users, others: Users) -> Users:
    """Both, the others at the end; no id ever changes."""
    return Users(**{name: np.concatenate([getattr(users, name), getattr(others, name)]) for name in Users.__slots__})


def draw_users(
    seed: int, structure: Structure, count: int, day: int, purpose: Literal[Purpose.USERS, Purpose.NEWCOMERS]
) -> Users:
    """`count` users as they are on the morning of `day`."""
    rng = stream(seed, purpose)
    community = structure.communities[rng.integers(0, COMMUNITIES, count)]
    interest = unit((community + 0.12 * rng.standard_normal((count, INTERESTS))).astype(np.float32))
    # Tastes that no latent factor explains: three topics loved or shunned, three creators followed.
    quirk = np.zeros((count, TOPICS), dtype=np.float32)
    loyalty = np.zeros((count, CREATORS), dtype=np.float32)
    rows = np.arange(count)[:, None]
    quirk[rows, rng.integers(0, TOPICS, (count, 3))] = rng.choice([-1.2, 1.2], size=(count, 3))
    followed = np.minimum(rng.zipf(1.35, (count, 3)) - 1, CREATORS - 1)
    loyalty[rows, followed] = 1.3
    return Users(
        engaged=rng.random(count) < ENGAGED_SHARE,
        base=rng.normal(-1.2, 0.9, count),
        latency_s=np.zeros(count),
        click_bias=rng.normal(0.0, 0.5, count).astype(np.float32),
        curiosity=np.zeros(count, dtype=np.float32),
        interest=INTEREST_NORM * interest,
        topic_quirk=quirk,
        loyalty=loyalty,
        device_taste=rng.dirichlet([2.0, 1.0, 1.0], size=count),
        wake_hour=rng.normal(8.0, 2.0, count),
        habit=np.full(count, 0.4),
        satisfaction=np.zeros(count),
        last_session=np.zeros(count),
        satiation=np.zeros((count, TOPICS), dtype=np.float32),
        last_active=np.full(count, day - 1),
    )
