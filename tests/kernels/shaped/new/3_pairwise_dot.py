"""The same, with fewer passes."""

from torch import nn


class ModelNew(nn.Module):
    """Takes the place of `Model`."""

    def forward(self, x):
        return x @ x.mT
