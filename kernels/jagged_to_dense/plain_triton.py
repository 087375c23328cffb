"""Each place of the dense array looks for its value, in Triton."""

import triton
import triton.language as tl


@triton.jit
def spread(values, offsets, y, count, longest, width, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    row, place, column = at // (longest * width), at // width % longest, at % width
    begin = tl.load(offsets + row, mask=inside, other=0)
    end = tl.load(offsets + row + 1, mask=inside, other=0)
    found = inside & (begin + place < end)
    tl.store(y + at, tl.load(values + (begin + place) * width + column, mask=found, other=0.0), mask=inside)


def kernel(values, offsets, y, longest):
    if y.numel():
        width = values.shape[1]
        spread[(triton.cdiv(y.numel(), 65536),)](values, offsets, y, y.numel(), longest, width, BLOCK=65536)
