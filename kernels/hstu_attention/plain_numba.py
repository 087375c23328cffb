"""Plain loops over steps and what lies before them, in numba."""

import math

import numba


@numba.njit(error_model="numpy")
def kernel(q, k, v, bias, y):
    batch, length, heads, width = q.shape
    y[:] = 0
    for row in range(batch):
        for head in range(heads):
            for i in range(length):
                for j in range(i + 1):
                    score = bias[i, j]
                    for column in range(width):
                        score += q[row, i, head, column] * k[row, j, head, column]
                    weight = score / (1 + math.exp(-score)) / length
                    for column in range(width):
                        y[row, i, head, column] += weight * v[row, j, head, column]
