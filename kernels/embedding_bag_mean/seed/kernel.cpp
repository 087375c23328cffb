#include "kernel.h"

void kernel(const float *table, const int64_t *ids, const int64_t *offsets, float *y, int64_t items, int64_t width,
            int64_t bags, int64_t ids_in_all, int threads) {
    for (int64_t bag = 0; bag < bags; ++bag) {
        float *to = y + bag * width;
        for (int64_t column = 0; column < width; ++column) to[column] = 0;
        int64_t count = 0;
        for (int64_t at = offsets[bag]; at < offsets[bag + 1]; ++at) {
            const int64_t id = ids[at];
            if (id < 0 || id >= items) continue;
            ++count;
            for (int64_t column = 0; column < width; ++column) to[column] += table[id * width + column];
        }
        for (int64_t column = 0; count > 1 && column < width; ++column) to[column] /= float(count);
    }
}
