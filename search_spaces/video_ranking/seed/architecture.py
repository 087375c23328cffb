"""The ranking model: features in, one logit an impression out.

Batches are dictionaries of tensors with one row an impression: ids `user`, `item`, `topic`, `creator`,
`device`, `hour`, `weekday` of shape (B,), standardised counts and rates `dense` (B, F), and `recent`
(B, 10), the user's last clicked items, -1 where there are fewer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EMBEDDING_WIDTH = 16  # tunable: 8 .. 32 log int
HIDDEN_WIDTH = 128  # tunable: 64 .. 256 log int
OUTPUT_WIDTH = 64  # tunable: 32 .. 128 log int
EMBEDDING_SCALE = 0.05  # tunable: 0.01 .. 0.2 log


def build_table(rows: int, width: int) -> nn.Embedding:
    """One learned vector a row, small at first."""
    table = nn.Embedding(rows, width)
    nn.init.normal_(table.weight, std=EMBEDDING_SCALE)
    return table


def shape_dense(dense: Tensor) -> Tensor:
    """What is done to the standardised dense features before they are used."""
    return dense


class History(nn.Module):
    """Sums up the user's recent items in one vector; this one takes their mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, recent_BLD: Tensor, is_there_BL: Tensor, target_BD: Tensor) -> Tensor:
        weight_BL1 = is_there_BL.unsqueeze(-1).float()
        return (recent_BLD * weight_BL1).sum(1) / weight_BL1.sum(1).clamp(min=1.0)


class Inputs(nn.Module):
    """Puts embeddings, history and dense features side by side: (B, width)."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__()
        width = EMBEDDING_WIDTH
        self.user = build_table(sizes["users"], width)
        self.item = build_table(sizes["items"], width)
        self.topic = build_table(sizes["topics"], width)
        self.creator = build_table(sizes["creators"], width)
        self.device = build_table(sizes["devices"], 4)
        self.hour = build_table(24, 4)
        self.weekday = build_table(7, 4)
        self.history = History(width)
        self.width = 4 * width + 12 + self.history.width + sizes["dense"]

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        item = self.item(batch["item"])
        recent = batch["recent"]
        parts = [self.user(batch["user"]), item, self.topic(batch["topic"]), self.creator(batch["creator"])]
        parts += [self.device(batch["device"]), self.hour(batch["hour"]), self.weekday(batch["weekday"])]
        parts += [self.history(self.item(recent.clamp(min=0)), recent >= 0, item), shape_dense(batch["dense"])]
        return torch.cat(parts, dim=1)


class Crosses(nn.Module):
    """Where features may meet before the trunk; this one passes them on as they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


class Trunk(nn.Module):
    """layer_norm(relu(dense(relu(dense(x))))): (B, in_width) -> (B, width)."""

    def __init__(self, in_width: int) -> None:
        super().__init__()
        self.width = OUTPUT_WIDTH
        self.first = nn.Linear(in_width, HIDDEN_WIDTH)
        self.second = nn.Linear(HIDDEN_WIDTH, OUTPUT_WIDTH)
        self.norm = nn.LayerNorm(OUTPUT_WIDTH)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.first(inputs))
        return self.norm(torch.relu(self.second(hidden)))


class Wide(nn.Module):
    """What is added to the trunk's logit from ids alone; this one adds nothing."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__()

    def forward(self, batch: dict[str, Tensor]) -> Tensor | float:
        return 0.0


class Ranker(nn.Module):
    """Inputs, crosses, trunk and head: one logit an impression, (B,)."""

    def __init__(self, sizes: dict[str, int]) -> None:
        super().__init__()
        self.inputs = Inputs(sizes)
        self.crosses = Crosses(self.inputs.width)
        self.trunk = Trunk(self.crosses.width)
        self.head = nn.Linear(self.trunk.width, 1)
        self.wide = Wide(sizes)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        hidden = self.trunk(self.crosses(self.inputs(batch)))
        return self.head(hidden).squeeze(-1) + self.wide(batch)


def build_model(sizes: dict[str, int]) -> nn.Module:
    """The model; `sizes` holds users, items, topics, creators, devices and dense."""
    return Ranker(sizes)
