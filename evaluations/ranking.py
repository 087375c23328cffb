"""Ranking metrics over a whole catalogue. Knows nothing of data sets, splits or candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Floats

CUTOFF = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Ragged:
    """Rows of unequal length: row i is values[offsets[i]:offsets[i + 1]]."""

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> NDArray[np.int32]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """For every value the number of its row."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.lengths)

    def part(self, start: int, stop: int) -> Ragged:
        """Rows from `start` up to `stop`."""
        offsets = self.offsets[start : stop + 1]
        return Ragged(values=self.values[offsets[0] : offsets[-1]], offsets=offsets - offsets[0])


def ragged(rows: list[NDArray[np.int32]]) -> Ragged:
    """Packs rows into one value."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in rows], dtype=np.int64)])
    return Ragged(values=np.concatenate([np.zeros(0, np.int32), *rows]).astype(np.int32), offsets=offsets)


def ranks_of(scores: NDArray[np.float32], seen: Ragged, relevant: Ragged, cutoff: int = CUTOFF) -> NDArray[np.int64]:
    """The rank, from 1, of every relevant item among the unseen ones; cutoff + 1 stands for "not in the list".

    Every tie counts against the relevant item, so a constant answer earns nothing and no order of the
    catalogue can help.

    Args:
        scores: shape (users, items), greater is better.
        seen: per user the items that are taken out of the ranking.
        relevant: per user the items looked for; none of them seen.
        cutoff: the length of the list.

    Returns:
        Shape (relevant values,).
    """
    masked = scores.copy()
    masked[seen.rows, seen.values] = -np.inf
    head = min(cutoff + 1, masked.shape[1])
    best = np.partition(masked, masked.shape[1] - head, axis=1)[:, -head:]
    own = masked[relevant.rows, relevant.values]
    at_least_as_good = (best[relevant.rows] >= own[:, None]).sum(axis=1)
    return np.clip(at_least_as_good, 1, cutoff + 1).astype(np.int64)


def ndcg_and_recall(ranks: NDArray[np.int64], relevant: Ragged, cutoff: int = CUTOFF) -> tuple[Floats, Floats]:
    """NDCG and recall at `cutoff` per user, each of shape (users,); NaN for a user with nothing relevant.

    NDCG is normalised by the best that a set of the user's size allows (Järvelin & Kekäläinen 2002); recall
    by the size itself, or the cutoff where that is smaller.
    """
    hits = ranks <= cutoff
    gains = np.where(hits, 1.0 / np.log2(ranks + 1.0), 0.0)
    users = len(relevant)
    reachable = np.minimum(relevant.lengths, cutoff)
    ideal = np.concatenate([np.zeros(1), np.cumsum(1.0 / np.log2(np.arange(1, cutoff + 1) + 1.0))])[reachable]
    with np.errstate(invalid="ignore"):
        ndcg = np.bincount(relevant.rows, weights=gains, minlength=users) / ideal
        recall = np.bincount(relevant.rows, weights=hits.astype(float), minlength=users) / reachable
    return ndcg, recall
