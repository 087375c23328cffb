"""Pointwise attention of HSTU: the truth, in plain PyTorch."""

import torch


def reference(q, k, v, bias):
    """silu(q k + bias) v over all earlier steps and the own one, divided by the length."""
    scores = torch.einsum("bihd,bjhd->bhij", q, k) + bias
    weights = torch.nn.functional.silu(scores).tril() / q.shape[1]
    return torch.einsum("bhij,bjhd->bihd", weights, v)


def touched(inputs, index):
    """The step that `v` at `index` lies in looks at itself."""
    return index
