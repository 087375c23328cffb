// The best that this machine does: a copy-like pass over memory, and fused multiply-adds in registers.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>

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

static float sum(const float *x, int64_t count) {
    vector part[8] = {};
    const vector *from = reinterpret_cast<const vector *>(x);
    for (int64_t i = 0; i + 8 <= count / floats; i += 8) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) part[j] += from[i + j];
    }
    float total = 0;
    for (int j = 0; j < 8; ++j) total += part[j][0];
    return total;
}

volatile float sink;

extern "C" double bandwidth(int64_t size, int threads, int tries) {
    const int64_t count = size / threads / sizeof(float) / 128 * 128;
    float *x = static_cast<float *>(std::aligned_alloc(64, size_t(count) * threads * sizeof(float)));
    std::memset(x, 0, size_t(count) * threads * sizeof(float));
    const int64_t again = 1 + (64ll << 20) / size;
    double best = 0;
    for (int attempt = 0; attempt < tries; ++attempt) {
        const double begun = now();
        float total = 0;
#pragma omp parallel num_threads(threads) reduction(+ : total)
        {
#pragma omp for
            for (int part = 0; part < threads; ++part)
                for (int64_t pass = 0; pass < again; ++pass) {
                    total += sum(x + part * count, count);
                    asm volatile("" ::: "memory");
                }
        }
        sink = total;
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
