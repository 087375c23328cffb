#include "kernel.h"

void kernel(const float *x, float *y, int64_t batch, int64_t features, int64_t width, int threads) {
    for (int64_t row = 0; row < batch; ++row) {
        const float *from = x + row * features * width;
        for (int64_t i = 1; i < features; ++i)
            for (int64_t j = 0; j < i; ++j) {
                float sum = 0;
                for (int64_t column = 0; column < width; ++column) sum += from[i * width + column] * from[j * width + column];
                *y++ = sum;
            }
    }
}
