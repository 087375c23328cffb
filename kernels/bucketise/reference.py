"""Bucketising many features at once: the truth, in plain PyTorch."""

import torch


def reference(x, edges):
    """How many edges of its own feature lie below each value; NaN lies above all."""
    return torch.searchsorted(edges, x.T.contiguous()).T.contiguous()


def touched(inputs, index):
    """A place of the output that depends on `x` at `index`."""
    return index
