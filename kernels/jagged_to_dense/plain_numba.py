"""A plain loop over places, zeros behind the last value, in numba."""

import numba


@numba.njit(error_model="numpy")
def kernel(values, offsets, y, longest):
    for row in range(y.shape[0]):
        length = offsets[row + 1] - offsets[row]
        for place in range(longest):
            if place < length:
                y[row, place] = values[offsets[row] + place]
            else:
                y[row, place] = 0
