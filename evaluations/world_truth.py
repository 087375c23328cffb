"""How users choose and what they feel: the truth that models try to learn.

Knows nothing of days, logs, features or splits. Each constant is written once with its reason. They
were fixed from published figures and from principle before any technique was measured on the world.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluations.world_population import Family, Ids, Items, Singles, Structure, Users
from evolve.contracts import Floats

LONG_WATCH_SHARE = 0.6
"""A long watch is a click whose watched share of the item's duration is over this."""
SKIP_SHARE = 0.12
"""A skip is a click that was left before this share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Weights of the choice model, in logits unless said otherwise."""

    click_base: float = -1.1
    """With the terms below a quarter of what is shown is clicked, as in short-video feeds."""
    stay_base: float = -0.1
    """About half of all clicks become long watches."""
    affinity: float = 1.0
    context_gate: bool = True
    """Interests count by context: affinity is the sum over k of gate_k(context) * user_k * item_k."""
    occasion: float = 0.9
    """Weight of what fits a device and a time of day for everybody: as much as a user's own interests."""
    crosses: float = 1.0
    """Weight of the user's own topics and creators, which no latent factor explains."""
    appeal: float = 0.5
    """Weight of an item's momentary popularity in clicking, and in staying: a trend is a matter of taste, not
    only of thumbnails."""
    bait_click: float = 0.9
    satiation: float = 0.6
    duration_fit: float = 0.25
    """Per squared log-unit away from the duration that the context likes."""
    quality_watch: float = 0.8
    bait_watch: float = 1.3
    """Bait costs more in watching than it gains in clicking: the promise is broken."""
    rating: float = 0.0
    """Weight of the visible rating in every signal; only the null family uses it."""
    mood: float = 0.8
    """Deviation of what no service can know of a moment, about as large as what it can know of an item."""
    types_differ: bool = True
    """Whether engaged and casual users weigh affinity and bait differently."""
    drift: float = 1.0
    """How fast interests and trends move, against the aligned world."""
    moves: bool = True
    """Whether interests, trends, satiation and satisfaction change from day to day."""


