"""A plain binary search for each value, in numba."""

import numba


@numba.njit(error_model="numpy")
def kernel(x, edges, y):
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            low, high = 0, edges.shape[1]
            while low < high:
                middle = (low + high) // 2
                if edges[column, middle] >= x[row, column]:
                    high = middle
                else:
                    low = middle + 1
            y[row, column] = low
