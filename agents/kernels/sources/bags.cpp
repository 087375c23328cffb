// Embedding bags: the sum of a bag stays in registers while its rows stream by, asked for some ids ahead.
enum Kind { SUM, MEAN, WEIGHTED };

// One bag, C vectors of its columns; the last vector has `lanes` lanes.
template <Kind KIND, int C>
INLINE void bag(const float* table, const int64_t* ids, const float* weights, int64_t from, int64_t to, int64_t end,
                int64_t items, int64_t width, int64_t column, int64_t lanes, float* y) {
  vec sum[C] = {};
  int64_t count = 0;
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
    const float weight = KIND == WEIGHTED ? weights[at] : 1.0f;
    count++;
#pragma GCC unroll 16
    for (int c = 0; c < C - 1; c++) sum[c] += load(row + c * W) * weight;
    sum[C - 1] += (whole ? load(row + (C - 1) * W) : load_some(row + (C - 1) * W, lanes)) * weight;
  }
  if (KIND == MEAN && count > 1)
    for (int c = 0; c < C; c++) sum[c] /= float(count);
#pragma GCC unroll 16
  for (int c = 0; c < C - 1; c++) store(y + column + c * W, sum[c]);
  whole ? store(y + column + (C - 1) * W, sum[C - 1]) : store_some(y + column + (C - 1) * W, sum[C - 1], lanes);
}

template <Kind KIND>
INLINE void bags_of(const float* table, const int64_t* ids, const int64_t* offsets, const float* weights, float* y,
                    int64_t items, int64_t width, int64_t bags, int64_t ids_in_all, int threads) {
#pragma omp parallel for schedule(dynamic, CHUNK) num_threads(threads) if (ids_in_all * width > ALONE)
  for (int64_t b = 0; b < bags; b++) {
    const int64_t from = offsets[b], to = offsets[b + 1];
    in_vectors<8>(width, [&](auto size, int64_t column, int64_t lanes) {
      bag<KIND, decltype(size)::value>(table, ids, weights, from, to, ids_in_all, items, width, column, lanes,
                                       y + b * width);
    });
  }
}
