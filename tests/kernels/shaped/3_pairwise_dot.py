"""All dot products between the fields of each example."""

import torch
from torch import nn

batch = 64
fields = 24
width = 32


class Model(nn.Module):
    """The reference."""

    def forward(self, x):
        return torch.bmm(x, x.transpose(1, 2))


def get_inputs():
    return [torch.rand(batch, fields, width)]


def get_init_inputs():
    return []
