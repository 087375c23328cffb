"""The same, with fewer passes."""

import torch
from torch import nn


class ModelNew(nn.Module):
    """Takes the place of `Model`."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.linear(x).mul_(torch.sigmoid(x))
