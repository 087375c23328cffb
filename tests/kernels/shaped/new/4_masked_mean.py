"""The same, with fewer passes."""

import torch
from torch import nn


class ModelNew(nn.Module):
    """Takes the place of `Model`."""

    def forward(self, x):
        kept = x * (x > 0.5)
        return kept.sum(1) / (torch.count_nonzero(kept, 1) + 1e-6)
