"""What a service could know before each impression: features computed from the log's past alone.

Knows nothing of splits, metrics or candidates. Counts are as of the start of a day; from `frozen` on they
stay as they were at the start of that day, so that no label of a later day is ever inside a feature.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.world_log import Log
from evaluations.world_population import CREATORS, TOPICS
from evaluations.world_truth import LONG_WATCH_SHARE

Columns = dict[str, NDArray[Any]]

RECENT = 10
"""How many of a user's last clicked items are told, newest first; -1 where there are fewer."""

USER_COUNTS = ("impressions", "clicks", "long_watches", "likes", "skips", "watch_s", "visits")
ITEM_COUNTS = ("impressions", "clicks", "long_watches", "likes", "skips", "watch_s")
DENSE = (
    *(f"user_{name}" for name in USER_COUNTS),
    *(f"item_{name}" for name in ITEM_COUNTS),
    "user_click_rate", "user_long_rate", "user_like_rate", "user_skip_rate", "user_idle_days",
    "item_click_rate", "item_long_rate", "item_like_rate", "item_skip_rate", "item_age_days", "item_fresh",
    "item_rating", "item_duration_s", "topic_impressions", "topic_clicks", "topic_long_watches",
    "creator_impressions", "creator_clicks", "creator_long_watches",
    "topic_click_rate", "topic_long_rate", "creator_click_rate", "creator_long_rate",
)  # fmt: skip
"""The dense features in the order of the columns of `dense`. Counts are raw, hence heavy-tailed."""


def long_watch(log: Log) -> NDArray[np.bool_]:
    """Whether an impression was watched for over LONG_WATCH_SHARE of its item's duration; (impressions,)."""
    columns = log.impressions
    return columns["watch_s"] > LONG_WATCH_SHARE * log.items["duration_s"][columns["item"]]


class Past:
    """Counters of all that has happened so far."""

    def __init__(self, users: int, items: int) -> None:
        self.user = np.zeros((users, len(USER_COUNTS)))
        self.item = np.zeros((items, len(ITEM_COUNTS)))
        self.topic = np.zeros((users, TOPICS, 3))
        self.creator = np.zeros((users, CREATORS, 3))
        self.seen_day = np.full(users, -60, dtype=np.int64)
        self.recent = np.full((users, RECENT), -1, dtype=np.int64)

    def add(self, day: int, user: NDArray[Any], item: NDArray[Any], items: Columns, marks: NDArray[np.float64]) -> None:
        """`marks` has shape (impressions, 6): one, click, long watch, like, skip, seconds."""
        for column in range(marks.shape[1]):
            self.user[:, column] += np.bincount(user, marks[:, column], minlength=len(self.user))
            self.item[:, column] += np.bincount(item, marks[:, column], minlength=len(self.item))
        visitors = np.unique(user)
        self.user[visitors, 6] += 1
        self.seen_day[visitors] = day
        for table, kind in ((self.topic, "topic"), (self.creator, "creator")):
            cell = user * table.shape[1] + items[kind][item]
            for column in range(3):
                added = np.bincount(cell, marks[:, column], minlength=table.shape[0] * table.shape[1])
                table[..., column] += added.reshape(table.shape[:2])
        self._remember(user[marks[:, 1] > 0], item[marks[:, 1] > 0])

    def _remember(self, user: NDArray[Any], item: NDArray[Any]) -> None:
        """Puts the day's clicks before the older ones; rows of a user are adjacent and in the slate's order."""
        visitors, first, count = np.unique(user, return_index=True, return_counts=True)
        for back in range(int(count.max(initial=0))):
            has = count > back
            rows = visitors[has]
            self.recent[rows, 1:] = self.recent[rows, :-1].copy()
            self.recent[rows, 0] = item[first[has] + back]

    def features(self, day: int, user: NDArray[Any], item: NDArray[Any], items: Columns) -> NDArray[np.float32]:
        of_user, of_item = self.user[user], self.item[item]
        age = (day - items["born"][item]).astype(np.float64)
        of_topic, of_creator = self.topic[user, items["topic"][item]], self.creator[user, items["creator"][item]]
        blocks = [
            of_user,
            of_item,
            _rates(of_user, (2.0, 8.0)),
            (day - self.seen_day[user])[:, None],
            _rates(of_item, (3.0, 15.0)),
            np.stack([age, np.exp(-age / 4.0), items["rating"][item], items["duration_s"][item]], axis=1),
            of_topic,
            of_creator,
            (of_topic[:, 1:] + (1.0, 0.5)) / (of_topic[:, :1] + 4.0),
            (of_creator[:, 1:] + (1.0, 0.5)) / (of_creator[:, :1] + 4.0),
        ]
        return np.concatenate(blocks, axis=1).astype(np.float32)


def _rates(counts: NDArray[np.float64], prior: tuple[float, float]) -> NDArray[np.float64]:
    """Smoothed clicks per impression, and long watches, likes and skips per click; shape (n, 4)."""
    hits, trials = prior
    clicks = counts[:, 1] + trials
    parts = [(counts[:, 1] + hits) / (counts[:, 0] + trials)]
    parts += [(counts[:, column] + hits * share) / clicks for column, share in ((2, 1.5), (3, 0.6), (4, 0.6))]
    return np.stack(parts, axis=1)


def build_features(log: Log, *, frozen: int) -> Columns:
    """Serving-time columns of every impression, each of shape (impressions,) but `dense` (impressions,
    len(DENSE)) and `recent` (impressions, RECENT); nothing that happened on day `frozen` or later is in
    any of them but the impression's own user, item, hour and device."""
    columns, items = log.impressions, dict(log.items)
    marks = np.stack(
        [np.ones(len(columns["user"])), columns["click"], long_watch(log), columns["like"], columns["skip"],
         columns["watch_s"]], axis=1,
    ).astype(np.float64)  # fmt: skip
    past = Past(log.config.users, len(items["born"]))
    dense = np.empty((len(marks), len(DENSE)), dtype=np.float32)
    recent = np.empty((len(marks), RECENT), dtype=np.int16)
    edges = np.searchsorted(columns["day"], np.arange(-log.config.log_days, 1))
    for day, (first, last) in zip(range(-log.config.log_days, 0), pairwise(edges), strict=False):
        user, item = columns["user"][first:last], columns["item"][first:last]
        dense[first:last] = past.features(day, user, item, items)
        recent[first:last] = past.recent[user]
        if day < frozen:
            past.add(day, user, item, items, marks[first:last])
    item = columns["item"]
    return {
        "user": columns["user"].astype(np.int32),
        "item": item.astype(np.int32),
        "topic": items["topic"][item].astype(np.int32),
        "creator": items["creator"][item].astype(np.int32),
        "hour": columns["hour"].astype(np.int32),
        "weekday": (columns["day"] % 7).astype(np.int32),
        "device": columns["device"].astype(np.int32),
        "dense": dense,
        "recent": recent,
    }
