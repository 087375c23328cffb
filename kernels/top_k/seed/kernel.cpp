#include "kernel.h"
#include <limits>

void kernel(const float *queries, const float *catalogue, float *scores, int64_t *ids, int64_t batch, int64_t items,
            int64_t width, int64_t k, int threads) {
    for (int64_t query = 0; query < batch; ++query) {
        float *best = scores + query * k;
        int64_t *named = ids + query * k;
        for (int64_t place = 0; place < k; ++place) {
            best[place] = -std::numeric_limits<float>::infinity();
            named[place] = -1;
        }
        for (int64_t item = 0; item < items; ++item) {
            float score = 0;
            for (int64_t column = 0; column < width; ++column)
                score += queries[query * width + column] * catalogue[item * width + column];
            if (score <= best[k - 1] && named[k - 1] >= 0) continue;
            int64_t place = k - 1;
            for (; place > 0 && (score > best[place - 1] || named[place - 1] < 0); --place) {
                best[place] = best[place - 1];
                named[place] = named[place - 1];
            }
            best[place] = score;
            named[place] = item;
        }
    }
}
