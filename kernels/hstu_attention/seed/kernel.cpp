#include "kernel.h"
#include <cmath>

void kernel(const float *q, const float *k, const float *v, const float *bias, float *y, int64_t batch, int64_t length,
            int64_t heads, int64_t width, int threads) {
    const int64_t step = heads * width;
    for (int64_t row = 0; row < batch; ++row)
        for (int64_t i = 0; i < length; ++i)
            for (int64_t head = 0; head < heads; ++head) {
                const int64_t start = row * length * step + head * width;
                float *to = y + start + i * step;
                for (int64_t column = 0; column < width; ++column) to[column] = 0;
                for (int64_t j = 0; j <= i; ++j) {
                    float score = 0;
                    for (int64_t column = 0; column < width; ++column)
                        score += q[start + i * step + column] * k[start + j * step + column];
                    score += bias[i * length + j];
                    const float weight = score / (1 + std::exp(-score)) / length;
                    for (int64_t column = 0; column < width; ++column) to[column] += weight * v[start + j * step + column];
                }
            }
}
