"""The same, with fewer passes."""

import torch
from torch import nn


class ModelNew(nn.Module):
    """Takes the place of `Model`."""

    def forward(self, x):
        top = x.amax(dim=1, keepdim=True)
        powers = torch.exp(x - top)
        return powers.mul_(top / powers.sum(dim=1, keepdim=True))
