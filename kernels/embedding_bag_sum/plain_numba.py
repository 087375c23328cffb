"""A plain loop over bags, their ids and columns, in numba."""

import numba


@numba.njit(error_model="numpy")
def kernel(table, ids, offsets, y):
    for bag in range(y.shape[0]):
        y[bag] = 0
        for at in range(offsets[bag], offsets[bag + 1]):
            row = ids[at]
            if row < 0 or row >= table.shape[0]:
                continue
            for column in range(table.shape[1]):
                y[bag, column] += table[row, column]
