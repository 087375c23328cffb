"""The true effect of a ranker on people: two productions that differ in nothing else, under common random numbers.

Only evaluation may ask for it; no decision does. Beside it stand the kinds of worlds and the candidates they offer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from evaluations.production import NEVER, ExportedPolicy, Production, Ranker
from evaluations.world import Day, WorldConfig
from evaluations.world_population import Family, Ids
from evolve.contracts import Floats

NORTH_STAR = (28, 56)
"""Days after a user's first exposure whose active days are the north star: the 29th to the 56th."""
WEEK = 7
WARM_UP = 14
"""Days under the champion alone before day 0 of an experiment: newcomers find their habits, covariates are gathered."""


class Kind(StrEnum):
    """What a world's candidates are worth."""

    NULL = "null"
    ALIGNED = "aligned"
    GOODHART = "goodhart"
    DRIFTING = "drifting"
    TINY = "tiny"


FAMILIES = {
    Kind.NULL: Family.NOISE, Kind.ALIGNED: Family.ALIGNED, Kind.GOODHART: Family.GOODHART,
    Kind.DRIFTING: Family.DRIFTING, Kind.TINY: Family.ALIGNED,
}  # fmt: skip
CHAMPION = ExportedPolicy(name="champion", blur=1.5, bait=0.2)


def candidates(kind: Kind, count: int, seed: int) -> list[ExportedPolicy]:
    """Candidates around the champion, as an offline agent finds them: some sharper, some blunter, some that bait.

    In a tiny world each moves the champion's weights by a few hundredths; nine in ten effects lie within .25 %. In a
    Goodhart world most gain their clicks by bait. In a null world no ranking matters and none is slower, so that every
    true effect is exactly 0.
    """
    rng = np.random.default_rng([seed, 5])
    scale = 0.03 if kind is Kind.TINY else 1.0
    found: list[ExportedPolicy] = []
    for number in range(count):
        sharper, weight, rating, bait = rng.normal(0.0, [0.25, 0.15, 0.15, 0.25]) * scale
        bait = abs(bait) * 2.0 if kind is Kind.GOODHART else bait
        slower = max(0.0, rng.normal(0.0, 0.03)) * scale
        found.append(
            replace(
                CHAMPION, name=f"candidate {number}", blur=max(CHAMPION.blur * np.exp(-sharper), 0.1),
                affinity=CHAMPION.affinity * np.exp(weight), rating=CHAMPION.rating + rating,
                bait=CHAMPION.bait + bait, latency_s=0.0 if kind is Kind.NULL else slower,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What each user of one production did after their first exposure; shape (users,), NaN where never exposed."""

    north_star: Floats
    early_active: Floats
    clicks: Floats
    likes: Floats
    watch_s: Floats
    before: Floats


def live(config: WorldConfig, users: int, ranker: Ranker, champion: Ranker = CHAMPION, enrol: int = WEEK) -> Lived:
    """All users under one ranker from their first visit in the first `enrol` days on, for 56 days each."""
    production = Production(config, users)
    before = np.zeros(users)
    for _ in range(WARM_UP):
        before[np.unique(production.live((champion,)).user)] += 1
    begun, entered = production.day, np.full(users, NEVER, dtype=np.int64)
    sums = {name: np.zeros(users) for name in ("north_star", "early_active", "clicks", "likes", "watch_s")}
    for day in range(begun, begun + enrol + NORTH_STAR[1]):
        if day < begun + enrol:
            _expose(production, entered, day, new=ranker != champion)
        _add(sums, production.live((champion, ranker)), day - entered, users)
    exposed = entered < NEVER
    lived = {name: np.where(exposed, values, np.nan) for name, values in sums.items()}
    return Lived(**lived, before=np.where(exposed, before, np.nan))


def _expose(production: Production, entered: Ids, day: int, *, new: bool) -> None:
    fresh = production.active()
    fresh = fresh[entered[fresh] > day]
    entered[fresh] = day
    production.arm[fresh] = 1
    production.since[fresh] = day if new else NEVER


def _add(sums: dict[str, Floats], happened: Day, age: Ids, users: int) -> None:
    visited = np.bincount(happened.user, minlength=users) > 0
    early = visited & (age >= 0) & (age < WEEK)
    sums["north_star"] += visited & (age >= NORTH_STAR[0]) & (age < NORTH_STAR[1])
    sums["early_active"] += early
    for name, column in (("clicks", happened.click), ("likes", happened.like), ("watch_s", happened.watch_s)):
        sums[name] += np.where(early, np.bincount(happened.user, weights=column, minlength=users), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueEffect:
    """The mean paired difference as a share of the champion's mean, with its standard error over users."""

    effect: float
    standard_error: float


def true_effects(lived: Lived, reference: Lived) -> dict[str, TrueEffect]:
    """Of every metric, from two productions of one seed; users are paired with themselves."""
    found: dict[str, TrueEffect] = {}
    for name in ("north_star", "early_active", "clicks", "likes", "watch_s"):
        gap, base = getattr(lived, name) - getattr(reference, name), float(np.nanmean(getattr(reference, name)))
        count = int(np.isfinite(gap).sum())
        error = float(np.nanstd(gap)) / count**0.5 / base
        found[name] = TrueEffect(effect=float(np.nanmean(gap)) / base, standard_error=error)
    return found
