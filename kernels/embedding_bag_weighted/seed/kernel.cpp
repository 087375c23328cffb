#include "kernel.h"

void kernel(const float *table, const int64_t *ids, const int64_t *offsets, const float *weights, float *y,
            int64_t items, int64_t width, int64_t bags, int64_t ids_in_all, int threads) {
    for (int64_t bag = 0; bag < bags; ++bag) {
        float *to = y + bag * width;
        for (int64_t column = 0; column < width; ++column) to[column] = 0;
        for (int64_t at = offsets[bag]; at < offsets[bag + 1]; ++at) {
            const int64_t id = ids[at];
            if (id < 0 || id >= items) continue;
            for (int64_t column = 0; column < width; ++column) to[column] += weights[at] * table[id * width + column];
        }
    }
}
