#include "kernel.h"

void kernel(const float *values, const int64_t *offsets, float *y, int64_t rows, int64_t longest, int64_t width,
            int64_t in_all, int threads) {
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t length = offsets[row + 1] - offsets[row];
        for (int64_t place = 0; place < longest; ++place)
            for (int64_t column = 0; column < width; ++column)
                y[(row * longest + place) * width + column] =
                    place < length ? values[(offsets[row] + place) * width + column] : 0;
    }
}
