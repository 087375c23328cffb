// Each row twice: once from memory for its scale, once from the first cache to apply it.
INLINE void row(const float* x, const float* weight, float* y, int64_t columns, float epsilon) {
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
  const float scale = 1.0f / std::sqrt(total(sum[0]) / float(columns) + epsilon);
  for (i = 0; i + W <= columns; i += W) store(y + i, load(x + i) * scale * load(weight + i));
  if (i < columns)
    store_some(y + i, load_some(x + i, columns - i) * scale * load_some(weight + i, columns - i), columns - i);
}

void kernel(const float* x, const float* weight, float* y, int64_t rows, int64_t columns, double epsilon,
            int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (rows * columns > ALONE)
  for (int64_t r = 0; r < rows; r++) row(x + r * columns, weight, y + r * columns, columns, float(epsilon));
}
