"""A binary search for each value, many values at a time, in Triton."""

import triton
import triton.language as tl


@triton.jit
def search(x, edges, y, count, columns, each, STEPS: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    value = tl.load(x + at, mask=inside, other=0.0)
    own = edges + (at % columns) * each
    low = tl.zeros([BLOCK], tl.int64)
    high = low + each
    for _ in range(STEPS):
        middle = (low + high) // 2
        searching = inside & (low < high)
        edge = tl.load(own + middle, mask=searching, other=0.0)
        high = tl.where(searching & (edge >= value), middle, high)
        low = tl.where(searching & ~(edge >= value), middle + 1, low)
    tl.store(y + at, low, mask=inside)


def kernel(x, edges, y):
    if y.numel():
        block = min(8192, triton.next_power_of_2(y.numel()))
        each = edges.shape[1]
        search[(triton.cdiv(y.numel(), block),)](
            x, edges, y, y.numel(), x.shape[1], each, STEPS=each.bit_length(), BLOCK=block
        )