TRUTHS: dict[Family, Truth] = {
    Family.ALIGNED: Truth(),
    Family.NULL: Truth(
        affinity=0.0, context_gate=False, occasion=0.0, crosses=0.0, appeal=0.0, bait_click=0.0, satiation=0.0,
        duration_fit=0.0, quality_watch=0.0, bait_watch=0.0, rating=0.8, types_differ=False, moves=False,
    ),
    Family.NOISE: Truth(
        affinity=0.0, context_gate=False, occasion=0.0, crosses=0.0, appeal=0.0, bait_click=0.0, satiation=0.0,
        duration_fit=0.0, quality_watch=0.0, bait_watch=0.0, rating=0.0, types_differ=False, moves=False,
    ),
    Family.GOODHART: Truth(bait_click=2.2),
    Family.DRIFTING: Truth(drift=3.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What one day's slates caused; arrays have shape (slates, positions), `session` (slates,). `chance` is the
    true probability of a long watch where the item is looked at: what a perfect ranker would know."""

    click: NDArray[np.bool_]
    watch_s: Singles
    like: NDArray[np.bool_]
    share: NDArray[np.bool_]
    skip: NDArray[np.bool_]
    session: Floats
    chance: Floats


def sigmoid(logit: NDArray[np.floating]) -> Floats:
    """Logits to probabilities."""
    return 1.0 / (1.0 + np.exp(-logit.astype(np.float64)))


def logit(share: float) -> float:
    """Where `sigmoid` is `share`."""
    return float(np.log(share / (1.0 - share)))


def normal_cdf(deviations: NDArray[np.floating]) -> Floats:
    """The chance that a standard normal lies below."""
    from scipy.special import ndtr

    return ndtr(deviations.astype(np.float64))


def examination(positions: int) -> Floats:
    """Probability that a position is looked at, from 1 at the top, falling as 1 / log2(1 + position)."""
    return 1.0 / np.log2(1.0 + np.arange(1, positions + 1))


def affinity_of(
    truth: Truth, structure: Structure, users: Users, items: Items, who: Ids, slate: Ids, device: Ids, hour: Ids
) -> Singles:
    """How much each user cares for each shown item here and now; shape (slates, positions)."""
    taste = users.interest[who]
    if truth.context_gate:
        taste = taste * structure.gate[device, hour // 6]
    shared = np.einsum("sk,spk->sp", taste, items.vector[slate])
    own = users.topic_quirk[who[:, None], items.topic[slate]] + users.loyalty[who[:, None], items.creator[slate]]
    fits = structure.occasion[device[:, None], hour[:, None] // 6, items.topic[slate]]
    return truth.affinity * shared + truth.crosses * own + truth.occasion * fits


def choose(
    truth: Truth, structure: Structure, users: Users, items: Items, trend: Singles,
    who: Ids, slate: Ids, device: Ids, hour: Ids, luck: Singles, mood: Singles,
) -> Signals:  # fmt: skip
    """What the users `who` do with their slates.

    `trend` is each item's momentary popularity; `luck` are uniforms of shape (slates, positions, 4),
    `mood` normals of shape (slates, positions), so that two policies can be compared under the same luck.
    """
    liking = affinity_of(truth, structure, users, items, who, slate, device, hour)
    engaged = (users.engaged[who] if truth.types_differ else np.full(len(who), 0.5))[:, None].astype(np.float32)
    bait, visible = items.bait[slate], truth.rating * items.rating[slate]
    bored = truth.satiation * users.satiation[who[:, None], items.topic[slate]]
    misfit = np.log(items.duration_s[slate]) - structure.liked_duration[device, hour // 6][:, None]
    fit = -truth.duration_fit * np.minimum(misfit**2, 6.0)
    own = users.click_bias[who] + users.curiosity[who]
    # Casual users click out of curiosity: more often, more on bait, less on what they care for.
    clicks = truth.click_base + own[:, None] + truth.appeal * trend[slate] - bored + visible
    clicks += (0.6 + 0.6 * engaged) * liking + (1.4 - 1.0 * engaged) * truth.bait_click * bait
    clicks += (0.3 - 0.6 * engaged) * float(truth.types_differ)
    click = luck[..., 0] < sigmoid(clicks) * examination(slate.shape[1])
    # Staying is another matter than clicking: quality and fit hold people, bait loses them.
    stay = truth.stay_base + (0.4 + 0.8 * engaged) * liking + truth.quality_watch * items.quality[slate] + fit
    stay += visible + truth.appeal * trend[slate] - truth.bait_watch * bait - 0.5 * bored
    share_watched = sigmoid(stay + truth.mood * mood)
    held = click & (share_watched > 0.5)
    worth = (
        0.5 * liking
        + 0.7 * truth.quality_watch * items.quality[slate]
        - 0.8 * bait * float(truth.bait_watch > 0)
        - 0.5 * bored
    )
    like = held & (luck[..., 1] < sigmoid(-1.6 + 1.2 * engaged + worth + visible))
    share = held & (luck[..., 2] < sigmoid(-3.2 + 0.8 * engaged + worth + visible))
    return Signals(
        click=click,
        watch_s=np.where(click, share_watched * items.duration_s[slate], 0.0).astype(np.float32),
        like=like,
        share=share,
        skip=click & (share_watched < SKIP_SHARE),
        session=session_satisfaction(truth, click, worth),
        chance=sigmoid(clicks) * normal_cdf((stay - logit(LONG_WATCH_SHARE)) / truth.mood),
    )


def session_satisfaction(truth: Truth, click: NDArray[np.bool_], worth: NDArray[np.floating]) -> Floats:
    """The mean worth of what was clicked, in [-2, 2]; a visit that offered nothing disappoints a little."""
    if not truth.moves:
        return np.zeros(len(click))
    clicks = click.sum(axis=1)
    felt = np.where(clicks > 0, (worth * click).sum(axis=1) / np.maximum(clicks, 1) + 0.35, -0.4)
    return np.clip(felt, -2.0, 2.0)
