"""The labels and metrics of the space `next_item`: which of all items will a user meet next?

Knows which events are held out; knows nothing of candidates, models or statistics.

A user's events in order, for a history of n events:

    | training prefix: n - 1 - h events | h held-out events | last event |

The last event is the leave-one-out test event. The h events before it (at most 10, fewer where fewer than 5
training events would stay) are judged as a set, from one query: the training prefix. So no label of any split
is ever in training or in a query of that split. Half of the users, by a seeded draw, are for the search and
half for confirmation; the test event of every user is for the final report alone.

Items are numbered 0 .. items - 1; column j of an answer is the score of item j; the number `items` pads.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluations.baselines import EASE_MOST_ITEMS, ease_weights, popularity, seen_matrix
from evaluations.datasets import Interactions
from evaluations.ranking import Ragged, ndcg_and_recall, ragged, ranks_of
from evaluations.task import Batch, Split
from evolve.contracts import Floats
from evolve.errors import DataError

HELD_OUT = 10
LEAST_TRAINING = 5
LEAST_FOR_TEST = 3
HISTORY = 200
"""A query shows a user's last 200 events at most."""

FRAME_BYTES = 32 << 20
MOST_USERS = 512
SMOKE_USERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """One split: for row i the user, the events that may be known, and the items looked for."""

    users: NDArray[np.int64]
    stops: NDArray[np.int64]
    relevant: Ragged


