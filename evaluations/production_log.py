"""What the service knows of its own production: every finished day, as features of a visit and as training columns.

Knows nothing of candidates, arms or experiments: all that was served is one log, as on a real service. Nothing of a
user's true interests is in it.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.production import Production, Visits
from evaluations.video_ranking_features import Columns, Past
from evaluations.world import Day
from evaluations.world_log import Log, stored
from evaluations.world_population import CREATORS, DEVICES, TOPICS
from evaluations.world_truth import LONG_WATCH_SHARE

KEPT_DAYS = 28
"""Days back from which models learn."""
MOST_ROWS = 216_280
"""Impressions in a training folder, whole slates drawn from the days kept: as many as the search trains on."""
_CONTEXT = ("user", "item", "position", "propensity", "hour", "device")
_SIGNALS = ("click", "watch_s", "like", "share", "skip")


class ProductionLog:
    """Follows one production, from the log that it began with. `most_items` bounds the catalogue that is to come."""

    def __init__(self, production: Production, log: Log, most_items: int) -> None:
        self._production, self._users, self._most_items = production, production.config.users, most_items
        self._past = Past(self._users, most_items)
        self._days: list[Columns] = []
        columns = log.impressions
        edges = np.searchsorted(columns["day"], np.arange(-log.config.log_days, 1))
        for first, last in pairwise(edges):
            self._take({name: columns[name][first:last] for name in ("day", *_CONTEXT, *_SIGNALS)})
        production.followers.append(self.follow)

    @property
    def items(self) -> Columns:
        """What the service knows of each item."""
        items = self._production.items
        return {name: getattr(items, name) for name in ("born", "topic", "creator", "duration_s", "rating")}

    def follow(self, happened: Day) -> None:
        """Takes a finished day."""
        columns = {name: getattr(happened, name) for name in (*_CONTEXT, *_SIGNALS)}
        self._take({**columns, "day": np.full(len(happened.user), happened.day, dtype=np.int64)})

    def queries(self, visits: Visits) -> Columns:
        """The columns of every retrieved item of every visit, one row each, as a candidate is asked."""
        width = visits.items.shape[1]
        user, hour, device = (np.repeat(column, width) for column in (visits.user, visits.hour, visits.device))
        return self._features(visits.day, user, visits.items.ravel(), hour, device)

    def training_folder(self, folder: Path) -> Path:
        """Columns of the last days in `folder`, made where it is not there."""
        return stored(folder, self._training)

    # --- the parts -----------------------------------------------------------------------------

    def _take(self, day: Columns) -> None:
        """Keeps a day with its features as of its morning, then counts what happened."""
        user, item = day["user"], day["item"]
        features = self._features(int(day["day"][0]), user, item, day["hour"], day["device"])
        day["long_watch"] = day["watch_s"] > LONG_WATCH_SHARE * self.items["duration_s"][item]
        marks = [np.ones(len(user)), day["click"], day["long_watch"], day["like"], day["skip"], day["watch_s"]]
        self._past.add(int(day["day"][0]), user, item, self.items, np.stack(marks, axis=1).astype(np.float64))
        self._days = [*self._days[-KEPT_DAYS + 1 :], {**day, **features}]

    def _features(
        self, day: int, user: NDArray[Any], item: NDArray[Any], hour: NDArray[Any], device: NDArray[Any]
    ) -> Columns:
        items = self.items
        return {
            "user": user.astype(np.int32),
            "item": item.astype(np.int32),
            "topic": items["topic"][item].astype(np.int32),
            "creator": items["creator"][item].astype(np.int32),
            "hour": hour.astype(np.int32),
            "weekday": np.full(len(user), day % 7, dtype=np.int32),
            "device": device.astype(np.int32),
            "dense": self._past.features(day, user, item, items),
            "recent": self._past.recent[user].astype(np.int16),
        }

    def _training(self) -> Columns:
        """The last day has no morrow yet: whether its users came back is not known."""
        kept = [self._thinned(day) for day in self._days]
        rows = {name: np.concatenate([day[name] for day in kept]) for name in kept[0]}
        came = [np.unique(day["user"]) for day in self._days]
        nobody = np.zeros(0, dtype=np.int64)
        returned = [np.isin(day["user"], after) for day, after in zip(kept, [*came[1:], nobody], strict=True)]
        known = rows["day"] < self._days[-1]["day"][0]
        labels = {name: rows[name].astype(np.float32) for name in (*_SIGNALS, "long_watch", "propensity")}
        return {
            **{
                name: rows[name]
                for name in ("user", "item", "topic", "creator", "hour", "weekday", "device", "dense", "recent")
            },
            **labels,
            "duration_s": self.items["duration_s"][rows["item"]],
            "returned": np.concatenate(returned).astype(np.float32),
            "returned_known": known.astype(np.float32),
            "day": rows["day"].astype(np.int32),
            "position": rows["position"].astype(np.int32),
            "sizes": np.array([self._users, self._most_items, TOPICS, CREATORS, DEVICES], dtype=np.int32),
        }

    def _thinned(self, day: Columns) -> Columns:
        """Whole slates of the day, so that all days together hold about MOST_ROWS impressions."""
        whole = sum(len(other["user"]) for other in self._days)
        if whole <= MOST_ROWS:
            return day
        rng = np.random.default_rng([self._production.config.seed, int(day["day"][0]) + 100_000, 77])
        slate = np.cumsum(day["position"] == 0) - 1
        keep = (rng.random(int(slate[-1]) + 1) < MOST_ROWS / whole)[slate]
        return {name: column[keep] for name, column in day.items()}
