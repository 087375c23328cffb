#include "kernel.h"

void kernel(const float *x, const float *edges, int64_t *y, int64_t rows, int64_t columns, int64_t edges_each, int threads) {
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column) {
            const float value = x[row * columns + column], *mine = edges + column * edges_each;
            int64_t low = 0, high = edges_each;
            while (low < high) {
                const int64_t middle = (low + high) / 2;
                if (!(mine[middle] >= value)) low = middle + 1;
                else high = middle;
            }
            y[row * columns + column] = low;
        }
}
