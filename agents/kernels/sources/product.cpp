// c[rows][wide] = a[rows][depth] b[depth][wide], tile by tile in registers; `wide` is a multiple of W.
INLINE void product(int64_t rows, const float* a, int64_t lda, const float* b, int64_t ldb, float* c, int64_t ldc,
                    int64_t depth, int64_t wide) {
  int64_t j = 0;
  for (; j + TILE_COLUMNS * W <= wide; j += TILE_COLUMNS * W)
    tile_rows<TILE_ROWS, TILE_COLUMNS, false>(rows, a, lda, b + j, ldb, c + j, ldc, depth);
  for (; j < wide; j += W) tile_rows<TILE_ROWS, 1, false>(rows, a, lda, b + j, ldb, c + j, ldc, depth);
}
INLINE int64_t up_to_vectors(int64_t size) { return (size + W - 1) / W * W; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
