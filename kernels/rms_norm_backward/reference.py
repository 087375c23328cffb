"""RMSNorm, backward: the truth, in plain PyTorch."""

import torch


def reference(x, weight, dy, *, epsilon):
    """The gradients of x / rms(x) * weight, given the gradient of its output."""
    scale = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon)
    weighted = dy * weight
    dx = scale * weighted - x * scale.pow(3) * (weighted * x).mean(-1, keepdim=True)
    return dx, (dy * x * scale).sum(0)


def touched(inputs, index):
    """A place of dx that depends on `x` at `index`."""
    return index
