"""Running sums, gated by a second input."""

import torch
from torch import nn

batch = 256
length = 200


class Model(nn.Module):
    """The reference."""

    def forward(self, x, gate):
        return torch.cumsum(x, dim=1) * torch.tanh(gate)


def get_inputs():
    return [torch.rand(batch, length), torch.randn(batch, length)]


def get_init_inputs():
    return []
