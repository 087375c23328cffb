"""All scores, then the best of those that are left, k times, in Triton."""

import torch
import triton
import triton.language as tl


@triton.jit
def score(queries, catalogue, found, batch, items, width, BATCH: tl.constexpr, ITEMS: tl.constexpr):
    query = tl.program_id(0) * BATCH + tl.arange(0, BATCH)
    item = tl.program_id(1).to(tl.int64) * ITEMS + tl.arange(0, ITEMS)
    total = tl.zeros([BATCH, ITEMS], tl.float32)
    for column in range(width):
        mine = tl.load(queries + query * width + column, mask=query < batch, other=0.0)
        theirs = tl.load(catalogue + item * width + column, mask=item < items, other=0.0)
        total += mine[:, None] * theirs[None, :]
    inside = (query < batch)[:, None] & (item < items)[None, :]
    tl.store(found + query[:, None] * items + item[None, :], total, mask=inside)


@triton.jit
def choose(found, scores, ids, batch, items, k, BATCH: tl.constexpr, ITEMS: tl.constexpr):
    query = tl.program_id(0) * BATCH + tl.arange(0, BATCH)
    last_score = tl.full([BATCH], float("inf"), tl.float32)
    last_item = tl.full([BATCH], -1, tl.int64)
    for rank in range(k):
        best = tl.full([BATCH], float("-inf"), tl.float32)
        chosen = tl.full([BATCH], -1, tl.int64)
        for begin in range(0, items, ITEMS):
            item = begin + tl.arange(0, ITEMS).to(tl.int64)
            inside = (query < batch)[:, None] & (item < items)[None, :]
            value = tl.load(found + query[:, None] * items + item[None, :], mask=inside, other=float("-inf"))
            tied = (value == last_score[:, None]) & (item[None, :] > last_item[:, None])
            left = inside & ((value < last_score[:, None]) | tied)
            most = tl.max(tl.where(left, value, float("-inf")), 1)
            holds = left & (value == most[:, None])
            first = tl.min(tl.where(holds, item[None, :], items), 1)
            chosen = tl.where(most > best, first, chosen)
            best = tl.maximum(most, best)
        tl.store(scores + query * k + rank, best, mask=query < batch)
        tl.store(ids + query * k + rank, chosen, mask=query < batch)
        last_score, last_item = best, chosen


def kernel(queries, catalogue, scores, ids, k):
    batch, width = queries.shape
    items = catalogue.shape[0]
    if not batch:
        return
    found = torch.empty(batch, items, dtype=queries.dtype, device=queries.device)
    score[(triton.cdiv(batch, 8), triton.cdiv(items, 16384))](
        queries, catalogue, found, batch, items, width, BATCH=8, ITEMS=16384
    )
    choose[(triton.cdiv(batch, 8),)](found, scores, ids, batch, items, k, BATCH=8, ITEMS=65536)
