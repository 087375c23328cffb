"""One training step, and what the model answers when it serves."""

from __future__ import annotations

import torch
from optimizer import learning_rate_factor
from reward import error, example_weight, reward
from torch import Tensor, nn

BATCH_SIZE = 32  # tunable: 16 .. 256 log int


def training_loss(model: nn.Module, batch: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
    """What is minimised."""
    return error(model(batch), reward(labels), example_weight(labels))


def set_learning_rates(optimizers: list[torch.optim.Optimizer], step: int, steps: int) -> None:
    """Gives every group its own rate times the schedule's factor."""
    factor = learning_rate_factor(step, steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("base_lr", group["lr"]) * factor


def train_step(
    model: nn.Module,
    optimizers: list[torch.optim.Optimizer],
    batch: dict[str, Tensor],
    labels: dict[str, Tensor],
    step: int,
    steps: int,
) -> Tensor:
    """Moves the weights once; gives the loss, without its graph."""
    set_learning_rates(optimizers, step, steps)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss = training_loss(model, batch, labels)
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss.detach()


def serve(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """The value by which items are ranked, (B,); only the order matters."""
    return model(batch)
