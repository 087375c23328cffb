"""The same, with fewer passes."""

import torch
from torch import nn


class ModelNew(nn.Module):
    """Takes the place of `Model`."""

    def forward(self, x, gate):
        return torch.cumsum(x, dim=1).mul_(torch.tanh(gate))
