"""Jagged rows into a dense array: the truth, in plain PyTorch."""

import torch


def reference(values, offsets, *, longest):
    """What is too long is cut, what is missing is 0."""
    rows = offsets.numel() - 1
    out = values.new_zeros(rows, longest, values.shape[1])
    row = torch.repeat_interleave(torch.arange(rows), offsets.diff())
    place = torch.arange(row.numel()) - offsets[row]
    kept = place < longest
    out[row[kept], place[kept]] = values[: row.numel()][kept]
    return out


def touched(inputs, index):
    """Where `values` at `index` is copied to; the first place where it is cut."""
    offsets, width = inputs["offsets"], inputs["values"].shape[1]
    at = index // width
    row = int(torch.searchsorted(offsets, at, right=True)) - 1
    place = at - int(offsets[row])
    longest = inputs["longest"]
    return (row * longest + place) * width + index % width if place < longest else 0
