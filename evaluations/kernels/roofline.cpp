// The best that this machine does: passes over memory that read, read and write, or write, and fused multiply-adds in
// registers.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#if defined(__SSE__)
#include <immintrin.h>
#endif

// Seconds of this thread's own: those in which another program had the core do not count.
static double now() {
    timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return spent.tv_sec + 1e-9 * spent.tv_nsec;
}

// As wide as a register: what does not fit in sixteen of them is spilled, and measured is the spilling.
#if defined(__AVX512F__)
constexpr int width = 64;
#elif defined(__AVX__)
constexpr int width = 32;
#else
constexpr int width = 16;
#endif
constexpr int floats = width / sizeof(float);
typedef float vector __attribute__((vector_size(width)));

// Four streams at once: one alone leaves the prefetchers of many processors half idle.
static float sum(const float *x, int64_t count) {
    vector part[8] = {};
    const vector *from = reinterpret_cast<const vector *>(x);
    const int64_t each = count / floats / 4;
    for (int64_t i = 0; i < each; i += 2) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) part[j] += from[j / 2 * each + i + j % 2];
    }
    float total = 0;
    for (int j = 0; j < 8; ++j) total += part[j][0];
    return total;
}

// Past the caches: what is written there need not be read first. Elsewhere a store like any other.
static void store_past(vector *to, vector value) {
#if defined(__AVX512F__)
    _mm512_stream_ps(reinterpret_cast<float *>(to), __m512(value));
#elif defined(__AVX__)
    _mm256_stream_ps(reinterpret_cast<float *>(to), __m256(value));
#elif defined(__SSE__)
    _mm_stream_ps(reinterpret_cast<float *>(to), __m128(value));
#else
    *to = value;
#endif
}

// The sums of `reads` arrays, one behind the other, into the array behind those.
template <int reads, bool past>
static void write(float *x, int64_t count) {
    const vector *from = reinterpret_cast<const vector *>(x);
    const int64_t each = count / (reads + 1) / floats / 4 * 4;
    vector *to = reinterpret_cast<vector *>(x) + reads * each;
    for (int64_t i = 0; i < each; i += 4) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
            vector total = {};
            for (int read = 0; read < reads; ++read) total += from[read * each + i + j];
            if (past) store_past(to + i + j, total);
            else to[i + j] = total;
        }
    }
}

static thread_local volatile float sink;  // each thread's own: one for all would be fought over

// One pass over `count` floats: `reads` parts of it are read for `writes` parts that are written.
static void pass(float *x, int64_t count, int reads, int writes, bool past) {
    if (writes == 0) sink = sum(x, count);
    else if (reads == 0) past ? write<0, true>(x, count) : write<0, false>(x, count);
    else if (reads == 1) past ? write<1, true>(x, count) : write<1, false>(x, count);
    else past ? write<3, true>(x, count) : write<3, false>(x, count);
}

extern "C" double bandwidth(int64_t size, int reads, int writes, int threads, int tries) {
    const int64_t count = size / threads / sizeof(float) / 512 * 512;
    float *x = static_cast<float *>(std::aligned_alloc(64, size_t(count) * threads * sizeof(float)));
    std::memset(x, 0, size_t(count) * threads * sizeof(float));
    const int64_t again = 1 + (64ll << 20) / size;
    double best = 0;
    for (int attempt = 0; attempt < tries * (writes ? 2 : 1); ++attempt) {
        const double begun = now();
#pragma omp parallel for num_threads(threads)
        for (int part = 0; part < threads; ++part)
            for (int64_t number = 0; number < again; ++number) {
                pass(x + part * count, count, reads, writes, attempt >= tries);
                asm volatile("" ::: "memory");
            }
        const double rate = double(count) * threads * sizeof(float) * again / (now() - begun);
        if (rate > best) best = rate;
    }
    std::free(x);
    return best;
}

extern "C" double flops(int threads, int tries) {
    constexpr int lanes = floats * 12;
    constexpr int64_t passes = 2000000;
    double best = 0;
    for (int attempt = 0; attempt < tries; ++attempt) {
        const double begun = now();
        float total = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total)
        {
            vector a[12];
            for (int i = 0; i < 12; ++i) a[i] = vector{} + float(i);
            const vector b = vector{} + .999f, c = vector{} + .001f;
            for (int64_t pass = 0; pass < passes / 4; ++pass) {
#pragma GCC unroll 12
                for (int i = 0; i < 12; ++i) a[i] = a[i] * b + c;
            }
            for (int i = 0; i < 12; ++i) total += a[i][0];
        }
        sink = total;
        const double rate = 2.0 * lanes * (passes / 4) * threads / (now() - begun);
        if (rate > best) best = rate;
    }
    return best;
}
