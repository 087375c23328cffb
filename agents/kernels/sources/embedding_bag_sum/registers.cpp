// One bag, C vectors of columns held in registers for all its rows; the last vector has `lanes` lanes.
template <int C>
INLINE void bag(const float* table, const int64_t* ids, int64_t from, int64_t to, int64_t end, int64_t items,
                int64_t width, int64_t column, int64_t lanes, float* y) {
  vec sum[C] = {};
  const bool whole = lanes == W;
  for (int64_t at = from; at < to; at++) {
    if (AHEAD > 0 && at + AHEAD < end) {
      const int64_t next = ids[at + AHEAD];
      if (uint64_t(next) < uint64_t(items))
        for (int line = 0; line < C * W; line += 16) __builtin_prefetch(table + next * width + column + line);
    }
    const int64_t id = ids[at];
    if (uint64_t(id) >= uint64_t(items)) continue;
    const float* row = table + id * width + column;
#pragma GCC unroll 16
    for (int c = 0; c < C - 1; c++) sum[c] += load(row + c * W);
    sum[C - 1] += whole ? load(row + (C - 1) * W) : load_some(row + (C - 1) * W, lanes);
  }
#pragma GCC unroll 16
  for (int c = 0; c < C - 1; c++) store(y + column + c * W, sum[c]);
  whole ? store(y + column + (C - 1) * W, sum[C - 1]) : store_some(y + column + (C - 1) * W, sum[C - 1], lanes);
}

void kernel(const float* table, const int64_t* ids, const int64_t* offsets, float* y, int64_t items, int64_t width,
            int64_t bags, int64_t ids_in_all, int threads) {
#pragma omp parallel for schedule(dynamic, CHUNK) num_threads(threads) if (ids_in_all * width > ALONE)
  for (int64_t b = 0; b < bags; b++) {
    const int64_t from = offsets[b], to = offsets[b + 1];
    int64_t column = 0;
    while (column < width) {
      const int64_t left = width - column, vectors = (left + W - 1) / W;
      const int64_t last = left % W == 0 ? W : left % W;
      const auto run = [&](auto size, int64_t lanes) {
        bag<decltype(size)::value>(table, ids, from, to, ids_in_all, items, width, column, lanes, y + b * width);
        column += decltype(size)::value * W;
      };
      if (vectors >= 8) run(std::integral_constant<int, 8>(), vectors > 8 ? W : last);
      else if (vectors >= 4) run(std::integral_constant<int, 4>(), vectors > 4 ? W : last);
      else if (vectors >= 2) run(std::integral_constant<int, 2>(), vectors > 2 ? W : last);
      else run(std::integral_constant<int, 1>(), last);
    }
  }
}
