"""Two plain rankers that any promoted candidate must beat. Know nothing of splits or metrics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evaluations.ranking import Ragged

EASE_PENALTY = 500.0
EASE_MOST_ITEMS = 8_000
"""Beyond this catalogue the inverse costs minutes and gigabytes, so EASE is left out."""


def popularity(histories: Ragged, items: int) -> NDArray[np.float32]:
    """How often each item occurs in the histories: the same scores for every user, shape (items,)."""
    return np.bincount(histories.values, minlength=items).astype(np.float32)


def ease_weights(histories: Ragged, items: int, penalty: float = EASE_PENALTY) -> NDArray[np.float32]:
    """Item-to-item weights of shape (items, items) in closed form (Steck 2019, "Embarrassingly shallow autoencoders").

    A user's scores are the sum of the rows of what the user has seen.
    """
    seen = seen_matrix(histories, items)
    gram = (seen.T @ seen).astype(np.float64)
    gram[np.diag_indices(items)] += penalty
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights.astype(np.float32)


def seen_matrix(histories: Ragged, items: int) -> NDArray[np.float32]:
    """1 where the user has seen the item, shape (users, items)."""
    matrix = np.zeros((len(histories), items), np.float32)
    matrix[histories.rows, histories.values] = 1.0
    return matrix
