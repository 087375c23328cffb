// Blocks of items are turned on their side and scored tile by tile; a score enters a query's heap only above the worst
// of the k best so far. Each thread keeps heaps of its own, merged at the end.
#include <omp.h>

#include <algorithm>
#include <limits>
#include <vector>

constexpr int64_t QUERIES = 64;  // at a time, so that the heaps stay small

struct Best {
  float score;
  int64_t id;
  bool operator<(const Best& other) const { return score > other.score || (score == other.score && id < other.id); }
};

INLINE bool any(ivec lanes) {
  int32_t found = 0;
  for (int l = 0; l < W; l++) found |= lanes[l];
  return found != 0;
}

struct Heap {  // the worst of the best on top
  Best* items;
  int64_t size;

  void offer(float score, int64_t id, int64_t k) {
    if (size == k) std::pop_heap(items, items + size--);
    items[size++] = {score, id};
    std::push_heap(items, items + size);
  }
  void offer_all(const float* scores, int64_t count, int64_t first, int64_t k) {
    for (int64_t j = 0; j < count; j += W) {
      const vec some = load(scores + j);
      if (size == k && !any(some > items[0].score)) continue;
      for (int64_t l = j; l < j + W && l < count; l++)
        if (size < k || scores[l] > items[0].score) offer(scores[l], first + l, k);
    }
  }
};

static void merge(const Heap* heaps, int64_t pitch, int many, int64_t k, float* scores, int64_t* ids) {
  std::vector<Best> all;
  for (int part = 0; part < many; part++) {
    const Heap& heap = heaps[part * pitch];
    all.insert(all.end(), heap.items, heap.items + heap.size);
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
  const int64_t group = least(batch, QUERIES);
  std::vector<Best> room(many * group * k);
  std::vector<Heap> heaps(many * group);
  for (int64_t from = 0; from < batch; from += group) {
    const int64_t count = least(group, batch - from);
    for (int64_t heap = 0; heap < many * group; heap++) heaps[heap] = {room.data() + heap * k, 0};
#pragma omp parallel num_threads(many)
    {
      Heap* mine = heaps.data() + omp_get_thread_num() * group;
      std::vector<float> turned(width * BLOCK), found(count * BLOCK);
#pragma omp for schedule(static)
      for (int64_t first = 0; first < items; first += BLOCK) {
        const int64_t some = least(BLOCK, items - first);
        transpose(catalogue + first * width, width, some, width, turned.data(), BLOCK, up_to_vectors(some));
        product(count, queries + from * width, width, turned.data(), BLOCK, found.data(), BLOCK, width,
                up_to_vectors(some));
        for (int64_t query = 0; query < count; query++)
          mine[query].offer_all(found.data() + query * BLOCK, some, first, k);
      }
#pragma omp for schedule(static)
      for (int64_t query = 0; query < count; query++)
        merge(heaps.data() + query, group, many, k, scores + (from + query) * k, ids + (from + query) * k);
    }
  }
}
