void kernel(const float* table, const int64_t* ids, const int64_t* offsets, const float* weights, float* y,
            int64_t items, int64_t width, int64_t bags, int64_t ids_in_all, int threads) {
  bags_of<WEIGHTED>(table, ids, offsets, weights, y, items, width, bags, ids_in_all, threads);
}
