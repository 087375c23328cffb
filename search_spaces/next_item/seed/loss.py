"""What training minimises: one loss at every position of every sequence. N is the number of real positions."""

import torch
from torch import Tensor, nn
from torch.nn import functional

NEGATIVES = 1  # tunable: 1 .. 64 log int


def draw_negatives(catalogue, targets: Tensor) -> Tensor:
    """Items to tell the targets from, (N, NEGATIVES), uniformly from the catalogue."""
    return torch.randint(catalogue.items, (len(targets), NEGATIVES))


def item_loss(model: nn.Module, states: Tensor, targets: Tensor) -> Tensor:
    """States (N, D) and next items (N,) -> losses (N,): is it the next item, or a drawn one?"""
    drawn = draw_negatives(model.catalogue, targets)
    scores = model.scores_of(states, torch.cat([targets[:, None], drawn], dim=1))
    truth = torch.zeros_like(scores)
    truth[:, 0] = 1.0
    return functional.binary_cross_entropy_with_logits(scores, truth, reduction="none").sum(dim=1)


def position_weights(model: nn.Module, batch) -> Tensor:
    """How much each position counts, (B, L), greater than 0. Here: all the same."""
    return torch.ones(batch.targets.shape)


def auxiliary_loss(model: nn.Module, batch, states: Tensor) -> Tensor:
    """What is added to the loss, a scalar. Here: nothing."""
    return torch.zeros(())


def total_loss(model: nn.Module, batch) -> Tensor:
    """The loss of a batch, a scalar."""
    states = model(batch.items, batch.gaps)
    real = batch.targets != model.padding
    losses = item_loss(model, states[real], batch.targets[real])
    weights = position_weights(model, batch)[real]
    return (losses * weights).sum() / weights.sum() + auxiliary_loss(model, batch, states)
