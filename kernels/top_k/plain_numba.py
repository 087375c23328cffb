"""A plain loop over items that keeps the best so far in order, in numba."""

import math

import numba


@numba.njit(error_model="numpy")
def kernel(queries, catalogue, scores, ids, k):
    for query in range(queries.shape[0]):
        scores[query] = -math.inf
        ids[query] = -1
        for item in range(catalogue.shape[0]):
            score = 0.0
            for column in range(queries.shape[1]):
                score += queries[query, column] * catalogue[item, column]
            if ids[query, k - 1] >= 0 and score <= scores[query, k - 1]:
                continue
            place = k - 1
            while place > 0 and (ids[query, place - 1] < 0 or score > scores[query, place - 1]):
                scores[query, place] = scores[query, place - 1]
                ids[query, place] = ids[query, place - 1]
                place -= 1
            scores[query, place] = score
            ids[query, place] = item
