// Stores around the caches, for results that nobody reads soon: their lines are not fetched before they are written.
#ifdef __AVX__
#include <immintrin.h>
#endif

INLINE bool is_aligned(const float* p) { return reinterpret_cast<uintptr_t>(p) % (W * sizeof(float)) == 0; }
INLINE void stream(float* p, vec v) {  // p is aligned
#if WIDTH == 16 && defined(__AVX512F__)
  _mm512_stream_ps(p, reinterpret_cast<__m512>(v));
#elif WIDTH == 16 && defined(__AVX__)
  typedef float half __attribute__((vector_size(32)));
  half parts[2];
  std::memcpy(parts, &v, sizeof v);
  _mm256_stream_ps(p, reinterpret_cast<__m256>(parts[0]));
  _mm256_stream_ps(p + 8, reinterpret_cast<__m256>(parts[1]));
#elif WIDTH == 8 && defined(__AVX__)
  _mm256_stream_ps(p, reinterpret_cast<__m256>(v));
#else
  store(p, v);
#endif
}
INLINE void streamed() {  // before another thread may read
#ifdef __AVX__
  _mm_sfence();
#endif
}
