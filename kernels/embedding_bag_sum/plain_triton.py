"""Embedding bags, summed, in Triton: a block of bags at a time, up to the longest of them."""

import triton
import triton.language as tl


@triton.jit
def add_up(table, ids, offsets, y, items, width, bags, BAGS: tl.constexpr, WIDTH: tl.constexpr):
    bag = tl.program_id(0) * BAGS + tl.arange(0, BAGS)
    column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    begin = tl.load(offsets + bag, mask=bag < bags, other=0)
    end = tl.load(offsets + bag + 1, mask=bag < bags, other=0)
    total = tl.zeros([BAGS, WIDTH], tl.float32)
    for step in range(tl.max(end - begin, 0)):
        named = begin + step < end
        item = tl.load(ids + begin + step, mask=named, other=-1)
        counts = (item >= 0) & (item < items)
        seen = counts[:, None] & (column < width)[None, :]
        rows = tl.load(table + item[:, None] * width + column[None, :], mask=seen, other=0.0)
        total += rows
    written = (bag < bags)[:, None] & (column < width)[None, :]
    tl.store(y + bag.to(tl.int64)[:, None] * width + column[None, :], total, mask=written)


def kernel(table, ids, offsets, y):
    bags, width = y.shape
    if bags:
        block = min(128, triton.next_power_of_2(width))
        add_up[(triton.cdiv(bags, 256), triton.cdiv(width, block))](
            table, ids, offsets, y, table.shape[0], width, bags, BAGS=256, WIDTH=block
        )
