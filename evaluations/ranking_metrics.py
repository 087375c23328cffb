"""Loss-independent ranking metrics, one number per user, NaN where undefined.

Knows nothing of models, features or splits. All work on flat rows with an owner each, in
O(n log n), so that thousands of users cost milliseconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Floats

Owners = NDArray[np.int64]


def ranks_within(owner: Owners, values: NDArray[np.floating]) -> Floats:
    """Rank of each row among its owner's rows from 1 on, ties averaged; shape (n,)."""
    order = np.lexsort((values, owner))
    sorted_owner, sorted_value = owner[order], values[order]
    starts_owner = np.r_[True, sorted_owner[1:] != sorted_owner[:-1]]
    starts_tie = starts_owner | np.r_[True, sorted_value[1:] != sorted_value[:-1]]
    first = np.flatnonzero(starts_tie)
    size = np.diff(np.r_[first, len(order)])
    middle = np.repeat(first + (size + 1) / 2.0, size)
    owner_first = np.flatnonzero(starts_owner)
    offset = np.repeat(owner_first, np.diff(np.r_[owner_first, len(order)]))
    ranks = np.empty(len(order))
    ranks[order] = middle - offset
    return ranks


def auc_by_user(owner: Owners, users: int, ranks: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Probability that a user's positive row is ranked over a negative one, ties half; shape (users,).
    `ranks` come from `ranks_within`; `owner` counts from 0 to `users` - 1."""
    rows = np.bincount(owner, minlength=users).astype(np.float64)
    hits = np.bincount(owner[positive], minlength=users).astype(np.float64)
    total = np.bincount(owner[positive], ranks[positive], minlength=users)
    pairs = hits * (rows - hits)
    return np.divide(total - hits * (hits + 1) / 2, pairs, out=np.full(users, np.nan), where=pairs > 0)


def rank_correlation_by_user(owner: Owners, users: int, left: Floats, right: Floats) -> Floats:
    """Spearman's correlation of two rankings from `ranks_within`, per user; undefined where one is constant."""
    rows = np.maximum(np.bincount(owner, minlength=users), 1).astype(np.float64)

    def centred(ranks: Floats) -> Floats:
        return ranks - (np.bincount(owner, ranks, minlength=users) / rows)[owner]

    a, b = centred(left), centred(right)
    scale = np.sqrt(np.bincount(owner, a * a, minlength=users) * np.bincount(owner, b * b, minlength=users))
    product = np.bincount(owner, a * b, minlength=users)
    return np.divide(product, scale, out=np.full(users, np.nan), where=scale > 1e-9)


def calibration_by_user(
    owner: Owners, users: int, fold: NDArray[np.bool_], values: NDArray[np.floating], outcome: NDArray[np.bool_]
) -> Floats:
    """Minus the gap between a user's mean outcome and its mean calibrated prediction; shape (users,).

    The isotonic map of one fold of users is fitted on the other, so any monotone change of `values` leaves
    the figure as it is: a candidate may predict on its own scale (Zadrozny & Elkan 2002).
    """
    calibrated = np.empty(len(values))
    for side in (False, True):
        calibrated[fold == side] = _isotonic(values[fold != side], outcome[fold != side], values[fold == side])
    rows = np.bincount(owner, minlength=users).astype(np.float64)
    gap = np.abs(np.bincount(owner, calibrated - outcome, minlength=users))
    return np.divide(-gap, rows, out=np.full(users, np.nan), where=rows > 0)


def _isotonic(values: NDArray[np.floating], outcome: NDArray[np.bool_], asked: NDArray[np.floating]) -> Floats:
    """The monotone step function that fits `outcome` best, at `asked`; half where nothing can be fitted."""
    from scipy.optimize import isotonic_regression

    if not len(values):
        return np.full(len(asked), 0.5)
    points, where = np.unique(values, return_inverse=True)
    weight = np.bincount(where).astype(np.float64)
    mean = np.bincount(where, outcome) / weight
    fitted = np.asarray(isotonic_regression(mean, weights=weight).x, dtype=np.float64)
    return fitted[np.clip(np.searchsorted(points, asked, side="right") - 1, 0, len(points) - 1)]
