"""A plain loop over rows, in numba."""

import math

import numba


@numba.njit(error_model="numpy")
def kernel(x, weight, dy, dx, dweight, epsilon):
    rows, columns = x.shape
    dweight[:] = 0
    for row in range(rows):
        squares, products = 0.0, 0.0
        for column in range(columns):
            squares += x[row, column] ** 2
            products += dy[row, column] * weight[column] * x[row, column]
        scale = 1 / math.sqrt(squares / columns + epsilon)
        shared = products / columns * scale**3
        for column in range(columns):
            dx[row, column] = scale * dy[row, column] * weight[column] - x[row, column] * shared
            dweight[column] += dy[row, column] * x[row, column] * scale
