"""How the weights are moved. Tables (embeddings) and the trunk (all else) have an optimizer each.

Steps are small, so their price is that of calling PyTorch; `fused` moves all weights in one call.
"""

from __future__ import annotations

import torch
from torch import nn

LEARNING_RATE = 0.01  # tunable: 0.0003 .. 0.3 log
WEIGHT_DECAY = 0.0  # tunable: 0.0 .. 0.01


def table_optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Moves the embedding tables."""
    return torch.optim.Adagrad(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)


def trunk_optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Moves everything that is no table."""
    return torch.optim.Adagrad(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)


def learning_rate_factor(step: int, steps: int) -> float:
    """What the learning rates are multiplied with at `step` of `steps`."""
    return 1.0


def build_optimizers(model: nn.Module) -> list[torch.optim.Optimizer]:
    """All optimizers; each is stepped once a batch."""
    tables = [table.weight for table in model.modules() if isinstance(table, nn.Embedding)]
    known = {id(weight) for weight in tables}
    others = [weight for weight in model.parameters() if id(weight) not in known]
    return [table_optimizer(tables), trunk_optimizer(others)]
