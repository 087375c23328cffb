"""A plain loop over rows, in numba."""

import math

import numba


@numba.njit(error_model="numpy")
def kernel(x, weight, y, epsilon):
    rows, columns = x.shape
    for row in range(rows):
        total = 0.0
        for column in range(columns):
            total += x[row, column] ** 2
        scale = 1 / math.sqrt(total / columns + epsilon)
        for column in range(columns):
            y[row, column] = x[row, column] * scale * weight[column]
