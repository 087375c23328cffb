// Blocks of items are turned on their side and scored tile by tile; a score enters a query's pool only above the worst of
// the k best when the pool was last cleared. Each thread has pools of its own, merged at the end.
#include <omp.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#include <algorithm>
#include <limits>
#include <vector>

constexpr int64_t QUERIES = 64;  // at a time, so that the pools stay small

struct Best {
  float score;
  int64_t id;
  bool operator<(const Best& other) const { return score > other.score || (score == other.score && id < other.id); }
};

INLINE bool any_above(vec some, float threshold) {
#if WIDTH == 16 && defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(some), _mm512_set1_ps(threshold), _CMP_GT_OQ) != 0;
#elif WIDTH == 8 && defined(__AVX__)
  const __m256 over = _mm256_cmp_ps(reinterpret_cast<__m256>(some), _mm256_set1_ps(threshold), _CMP_GT_OQ);
  return _mm256_movemask_ps(over) != 0;
#else
  int32_t found = 0;
  for (int l = 0; l < W; l++) found |= some[l] > threshold;
  return found != 0;
#endif
}

struct Pool {  // a query's best k and some more; what lies under the worst of the best k is never taken in
  Best* items;
  int64_t size;
  float threshold;

  void keep(int64_t k) {
    std::nth_element(items, items + k - 1, items + size);
    size = k;
    threshold = items[k - 1].score;
  }
  void offer_all(const float* scores, int64_t count, int64_t first, int64_t k, int64_t room) {
    for (int64_t j = 0; j < count; j += W) {
      if (size >= k && !any_above(load(scores + j), threshold)) continue;
      for (int64_t l = j; l < j + W && l < count; l++) {
        if (size >= k && !(scores[l] > threshold)) continue;
        items[size++] = {scores[l], first + l};
        if (size == room) keep(k);
      }
    }
  }
};

static void merge(const Pool* pools, int64_t pitch, int many, int64_t k, float* scores, int64_t* ids) {
  std::vector<Best> all;
  for (int part = 0; part < many; part++) {
    const Pool& pool = pools[part * pitch];
    all.insert(all.end(), pool.items, pool.items + pool.size);
  }
  const int64_t there = least(k, int64_t(all.size()));
  std::partial_sort(all.begin(), all.begin() + there, all.end());
  for (int64_t place = 0; place < k; place++) {
    scores[place] = place < there ? all[place].score : -std::numeric_limits<float>::infinity();
    ids[place] = place < there ? all[place].id : -1;
  }
}

void kernel(const float* queries, const float* catalogue, float* scores, int64_t* ids, int64_t batch, int64_t items,
            int64_t width, int64_t k, int threads) {
  const int many = batch * items * width > ALONE ? threads : 1;
  const int64_t group = least(batch, QUERIES), room = 2 * k + W;
  std::vector<Best> items_of(many * group * room);
  std::vector<Pool> pools(many * group);
  for (int64_t from = 0; from < batch; from += group) {
    const int64_t count = least(group, batch - from);
    for (int64_t at = 0; at < many * group; at++)
      pools[at] = {items_of.data() + at * room, 0, -std::numeric_limits<float>::infinity()};
#pragma omp parallel num_threads(many)
    {
      Pool* mine = pools.data() + omp_get_thread_num() * group;
      std::vector<float> turned(width * BLOCK), found(count * BLOCK);
#pragma omp for schedule(static)
      for (int64_t first = 0; first < items; first += BLOCK) {
        const int64_t some = least(BLOCK, items - first);
        transpose(catalogue + first * width, width, some, width, turned.data(), BLOCK, up_to_vectors(some));
        product(count, queries + from * width, width, turned.data(), BLOCK, found.data(), BLOCK, width,
                up_to_vectors(some));
        for (int64_t query = 0; query < count; query++)
          mine[query].offer_all(found.data() + query * BLOCK, some, first, k, room);
      }
#pragma omp for schedule(static)
      for (int64_t query = 0; query < count; query++)
        merge(pools.data() + query, group, many, k, scores + (from + query) * k, ids + (from + query) * k);
    }
  }
}
