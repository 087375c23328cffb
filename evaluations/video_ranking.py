"""The `video_ranking` task: splits, queries, labels and metrics over the generated world's log.

Knows nothing of candidates, verdicts or sandboxes. Which days serve what (the log is days -42 to -1):

    train (search and confirm)   -42 .. -14
    short rung                   -13 .. -11     users split in two halves: search, confirm
    full and replicated rungs    -10 .. -4      same halves
    final fit                    -42 .. -4
    test                          -3 .. -1      all users, asked once

A candidate sees all of its queries, and a visit on the next day is itself the label `returned`. So of two
neighbouring days of a user only the first is asked: what is asked never tells who came back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.ranking_metrics import auc_by_user, calibration_by_user, rank_correlation_by_user, ranks_within
from evaluations.task import Batch, Split
from evaluations.video_ranking_features import DENSE, Columns, build_features, long_watch
from evaluations.world import WorldConfig
from evaluations.world_log import Log, digest_of, load_log, stored
from evolve.contracts import Floats

TASK_VERSION = 1
"""Grows with every change that gives other numbers; part of the digest."""

CUT, FINAL_CUT = -13, -3
"""First day that training for the search, and for the final fit, may not see."""
WINDOWS: Mapping[str, tuple[int, int]] = {"short": (-13, -10), "full": (-10, -3), "test": (-3, 0)}
"""First day and the day after the last one of each window of queries."""
SMOKE_ROWS = 512
BATCH_ROWS = 8192

WEIGHTS: Mapping[str, float] = {"long_watch_auc": 0.35, "like_auc": 0.2, "return_auc": 0.1, "engagement_rank": 0.35}
"""What `value` is made of: watching and graded engagement carry most, likes are rarer, and a return is the
most valued signal and by far the noisiest, since one visit holds ten impressions."""
METRICS = ("value", *WEIGHTS, "calibration")

GRADES: Mapping[str, float] = {"click": 1.0, "long": 1.0, "like": 1.0, "share": 1.0, "skip": -2.0}
"""Graded engagement: the sum of these over what happened; an abandoned click is worth less than none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One window's queries and labels for one split; every array has one row a query. `rows` says which
    impressions of the log they are."""

    rows: NDArray[np.int64]
    queries: Columns
    owner: NDArray[np.int64]
    users: NDArray[np.int64]
    fold: NDArray[np.bool_]
    long: NDArray[np.bool_]
    like: NDArray[np.bool_]
    returned: NDArray[np.bool_]
    grade_rank: Floats


def mixed(users: NDArray[np.integer[Any]], salt: int) -> NDArray[np.uint64]:
    """A hash of each user (splitmix64), the same on every machine."""
    with np.errstate(over="ignore"):
        x = users.astype(np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def first_of_neighbours(user: NDArray[np.int64], day: NDArray[np.int64], first: int, last: int) -> NDArray[np.bool_]:
    """Rows of days [first, last) whose user was not already asked on the day before; shape (n,)."""
    asked_before = np.zeros(int(user.max(initial=0)) + 1, dtype=bool)
    keep = np.zeros(len(user), dtype=bool)
    for today in range(first, last):
        rows = np.flatnonzero(day == today)
        rows = rows[~asked_before[user[rows]]]
        keep[rows] = True
        asked_before[:] = False
        asked_before[user[rows]] = True
    return keep


class VideoRanking:
    """The task over one world. `cache` is the folder where worlds and training folders are kept."""

    metrics: tuple[str, ...] = METRICS

    def __init__(self, cache: Path, config: WorldConfig | None = None) -> None:
        self._cache = cache
        self._config = config or WorldConfig()
        self._asked: dict[tuple[str, str], Asked] = {}
        self._features: dict[int, Columns] = {}

    @property
    def digest(self) -> str:
        rules = (TASK_VERSION, CUT, FINAL_CUT, sorted(WINDOWS.items()), sorted(WEIGHTS.items()), sorted(GRADES.items()))
        return hashlib.sha256(f"{digest_of(self._config)}{rules!r}{DENSE!r}".encode()).hexdigest()

    @cached_property
    def log(self) -> Log:
        return load_log(self._config, self._cache)

    def training_folder(self, *, final: bool) -> Path:
        """Columns of the impressions before the cut: features, labels, positions and true propensities.

        `returned` is zero and `returned_known` zero for the last day, whose morrow is not over.
        """
        name = f"{self.digest[:16]}-{'final' if final else 'search'}"
        return stored(self._cache / "video_ranking" / name, lambda: self._training(FINAL_CUT if final else CUT))

    def batches(self, split: Split, rung: str) -> Sequence[Batch]:
        queries = self._window(split, rung).queries
        count = self._rows(split, rung)
        return [
            Batch(
                queries={name: column[first : min(first + BATCH_ROWS, count)] for name, column in queries.items()},
                shape=(min(BATCH_ROWS, count - first),),
            )
            for first in range(0, count, BATCH_ROWS)
        ]

    def measure(
        self, split: Split, rung: str, answers: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.int64], Mapping[str, Floats]]:
        count = self._rows(split, rung)
        return _measure(self._window(split, rung), np.concatenate(answers), count)

    def asked_rows(self, split: Split, rung: str) -> NDArray[np.int64]:
        """Which impressions of the log the queries of a split are, in the order of `batches`; for studies of the
        world, whose truth of each impression is known."""
        return self._window(split, rung).rows[: self._rows(split, rung)]

    def floors(self) -> Mapping[str, Mapping[str, float]]:
        """Popularity (clicks an item had in the final training log) and random order, on the test split."""
        asked = self._window("test", "full")
        clicks = asked.queries["dense"][:, DENSE.index("item_clicks")]
        luck = np.random.default_rng(self._config.seed).random(len(clicks), dtype=np.float32)
        rows = {"popularity": clicks, "random": luck}
        return {
            name: {metric: _mean(values) for metric, values in _measure(asked, answer, len(answer))[1].items()}
            for name, answer in rows.items()
        }

    def _rows(self, split: Split, rung: str) -> int:
        count = len(self._window(split, rung).owner)
        return min(SMOKE_ROWS, count) if rung == "smoke" else count

    def _window(self, split: Split, rung: str) -> Asked:
        window = "test" if split == "test" else "short" if rung in ("smoke", "short") else "full"
        if (split, window) not in self._asked:
            self._asked[split, window] = self._ask(split, window)
        return self._asked[split, window]

    def _features_at(self, cut: int) -> Columns:
        if cut not in self._features:
            self._features[cut] = build_features(self.log, frozen=cut)
        return self._features[cut]

    def _ask(self, split: Split, window: str) -> Asked:
        """The window's queries in an order that is shuffled by a hash, so that it tells nothing."""
        impressions, (first, last) = self.log.impressions, WINDOWS[window]
        keep = first_of_neighbours(impressions["user"], impressions["day"], first, last)
        if split != "test":
            keep &= (mixed(impressions["user"], self._config.seed + 1) & np.uint64(1) == 0) == (split == "search")
        rows = np.flatnonzero(keep)
        rows = rows[np.argsort(mixed(rows, self._config.seed + 2), kind="stable")]
        users, owner = np.unique(impressions["user"][rows], return_inverse=True)
        marks = {name: impressions[name][rows] for name in ("click", "like", "share", "skip")}
        marks["long"] = long_watch(self.log)[rows]
        grade = np.sum([weight * marks[name] for name, weight in GRADES.items()], axis=0)
        features = self._features_at(FINAL_CUT if split == "test" else CUT)
        return Asked(
            rows=rows,
            queries={name: column[rows] for name, column in features.items()},
            owner=owner.astype(np.int64),
            users=users.astype(np.int64),
            fold=mixed(users, self._config.seed + 3) & np.uint64(1) == 0,
            long=marks["long"],
            like=marks["like"],
            returned=impressions["returned"][rows],
            grade_rank=ranks_within(owner, grade),
        )

    def _training(self, cut: int) -> Columns:
        impressions = self.log.impressions
        rows = slice(0, int(np.searchsorted(impressions["day"], cut)))
        known = impressions["day"][rows] < cut - 1
        columns = {name: column[rows] for name, column in self._features_at(cut).items()}
        labels = {
            name: impressions[name][rows].astype(np.float32) for name in ("click", "watch_s", "like", "share", "skip")
        }
        return (
            columns
            | labels
            | {
                "long_watch": long_watch(self.log)[rows].astype(np.float32),
                "duration_s": self.log.items["duration_s"][impressions["item"][rows]],
                "returned": (impressions["returned"][rows] & known).astype(np.float32),
                "returned_known": known.astype(np.float32),
                "day": impressions["day"][rows].astype(np.int32),
                "position": impressions["position"][rows].astype(np.int32),
                "propensity": impressions["propensity"][rows],
                "sizes": self._sizes(),
            }
        )

    def _sizes(self) -> NDArray[np.int32]:
        """How many users, items, topics, creators and devices there are."""
        from evaluations.world_population import CREATORS, DEVICES, TOPICS

        return np.array([self._config.users, len(self.log.items["born"]), TOPICS, CREATORS, DEVICES], dtype=np.int32)


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _measure(asked: Asked, answer: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], Mapping[str, Floats]]:
    """Metrics of the first `count` queries; users without a query among them are NaN."""
    owner, users = asked.owner[:count], len(asked.users)
    ranks = ranks_within(owner, answer)
    grade_rank = asked.grade_rank if count == len(asked.owner) else ranks_within(owner, asked.grade_rank[:count])
    found: dict[str, Floats] = {
        "long_watch_auc": auc_by_user(owner, users, ranks, asked.long[:count]),
        "like_auc": auc_by_user(owner, users, ranks, asked.like[:count]),
        "return_auc": auc_by_user(owner, users, ranks, asked.returned[:count]),
        "engagement_rank": rank_correlation_by_user(owner, users, ranks, grade_rank),
    }
    calibration = calibration_by_user(owner, users, asked.fold[owner], answer, asked.long[:count])
    return asked.users, {"value": _value(found), **found, "calibration": calibration}


def _value(found: Mapping[str, Floats]) -> Floats:
    """The weighted mean of the parts that a user has, all on [0, 1] with 0.5 for a random order."""
    parts = np.stack([(found[name] + 1) / 2 if name == "engagement_rank" else found[name] for name in WEIGHTS])
    weights = np.array(list(WEIGHTS.values()))[:, None] * np.isfinite(parts)
    total = weights.sum(axis=0)
    return np.divide(
        (weights * np.nan_to_num(parts)).sum(axis=0), total, out=np.full(parts.shape[1], np.nan), where=total > 0
    )