class NextItem:
    """The task over one data set. Implements `evaluations.task.Task`.

    Args:
        log: the interactions.
        folder: where training folders are written; equal ones are found again and not written twice.
        seed: draws which users are for the search and which for confirmation.

    Raises:
        DataError: the log is too small for the splits.
    """

    def __init__(self, log: Interactions, folder: Path, *, seed: int = 0) -> None:
        self._log = log
        self._folder = folder
        self._seed = seed
        self._starts = log.offsets[:-1]
        lengths = np.diff(log.offsets)
        self._tested = lengths >= LEAST_FOR_TEST
        self._test_at = np.where(self._tested, log.offsets[1:] - 1, log.offsets[1:])
        held = np.clip(self._test_at - self._starts - LEAST_TRAINING, 0, HELD_OUT)
        self._prefix_stops = self._test_at - held
        for_search = _drawn_for_search(log.user_count, seed)
        self._splits: dict[Split, Queries] = {
            "search": self._queries(np.flatnonzero(for_search & (held > 0)), self._prefix_stops, self._test_at),
            "confirm": self._queries(np.flatnonzero(~for_search & (held > 0)), self._prefix_stops, self._test_at),
            "test": self._queries(np.flatnonzero(self._tested), self._test_at, log.offsets[1:]),
        }
        self._refuse_tiny()

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("ndcg@10", "recall@10")

    @property
    def digest(self) -> str:
        layout = (HELD_OUT, LEAST_TRAINING, LEAST_FOR_TEST, HISTORY, MOST_USERS, SMOKE_USERS, self._seed)
        return hashlib.sha256(f"{self._log.digest} {layout}".encode()).hexdigest()

    @property
    def items(self) -> int:
        """The size of the catalogue."""
        return self._log.item_count

    def training_folder(self, *, final: bool) -> Path:
        """A folder of `items.npy` (int32, all users' events one after another), `times.npy` (int64 seconds;
        all 0 where unknown), `offsets.npy` (int64, users + 1) and `catalogue.npy` (int64, [items, users])."""
        folder = self._folder / f"next_item-{self.digest[:16]}-{'final' if final else 'search'}"
        if not folder.is_dir():
            _write_folder(folder, self._training(self._test_at if final else self._prefix_stops))
        return folder

    def batches(self, split: Split, rung: str) -> Sequence[Batch]:
        """Queries of `items` (int32, (batch, 200), padded on the right), `times` (int64, the same shape),
        `lengths` (int32) and `users` (int32); answers of shape (batch, catalogue)."""
        queries = self._splits[split]
        return [self._batch(queries, start, stop) for start, stop in self._slices(len(self._asked(split, rung)))]

    def measure(
        self, split: Split, rung: str, answers: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.int64], Mapping[str, Floats]]:
        """NDCG@10 and recall@10 per user among the items the user has not seen; NaN for a user whose held-out
        items were all seen before."""
        users = self._asked(split, rung)
        queries = self._splits[split]
        parts = [
            self._measure_rows(queries, start, stop, scores)
            for (start, stop), scores in zip(self._slices(len(users)), answers, strict=True)
        ]
        ndcg, recall = (np.concatenate([part[metric] for part in parts]) for metric in (0, 1))
        return users, {"ndcg@10": ndcg, "recall@10": recall}

    def floors(self) -> Mapping[str, Mapping[str, float]]:
        """Popularity, and EASE where the catalogue is small enough, on the test split."""
        queries = self._splits["test"]
        histories = self._histories(self._test_at, np.arange(self._log.user_count))
        ranked = {"Popularity": popularity(histories, self.items)[None, :]}
        if self.items <= EASE_MOST_ITEMS:
            ranked["EASE"] = ease_weights(histories, self.items)
        return {name: self._floor(queries, weights) for name, weights in ranked.items()}

    def _floor(self, queries: Queries, weights: NDArray[np.float32]) -> Mapping[str, float]:
        answers = [
            self._plain_scores(queries, start, stop, weights) for start, stop in self._slices(len(queries.users))
        ]
        _, metrics = self.measure("test", "full", answers)
        return {name: float(np.nanmean(values)) for name, values in metrics.items()}

    def _plain_scores(
        self, queries: Queries, start: int, stop: int, weights: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        if len(weights) == 1:
            return np.repeat(weights, stop - start, axis=0)
        return seen_matrix(self._histories(queries.stops[start:stop], queries.users[start:stop]), self.items) @ weights

    def _queries(self, users: NDArray[np.intp], stops: NDArray[np.int64], ends: NDArray[np.int64]) -> Queries:
        wanted: list[NDArray[np.int32]] = []
        for user in users:
            known = self._log.items[self._starts[user] : stops[user]]
            wanted.append(np.setdiff1d(self._log.items[stops[user] : ends[user]], known))
        return Queries(users=users.astype(np.int64), stops=stops[users], relevant=ragged(wanted))

    def _asked(self, split: Split, rung: str) -> NDArray[np.int64]:
        users = self._splits[split].users
        return users[:SMOKE_USERS] if rung == "smoke" else users

    def _slices(self, rows: int) -> list[tuple[int, int]]:
        most = max(1, min(MOST_USERS, FRAME_BYTES // (4 * self.items)))
        return [(start, min(start + most, rows)) for start in range(0, rows, most)]

    def _batch(self, queries: Queries, start: int, stop: int) -> Batch:
        users, stops = queries.users[start:stop], queries.stops[start:stop]
        lengths = np.minimum(stops - self._starts[users], HISTORY)
        columns = np.arange(HISTORY)
        shown = columns < lengths[:, None]
        events = np.where(shown, (stops - lengths)[:, None] + columns, 0)
        times = np.zeros_like(events) if self._log.times is None else self._log.times[events]
        return Batch(
            queries={
                "items": np.where(shown, self._log.items[events], self.items).astype(np.int32),
                "times": np.where(shown, times, 0).astype(np.int64),
                "lengths": lengths.astype(np.int32),
                "users": users.astype(np.int32),
            },
            shape=(stop - start, self.items),
        )

    def _measure_rows(
        self, queries: Queries, start: int, stop: int, scores: NDArray[np.float32]
    ) -> tuple[Floats, Floats]:
        seen = self._histories(queries.stops[start:stop], queries.users[start:stop])
        relevant = queries.relevant.part(start, stop)
        return ndcg_and_recall(ranks_of(scores, seen, relevant), relevant)

    def _histories(self, stops: NDArray[np.int64], users: NDArray[np.int64]) -> Ragged:
        starts = self._starts[users]
        return ragged([self._log.items[start:stop] for start, stop in zip(starts, stops, strict=True)])

    def _training(self, stops: NDArray[np.int64]) -> Mapping[str, NDArray[np.int32] | NDArray[np.int64]]:
        lengths = stops - self._starts
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        kept = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + np.repeat(self._starts, lengths)
        times = np.zeros(len(kept), np.int64) if self._log.times is None else self._log.times[kept]
        catalogue = np.array([self.items, self._log.user_count], np.int64)
        return {"items": self._log.items[kept], "times": times, "offsets": offsets, "catalogue": catalogue}

    def _refuse_tiny(self) -> None:
        smallest = min(len(queries.users) for queries in self._splits.values())
        if smallest < 2 or self.items <= HELD_OUT:
            raise DataError(
                f"data set {self._log.name!r} should have more than {HELD_OUT} items, and in each half of its users two"
                f" with {LEAST_TRAINING + 2} events or more; found {self.items} items, {self._log.user_count} users"
                f" and {len(self._log.items)} events",
                hint="import a larger file",
            )


def _drawn_for_search(users: int, seed: int) -> NDArray[np.bool_]:
    draws = [hashlib.sha256(f"next_item {seed} {user}".encode()).digest()[0] for user in range(users)]
    return np.array(draws, np.uint8) < 128


def _write_folder(folder: Path, arrays: Mapping[str, NDArray[np.int32] | NDArray[np.int64]]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
        part = Path(scratch) / "part"
        part.mkdir()
        for name, values in arrays.items():
            np.save(part / f"{name}.npy", values)
            (part / f"{name}.npy").chmod(0o444)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
