"""The input's gradient some whole rows at a time, then the weight's some whole columns at a time, in Triton."""

import torch
import triton
import triton.language as tl


@triton.jit
def of_input(x, weight, dy, dx, scales, rows, columns, epsilon, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    at = row[:, None] * columns + column[None, :]
    value = tl.load(x + at, mask=inside, other=0.0)
    scale = tl.rsqrt(tl.sum(value * value, 1) / columns + epsilon)
    weights = tl.load(weight + column, mask=column < columns, other=0.0)
    weighted = tl.load(dy + at, mask=inside, other=0.0) * weights[None, :]
    along = scale * scale * scale * tl.sum(weighted * value, 1) / columns
    tl.store(dx + at, scale[:, None] * weighted - value * along[:, None], mask=inside)
    tl.store(scales + row, scale, mask=row < rows)


@triton.jit
def of_weight(x, dy, scales, dweight, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros([COLUMNS], tl.float32)
    for begin in range(0, rows, ROWS):
        row = begin + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & (column < columns)[None, :]
        at = row.to(tl.int64)[:, None] * columns + column[None, :]
        scale = tl.load(scales + row, mask=row < rows, other=0.0)
        product = tl.load(dy + at, mask=inside, other=0.0) * tl.load(x + at, mask=inside, other=0.0)
        total += tl.sum(product * scale[:, None], 0)
    tl.store(dweight + column, total, mask=column < columns)


def kernel(x, weight, dy, dx, dweight, epsilon):
    rows, columns = x.shape
    if not x.numel():
        dweight.zero_()
        return
    side = triton.next_power_of_2(columns)
    some = max(1, 65536 // side)
    scales = torch.empty(rows, dtype=x.dtype, device=x.device)
    of_input[(triton.cdiv(rows, some),)](x, weight, dy, dx, scales, rows, columns, epsilon, ROWS=some, COLUMNS=side)
    of_weight[(triton.cdiv(columns, 256),)](x, dy, scales, dweight, rows, columns, ROWS=256, COLUMNS=256)
