"""Popularity and EASE against their definitions."""

from __future__ import annotations

import numpy as np

from evaluations.baselines import ease_weights, popularity, seen_matrix
from evaluations.ranking import ragged

HISTORIES = ragged([np.array(row, np.int32) for row in ([0, 1], [0, 1, 2], [2, 3], [0, 1])])


def test_popularity_counts_events() -> None:
    """An item's score is how often it occurs."""
    assert popularity(HISTORIES, 5).tolist() == [3.0, 3.0, 2.0, 1.0, 0.0]


def test_the_seen_matrix_marks_what_was_seen() -> None:
    """One row a user."""
    assert seen_matrix(HISTORIES, 4).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]]


def test_ease_weights_solve_the_constrained_ridge_regression() -> None:
    """The diagonal is zero, and off it the gradient of the penalised squared error vanishes."""
    penalty = 0.7
    seen = seen_matrix(HISTORIES, 4).astype(np.float64)
    weights = ease_weights(HISTORIES, 4, penalty).astype(np.float64)
    gradient = seen.T @ (seen @ weights - seen) + penalty * weights
    off_diagonal = ~np.eye(4, dtype=bool)
    assert np.diag(weights).tolist() == [0.0] * 4
    assert np.abs(gradient[off_diagonal]).max() < 1e-5


def test_ease_recommends_what_goes_together() -> None:
    """Who has seen item 0 is shown item 1 before item 3."""
    weights = ease_weights(HISTORIES, 4, 1.0)
    assert weights[0, 1] > weights[0, 3]
