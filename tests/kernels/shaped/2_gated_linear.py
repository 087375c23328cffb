"""A linear layer times the sigmoid of its input."""

import torch
from torch import nn

batch = 128
features = 256


class Model(nn.Module):
    """The reference."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.linear(x) * torch.sigmoid(x)


def get_inputs():
    return [torch.rand(batch, features)]


def get_init_inputs():
    return [features, features]
