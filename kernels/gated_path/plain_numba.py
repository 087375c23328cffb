"""A plain loop over all elements, in numba."""

import math

import numba


@numba.njit(error_model="numpy")
def kernel(gate, value, residual, y):
    for row in range(gate.shape[0]):
        for column in range(gate.shape[1]):
            opened = gate[row, column] / (1 + math.exp(-gate[row, column]))
            y[row, column] = residual[row, column] + opened * value[row, column]
