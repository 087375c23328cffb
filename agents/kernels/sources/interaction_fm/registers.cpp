// The sums of C vectors of columns, and all of their squares, over all features of one row, while a later row is asked
// for. Only the squares' total is wanted: they need no register for each column.
template <int C>
INLINE vec interaction(const float* x, int64_t features, int64_t width, int64_t lanes) {
  constexpr int few = C < 4 ? C : 4, per_line = W < 16 ? 16 / W : 1;
  vec sum[C] = {}, squares[few] = {}, found{};
  const bool whole = lanes == W;
  for (int64_t f = 0; f < features; f++)
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) {
      const float* at = x + f * width + c * W;
      if (AHEAD && c % per_line == 0) __builtin_prefetch(at + AHEAD * 16);
      const vec v = whole || c < C - 1 ? load(at) : load_some(at, lanes);
      sum[c] += v;
      squares[c % few] += v * v;
    }
#pragma GCC unroll 8
  for (int c = 0; c < C; c++) found += sum[c] * sum[c];
#pragma GCC unroll 4
  for (int c = 0; c < few; c++) found -= squares[c];
  return found;
}

void kernel(const float* x, float* y, int64_t batch, int64_t features, int64_t width, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (batch * features * width > ALONE)
  for (int64_t row = 0; row < batch; row++) {
    vec found{};
    in_vectors<TILE_COLUMNS>(width, [&](auto size, int64_t column, int64_t lanes) {
      found += interaction<decltype(size)::value>(x + row * features * width + column, features, width, lanes);
    });
    y[row] = 0.5f * total(found);
  }
}
