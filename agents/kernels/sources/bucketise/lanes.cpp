// LANES rows look among the same edges at once: no search branches, and all their loads are in flight together.
#include <cstdint>

static inline void search(const float* edges, int32_t count, const float (&value)[LANES], int32_t (&found)[LANES]) {
  for (int u = 0; u < LANES; u++) found[u] = 0;
  if (count <= LINEAR || count == 0) {  // few edges are counted
    for (int32_t e = 0; e < count; e++)
      for (int u = 0; u < LANES; u++) found[u] += !(edges[e] >= value[u]);
    return;
  }
  int32_t left = count;
  for (; left > 1; left -= left / 2) {
    const int32_t half = left / 2;
    for (int u = 0; u < LANES; u++) found[u] += !(edges[found[u] + half - 1] >= value[u]) ? half : 0;
  }
  for (int u = 0; u < LANES; u++) found[u] += !(edges[found[u]] >= value[u]);
}

void kernel(const float* x, const float* edges, int64_t* y, int64_t rows, int64_t columns, int64_t edges_each,
            int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) if (rows * columns > ALONE)
  for (int64_t first = 0; first < rows; first += LANES) {
    const int some = rows - first < LANES ? int(rows - first) : LANES;
    for (int64_t column = 0; column < columns; column++) {
      float value[LANES];
      int32_t found[LANES];
      for (int u = 0; u < LANES; u++) value[u] = x[(first + (u < some ? u : 0)) * columns + column];
      search(edges + column * edges_each, int32_t(edges_each), value, found);
      for (int u = 0; u < some; u++) y[(first + u) * columns + column] = found[u];
    }
  }
}
