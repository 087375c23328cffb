// One head of one sequence at a time: scores, SiLU and the weighted sum of a block of steps while they are in the first
// cache; what lies in the future is never reckoned, but for the rest of a tile.
#include <vector>

// Scores become weights in place: silu(score + bias) * share, zero from `limit` on.
INLINE void weigh(float* scores, const float* bias, int64_t length, int64_t limit, int64_t reach, float share) {
  for (int64_t j = 0; j < reach; j += W) {
    const vec score = load(scores + j) + (j + W <= length ? load(bias + j) : load_some(bias + j, length - j));
    const vec weight = silu(score) * share;
    const int64_t seen = limit - j;
    if (seen >= W) {
      store(scores + j, weight);
    } else {
      store(scores + j, vec{});
      if (seen > 0) store_some(scores + j, weight, seen);
    }
  }
}

void kernel(const float* q, const float* k, const float* v, const float* bias, float* y, int64_t batch, int64_t length,
            int64_t heads, int64_t width, int threads) {
  const int64_t step = heads * width, across = up_to_vectors(length), deep = up_to_vectors(width);
  const bool in_place = width == deep;  // else the values get room for whole vectors
  const float share = 1.0f / float(length);
#pragma omp parallel num_threads(threads) if (batch * heads * length * length * width > ALONE)
  {
    std::vector<float> keys(width * across), values(in_place ? 0 : length * deep);
    std::vector<float> weights(BLOCK * across), sums(BLOCK * deep);
#pragma omp for collapse(2) schedule(dynamic, 1)
    for (int64_t row = 0; row < batch; row++)
      for (int64_t head = 0; head < heads; head++) {
        const int64_t start = row * length * step + head * width;
        transpose(k + start, step, length, width, keys.data(), across, across);
        for (int64_t j = 0; !in_place && j < length; j++)
          std::memcpy(values.data() + j * deep, v + start + j * step, width * sizeof(float));
        const float* right = in_place ? v + start : values.data();
        for (int64_t i = 0; i < length; i += BLOCK) {
          const int64_t rows = least(BLOCK, length - i), reach = i + rows;
          product(rows, q + start + i * step, step, keys.data(), across, weights.data(), across, width,
                  up_to_vectors(reach));
          for (int64_t r = 0; r < rows; r++)
            weigh(weights.data() + r * across, bias + (i + r) * length, length, i + r + 1, reach, share);
          product(rows, weights.data(), across, right, in_place ? step : deep, sums.data(), deep, reach, deep);
          for (int64_t r = 0; r < rows; r++)
            std::memcpy(y + start + (i + r) * step, sums.data() + r * deep, width * sizeof(float));
        }
      }
  }
}
