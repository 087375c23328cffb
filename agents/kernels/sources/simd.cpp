// Vectors of W floats (GCC's vector extensions: AVX2, AVX-512 or anything else), and one tile of a product.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

constexpr int W = WIDTH;
typedef float vec __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const float* p) { return *reinterpret_cast<const vec*>(p); }
INLINE void store(float* p, vec v) { *reinterpret_cast<vec*>(p) = v; }
INLINE vec load_some(const float* p, int64_t n) {  // the first n lanes, the others zero
  vec v{};
  std::memcpy(&v, p, n * sizeof(float));
  return v;
}
INLINE void store_some(float* p, vec v, int64_t n) { std::memcpy(p, &v, n * sizeof(float)); }
// Calls work(vectors, column, lanes) for all columns from the left, at most MOST vectors at a time; the last vector of a
// call has `lanes` lanes.
template <int MOST, class Work>
INLINE void in_vectors(int64_t width, const Work& work) {
  int64_t column = 0;
  while (column < width) {
    const int64_t vectors = (width - column + W - 1) / W, last = (width - column - 1) % W + 1;
    const auto run = [&](auto size) {
      work(size, column, vectors > decltype(size)::value ? W : last);
      column += decltype(size)::value * W;
    };
    if (MOST >= 8 && vectors >= 8) run(std::integral_constant<int, MOST >= 8 ? 8 : 1>());
    else if (MOST >= 4 && vectors >= 4) run(std::integral_constant<int, MOST >= 4 ? 4 : 1>());
    else if (MOST >= 2 && vectors >= 2) run(std::integral_constant<int, MOST >= 2 ? 2 : 1>());
    else run(std::integral_constant<int, 1>());
  }
}
INLINE float total(vec v) {  // by fours: one lane after the other would wait W times as long as one sum takes
  typedef float four __attribute__((vector_size(16)));
  four parts[W / 4];
  std::memcpy(parts, &v, sizeof v);
  for (int i = 1; i < W / 4; i++) parts[0] += parts[i];
  return (parts[0][0] + parts[0][2]) + (parts[0][1] + parts[0][3]);
}

// e^x: x = n ln 2 + r, a polynomial in r, n added to the exponent. NaN stays NaN, above 88.4 comes infinity.
INLINE vec exponential(vec x) {
  x = x < -87.0f ? vec{} - 87.0f : x;
  x = x > 89.0f ? vec{} + 89.0f : x;
  const vec shifted = x * 1.44269504f + 12582912.0f;  // rounds to a whole number in the last bits
  const vec n = shifted - 12582912.0f;
  const vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
  vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const ivec bits = (reinterpret_cast<ivec>(shifted) - 0x4B400000 + 127) << 23;
  return p * reinterpret_cast<vec>(bits);
}
INLINE vec sigmoid(vec x) { return 1.0f / (1.0f + exponential(-x)); }
INLINE vec silu(vec x) { return x / (1.0f + exponential(-x)); }

// c[R][C vectors] (+)= a[R][depth] b[depth][C vectors], all of it in registers.
template <int R, int C, bool ADD>
INLINE void tile(const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc, int64_t depth) {
  vec sum[R][C];
#pragma GCC unroll 16
  for (int i = 0; i < R; i++)
#pragma GCC unroll 16
    for (int j = 0; j < C; j++) sum[i][j] = ADD ? load(c + i * ldc + j * W) : vec{};
  for (int64_t d = 0; d < depth; d++) {
    vec right[C];
#pragma GCC unroll 16
    for (int j = 0; j < C; j++) right[j] = load(b + d * ldb + j * W);
#pragma GCC unroll 16
    for (int i = 0; i < R; i++)
#pragma GCC unroll 16
      for (int j = 0; j < C; j++) sum[i][j] += a[i * lda + d] * right[j];
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; i++)
#pragma GCC unroll 16
    for (int j = 0; j < C; j++) store(c + i * ldc + j * W, sum[i][j]);
}

// The same for any number of rows up to R.
template <int R, int C, bool ADD>
INLINE void tile_rows(int64_t rows, const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc,
                      int64_t depth) {
  int64_t i = 0;
  for (; i + R <= rows; i += R) tile<R, C, ADD>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, depth);
  for (; i + 2 <= rows; i += 2) tile<2, C, ADD>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, depth);
  for (; i < rows; i++) tile<1, C, ADD>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, depth);
}

// Two vectors' lanes in turn: the low halves of both, or the high halves.
INLINE vec interleave(vec a, vec b, int from) {
  ivec lanes;
  for (int i = 0; i < W; i++) lanes[i] = from + i / 2 + (i % 2) * W;
  return __builtin_shuffle(a, b, lanes);
}
// W rows of W floats turned on their side, in registers.
INLINE void turn(vec (&rows)[W]) {
#pragma GCC unroll 4
  for (int stage = 1; stage < W; stage *= 2) {
    vec next[W];
#pragma GCC unroll 16
    for (int i = 0; i < W / 2; i++) {
      next[2 * i] = interleave(rows[i], rows[i + W / 2], 0);
      next[2 * i + 1] = interleave(rows[i], rows[i + W / 2], W / 2);
    }
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) rows[i] = next[i];
  }
}
// out[d * stride + i] = rows[i * pitch + d]; zero for i from `count` up to `padded`, a multiple of W.
static void transpose(const float* rows, int64_t pitch, int64_t count, int64_t width, float* out, int64_t stride,
                      int64_t padded) {
  for (int64_t i = 0; i < padded; i += W) {
    int64_t d = 0;
    for (; d < width; d += W) {
      const int64_t lanes = width - d < W ? width - d : W;
      vec block[W];
#pragma GCC unroll 16
      for (int l = 0; l < W; l++) {
        const float* row = rows + (i + l) * pitch + d;
        block[l] = i + l >= count ? vec{} : lanes == W ? load(row) : load_some(row, lanes);
      }
      turn(block);
      if (lanes == W) {
#pragma GCC unroll 16
        for (int l = 0; l < W; l++) store(out + (d + l) * stride + i, block[l]);
      } else {
        vec saved[W];
        std::memcpy(saved, block, sizeof block);
        for (int64_t l = 0; l < lanes; l++) store(out + (d + l) * stride + i, saved[l]);
      }
    }
  }
}
