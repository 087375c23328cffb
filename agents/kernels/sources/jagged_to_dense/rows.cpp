// A row's values are one piece in memory and stay one: a copy and zeros, around the caches where the result is large.
INLINE vec part_of(const float* from, int64_t i) { return from ? load(from + i) : vec{}; }

// Copies `count` floats; zeros where `from` is null.
INLINE void put(float* to, const float* from, int64_t count, bool around) {
  if (!around) {
    from ? std::memcpy(to, from, count * sizeof(float)) : std::memset(to, 0, count * sizeof(float));
    return;
  }
  int64_t i = 0;
  for (; i < count && !is_aligned(to + i); i++) to[i] = from ? from[i] : 0.0f;
  for (; i + W <= count; i += W) stream(to + i, part_of(from, i));
  for (; i < count; i++) to[i] = from ? from[i] : 0.0f;
}

void kernel(const float* values, const int64_t* offsets, float* y, int64_t rows, int64_t longest, int64_t width,
            int64_t in_all, int threads) {
  const int64_t size = longest * width;
  const bool around = rows * size > int64_t(STREAM) << 8;  // STREAM is in KiB
#pragma omp parallel num_threads(threads) if (rows * size > ALONE)
  {
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
      const int64_t there = (offsets[row + 1] - offsets[row]) * width, kept = there < size ? there : size;
      float* to = y + row * size;
      put(to, values + offsets[row] * width, kept, around);
      put(to + kept, nullptr, size - kept, around);
    }
    streamed();
  }
}
