// Each row twice: once from memory for its two sums, once from the first cache for both gradients, while the next row is
// asked for; the gradient of the weight is summed by each thread for itself, that of x goes around the caches where it
// is large.
#include <omp.h>

#include <vector>

template <bool AROUND>
INLINE void row(const float* x, const float* weight, const float* dy, float* dx, float* dweight, int64_t columns,
                float epsilon) {
  constexpr int step = UNROLL * W;
  vec squares[UNROLL] = {}, products[UNROLL] = {};
  const auto add = [&](int u, vec v, vec w, vec back) {
    squares[u] += v * v;
    products[u] += back * w * v;
  };
  const int64_t whole = columns / W * W, rest = columns - whole;
  int64_t i = 0;
  for (; i + step <= columns; i += step)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; u++) add(u, load(x + i + u * W), load(weight + i + u * W), load(dy + i + u * W));
  for (; i < whole; i += W) add(0, load(x + i), load(weight + i), load(dy + i));
  if (rest) add(0, load_some(x + i, rest), load_some(weight + i, rest), load_some(dy + i, rest));
  for (int u = 1; u < UNROLL; u++) {
    squares[0] += squares[u];
    products[0] += products[u];
  }
  const float scale = 1.0f / std::sqrt(total(squares[0]) / float(columns) + epsilon);
  const float shared = total(products[0]) / float(columns) * scale * scale * scale;
  for (i = 0; i < whole; i += W) {
    if (AHEAD && i % 16 == 0) {
      __builtin_prefetch(x + columns + i);
      __builtin_prefetch(dy + columns + i);
    }
    const vec v = load(x + i), back = load(dy + i) * scale, found = back * load(weight + i) - v * shared;
    AROUND ? stream(dx + i, found) : store(dx + i, found);
    store(dweight + i, load(dweight + i) + back * v);
  }
  if (rest) {
    const vec v = load_some(x + i, rest), back = load_some(dy + i, rest) * scale;
    store_some(dx + i, back * load_some(weight + i, rest) - v * shared, rest);
    store_some(dweight + i, load_some(dweight + i, rest) + back * v, rest);
  }
}

void kernel(const float* x, const float* weight, const float* dy, float* dx, float* dweight, int64_t rows,
            int64_t columns, double epsilon, int threads) {
  const int many = rows * columns > ALONE ? threads : 1;
  const bool around = rows * columns > int64_t(STREAM) << 8 && is_aligned(dx) && columns % W == 0;  // STREAM is in KiB
  const int64_t pitch = (columns / W + 2) * W;  // two threads never write to one line
  std::vector<float> parts(many * pitch);
#pragma omp parallel num_threads(many)
  {
    float* mine = parts.data() + omp_get_thread_num() * pitch;
#pragma omp for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
      const int64_t at = r * columns;
      around ? row<true>(x + at, weight, dy + at, dx + at, mine, columns, float(epsilon))
             : row<false>(x + at, weight, dy + at, dx + at, mine, columns, float(epsilon));
    }
    streamed();
  }
  for (int64_t column = 0; column < columns; column++) {
    float sum = 0.0f;
    for (int part = 0; part < many; part++) sum += parts[part * pitch + column];
    dweight[column] = sum;
  }
}
