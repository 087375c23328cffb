// A row's features turned on their side once; then tiles of the products of all pairs, the upper half left out.
#include <vector>

void kernel(const float* x, float* y, int64_t batch, int64_t features, int64_t width, int threads) {
  const int64_t padded = up_to_vectors(features), pairs = features * (features - 1) / 2;
#pragma omp parallel num_threads(threads) if (batch * pairs * width > ALONE)
  {
    std::vector<float> turned(width * padded), products(TILE_ROWS * padded);
#pragma omp for schedule(static)
    for (int64_t row = 0; row < batch; row++) {
      const float* from = x + row * features * width;
      float* to = y + row * pairs;
      transpose(from, width, features, width, turned.data(), padded, padded);
      for (int64_t i = 0; i < features; i += TILE_ROWS) {
        const int64_t rows = least(TILE_ROWS, features - i);
        product(rows, from + i * width, width, turned.data(), padded, products.data(), padded, width,
                up_to_vectors(i + rows - 1));
        for (int64_t r = i; r < i + rows; r++, to += r - 1)
          std::memcpy(to, products.data() + (r - i) * padded, r * sizeof(float));
      }
    }
  }
}
