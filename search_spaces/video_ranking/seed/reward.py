"""What the model learns to predict, and how an error is counted.

`labels` are tensors of shape (B,): `click`, `watch_s`, `duration_s`, `watch_share`, `long_watch`, `like`,
`share`, `skip`; `returned` (next day, zero where `returned_known` is zero); the user's earlier `past_clicks`,
`past_long_watches`, `past_likes`, `past_visits`; and the slate's `position` (0 at the top) and `propensity`.
None of them is known when a slate is ranked.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def reward(labels: dict[str, Tensor]) -> Tensor:
    """The target of each impression in [0, 1]: whether it was clicked."""
    return labels["click"]


def example_weight(labels: dict[str, Tensor]) -> Tensor:
    """How much each impression counts."""
    return torch.ones_like(labels["click"])


def error(logit: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Binary cross-entropy: the mean over the batch."""
    return functional.binary_cross_entropy_with_logits(logit, target, weight=weight)
