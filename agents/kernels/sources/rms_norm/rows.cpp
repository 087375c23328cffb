// Each row twice: once from memory for its scale, once from the first cache to apply it, while the next row is asked for.
// Short rows go together, so that one's sum does not wait for the other's root; the result goes around the caches where
// it is large.
INLINE float squares_of(const float* x, int64_t columns) {
  constexpr int step = UNROLL * W;
  vec sum[UNROLL] = {};
  int64_t i = 0;
  for (; i + step <= columns; i += step)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; u++) {
      const vec v = load(x + i + u * W);
      sum[u] += v * v;
    }
  for (; i + W <= columns; i += W) sum[0] += load(x + i) * load(x + i);
  if (i < columns) {
    const vec v = load_some(x + i, columns - i);
    sum[0] += v * v;
  }
  for (int u = 1; u < UNROLL; u++) sum[0] += sum[u];
  return total(sum[0]);
}

template <int R, bool AROUND>
INLINE void together(const float* x, const float* weight, float* y, int64_t columns, float epsilon) {
  float scale[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) scale[r] = squares_of(x + r * columns, columns);
  for (int r = 0; r < R; r++) scale[r] = 1.0f / std::sqrt(scale[r] / float(columns) + epsilon);
  int64_t i = 0;
  for (; i + W <= columns; i += W) {
    const vec w = load(weight + i);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
      const float* from = x + r * columns + i;
      float* to = y + r * columns + i;
      if (AHEAD && i % 16 == 0) __builtin_prefetch(from + R * columns);
      const vec v = load(from) * scale[r] * w;
      AROUND ? stream(to, v) : store(to, v);
    }
  }
  if (const int64_t rest = columns - i)
    for (int r = 0; r < R; r++) {
      const int64_t at = r * columns + i;
      store_some(y + at, load_some(x + at, rest) * scale[r] * load_some(weight + i, rest), rest);
    }
}

void kernel(const float* x, const float* weight, float* y, int64_t rows, int64_t columns, double epsilon,
            int threads) {
  const int64_t size = rows * columns, whole = ROWS * columns <= 2048 ? rows / ROWS * ROWS : 0;
  const bool around = size > int64_t(STREAM) << 8 && is_aligned(y) && columns % W == 0;  // STREAM is in KiB
#pragma omp parallel num_threads(threads) if (size > ALONE)
  {
#pragma omp for schedule(static) nowait
    for (int64_t r = 0; r < whole; r += ROWS)
      around ? together<ROWS, true>(x + r * columns, weight, y + r * columns, columns, float(epsilon))
             : together<ROWS, false>(x + r * columns, weight, y + r * columns, columns, float(epsilon));
#pragma omp for schedule(static)
    for (int64_t r = whole; r < rows; r++)
      around ? together<1, true>(x + r * columns, weight, y + r * columns, columns, float(epsilon))
             : together<1, false>(x + r * columns, weight, y + r * columns, columns, float(epsilon));
    streamed();
  }
}
