// One pass over memory; the result goes around the caches where it is large.
INLINE vec gated(const float* gate, const float* value, const float* residual) {
  return load(residual) + silu(load(gate)) * load(value);
}

void kernel(const float* gate, const float* value, const float* residual, float* y, int64_t rows, int64_t columns,
            int threads) {
  const int64_t size = rows * columns, whole = size / W * W;
  const bool around = size > int64_t(STREAM) << 8 && is_aligned(y);  // STREAM is in KiB
#pragma omp parallel num_threads(threads) if (size > ALONE)
  {
#pragma omp for schedule(static)
    for (int64_t block = 0; block < whole; block += UNROLL * W) {
      const int64_t end = block + UNROLL * W < whole ? block + UNROLL * W : whole;
      for (int64_t i = block; i < end; i += W) {
        const vec v = gated(gate + i, value + i, residual + i);
        around ? stream(y + i, v) : store(y + i, v);
      }
    }
    streamed();
  }
  const int64_t rest = size - whole;
  if (rest) {
    const vec v = load_some(residual + whole, rest) + silu(load_some(gate + whole, rest)) * load_some(value + whole, rest);
    store_some(y + whole, v, rest);
  }
}
