"""RMSNorm, forward: the truth, in plain PyTorch."""

import torch


def reference(x, weight, *, epsilon):
    """Each row over its root mean square, times a weight for each column."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def touched(inputs, index):
    """A place of the output that depends on `x` at `index`."""
    return index
