"""Ranking metrics: known values, ties, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evaluations.ranking import Ragged, ndcg_and_recall, ragged, ranks_of


def rows(*lists: list[int]) -> Ragged:
    return ragged([np.array(row, np.int32) for row in lists])


def measured(scores: NDArray[np.float32], seen: Ragged, relevant: Ragged) -> tuple[list[float], list[float]]:
    ndcg, recall = ndcg_and_recall(ranks_of(scores, seen, relevant), relevant)
    return ndcg.tolist(), recall.tolist()


def falling(items: int) -> NDArray[np.float32]:
    """One user whose items are ranked by their numbers."""
    return -np.arange(items, dtype=np.float32)[None, :]


def test_the_first_place_is_worth_one() -> None:
    """One relevant item on top gives both metrics their maximum."""
    assert measured(falling(20), rows([]), rows([0])) == ([1.0], [1.0])


def test_the_third_place_is_discounted_by_the_logarithm() -> None:
    """Rank 3 is worth 1 / log2(4)."""
    assert measured(falling(20), rows([]), rows([2])) == ([0.5], [1.0])


def test_the_eleventh_place_is_worth_nothing() -> None:
    """Below the cutoff nothing counts."""
    assert measured(falling(20), rows([]), rows([10])) == ([0.0], [0.0])


def test_seen_items_are_taken_out_of_the_ranking() -> None:
    """Rank 3 becomes rank 1 when the two above were seen."""
    assert measured(falling(20), rows([0, 1]), rows([2])) == ([1.0], [1.0])


def test_a_set_is_normalised_by_the_best_that_its_size_allows() -> None:
    """Two relevant items on ranks 1 and 2 are perfect; on 1 and 11 they are not."""
    assert measured(falling(20), rows([]), rows([0, 1])) == ([1.0], [1.0])
    ndcg, recall = measured(falling(20), rows([]), rows([0, 10]))
    assert ndcg[0] == pytest.approx(1.0 / (1.0 + 1.0 / np.log2(3.0)))
    assert recall == [0.5]


def test_a_constant_answer_earns_nothing() -> None:
    """Every tie counts against the relevant item."""
    assert measured(np.zeros((2, 30), np.float32), rows([1], [2]), rows([0], [5, 6])) == ([0.0, 0.0], [0.0, 0.0])


def test_a_tie_with_nine_others_is_the_tenth_place() -> None:
    """Ten items tied at the top all have rank 10."""
    scores = np.r_[np.ones(10), np.zeros(20)].astype(np.float32)[None, :]
    assert ranks_of(scores, rows([]), rows([3])).tolist() == [10]


def test_a_user_without_relevant_items_has_no_value() -> None:
    """Undefined is NaN, never zero."""
    ndcg, recall = measured(np.zeros((1, 30), np.float32), rows([1]), rows([]))
    assert np.isnan(ndcg).all() and np.isnan(recall).all()


def test_a_catalogue_shorter_than_the_list_is_ranked() -> None:
    """The cutoff may exceed the catalogue."""
    assert measured(falling(4), rows([]), rows([1])) == ([pytest.approx(1.0 / np.log2(3.0))], [1.0])


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_ranks_are_those_of_a_full_sort(seed: int, users: int) -> None:
    """The partial sort agrees with counting over the whole catalogue, ties included."""
    rng = np.random.default_rng(seed)
    items = 40
    scores = rng.integers(0, 15, (users, items)).astype(np.float32)
    mixed = [rng.permutation(items).astype(np.int32) for _ in range(users)]
    seen = ragged([row[:6] for row in mixed])
    relevant = ragged([row[6 : 6 + 1 + user] for user, row in enumerate(mixed)])
    expected = [
        min(11, int((np.delete(scores[user], seen.row(user)) >= scores[user, item]).sum()))
        for user in range(users)
        for item in relevant.row(user)
    ]
    assert ranks_of(scores, seen, relevant).tolist() == expected


@given(st.integers(0, 10_000))
def test_metrics_are_shares_and_move_with_their_users(seed: int) -> None:
    """Both lie in [0, 1], and permuting the users permutes the values."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(5, 30)).astype(np.float32)
    mixed = [rng.permutation(30).astype(np.int32) for _ in range(5)]
    order = rng.permutation(5)
    straight = measured(scores, ragged([m[:3] for m in mixed]), ragged([m[3:9] for m in mixed]))
    turned = measured(scores[order], ragged([mixed[i][:3] for i in order]), ragged([mixed[i][3:9] for i in order]))
    assert all(0.0 <= value <= 1.0 for values in straight for value in values)
    assert turned == tuple([values[i] for i in order] for values in straight)
