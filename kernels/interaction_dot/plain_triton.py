"""Each feature against those before it, for some rows at a time, in Triton."""

import triton
import triton.language as tl


@triton.jit
def dots(x, y, batch, features, width, ROWS: tl.constexpr, FEATURES: tl.constexpr, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    feature, column = tl.arange(0, FEATURES), tl.arange(0, WIDTH)
    begin = x + row * features * width
    inside = (row < batch)[:, None] & (column < width)[None, :]
    at = begin[:, None, None] + feature[None, :, None] * width + column[None, None, :]
    every = tl.load(at, mask=inside[:, None, :] & (feature < features)[None, :, None], other=0.0)
    pairs = features * (features - 1) // 2
    for i in range(1, features):
        one = tl.load(begin[:, None] + i * width + column[None, :], mask=inside, other=0.0)
        products = tl.sum(every * one[:, None, :], 2)
        to = y + row[:, None] * pairs + i * (i - 1) // 2 + feature[None, :]
        tl.store(to, products, mask=(row < batch)[:, None] & (feature < i)[None, :])


def kernel(x, y):
    batch, features, width = x.shape
    if y.numel():
        sides = triton.next_power_of_2(features), triton.next_power_of_2(width)
        rows = max(1, 65536 // (sides[0] * sides[1]))
        dots[(triton.cdiv(batch, rows),)](x, y, batch, features, width, ROWS=rows, FEATURES=sides[0], WIDTH=sides[1])
