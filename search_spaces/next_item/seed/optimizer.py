"""How the parameters follow their gradients."""

import torch
from torch import nn

LEARNING_RATE = 0.05  # tunable: 0.0001 .. 1.0 log


def build_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over all parameters; the schedule multiplies the rates that it is given here."""
    return torch.optim.Adagrad(model.parameters(), lr=LEARNING_RATE)


def schedule(progress: float) -> float:
    """The factor on the learning rate after this share (0 .. 1) of the training. Here: constant."""
    return 1.0


def before_step(model: nn.Module) -> None:
    """What is done to the gradients before each step. Here: nothing."""
