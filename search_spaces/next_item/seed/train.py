"""How the log becomes batches, and what one step does."""

from dataclasses import dataclass
from itertools import pairwise

import loss
import numpy as np
import optimizer
import torch
from torch import Tensor, nn

WINDOW = 50  # tunable: 20 .. 200 log int
BATCH = 32  # tunable: 8 .. 256 log int


@dataclass
class Batch:
    """Windows of users' histories: position t holds an item, and targets[t] is the item after it.

    All of shape (B, L), padded on the right: `items` and `targets` with the number of items, `gaps`
    (log(1 + seconds) since the event before) with 0.
    """

    items: Tensor
    targets: Tensor
    gaps: Tensor


def cut_windows(offsets: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One pass over the log: (start, stop) of every window, shape (windows, 2), in log positions.

    Each history is cut into windows of WINDOW + 1 events from its end; neighbours share one event.
    """
    windows = []
    for first, end in pairwise(offsets):
        for stop in range(end, first + 1, -WINDOW):
            windows.append((max(first, stop - WINDOW - 1), stop))
    return np.array(windows)


def augment(items: Tensor, padding: int) -> Tensor:
    """What is changed in the input items (B, L) before training on them. Here: nothing."""
    return items


def make_batch(log, windows: np.ndarray) -> Batch:
    """The batch of some windows (B, 2)."""
    lengths = windows[:, 1] - windows[:, 0] - 1
    columns = np.arange(lengths.max())
    real = columns < lengths[:, None]
    events = np.where(real, windows[:, :1] + columns, 0)
    items = torch.from_numpy(np.where(real, log.items[events], log.padding))
    targets = torch.from_numpy(np.where(real, log.items[events + 1], log.padding))
    gaps = torch.from_numpy(np.where(real, log.gaps[events], 0.0).astype(np.float32))
    return Batch(items=augment(items, log.padding), targets=targets, gaps=gaps)


def batches(log, generator: np.random.Generator):
    """Batches without end: each pass over the log in a new order. `log` has items, gaps, offsets and padding."""
    while True:
        windows = generator.permutation(cut_windows(log.offsets, generator))
        for start in range(0, len(windows), BATCH):
            yield make_batch(log, windows[start : start + BATCH])


def train_step(model: nn.Module, stepper: torch.optim.Optimizer, batch: Batch) -> float:
    """One step on one batch; returns the loss."""
    stepper.zero_grad()
    value = loss.total_loss(model, batch)
    value.backward()
    optimizer.before_step(model)
    stepper.step()
    return value.item()


class Averager:
    """Which weights predict. Here: the last ones."""

    def __init__(self, model: nn.Module):
        self.model = model

    def update(self) -> None:
        """Called after every step."""

    def predictor(self) -> nn.Module:
        """The model to predict with."""
        return self.model
