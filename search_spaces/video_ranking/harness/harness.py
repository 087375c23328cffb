"""Cargo: trains and asks one candidate of the video_ranking space. Knows no held-out label and no metric.

The log is read in time order, shuffled inside windows of about a day. One pass takes every fourth row, and four
passes take each row once: a short budget has then seen the whole period, if thinly. Budgets are examples seen
since the start; asked for more, training goes on where it stopped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import architecture
import numpy as np
import optimizer
import reward
import torch
import train
from torch import Tensor, nn

IDS = ("user", "item", "topic", "creator", "device", "hour", "weekday")
LABELS = ("click", "watch_s", "duration_s", "long_watch", "like", "share", "skip", "returned", "returned_known")
PAST = {"past_clicks": 1, "past_long_watches": 2, "past_likes": 3, "past_visits": 6}
"""Which raw dense column tells what the user did before."""
THINNING = 4
WINDOW_ROWS = 2048
PROBE_ROWS = 16384
ANSWER_ROWS = 4096
LATE_SHARE = 0.1
WATCH_EVERY = 16
"""Norms are measured on every 16th of the last tenth of a call's steps, the first of them included."""

Batch = dict[str, Tensor]


class TrainingLog:
    """The training folder in memory: features and labels by row, in time order."""

    def __init__(self, folder: Path) -> None:
        def column(name: str) -> np.ndarray:
            return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

        raw = np.asarray(column("dense"), dtype=np.float32)
        self.mean = raw.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.deviation = np.maximum(raw.std(axis=0, dtype=np.float64), 1e-6).astype(np.float32)
        users, items, topics, creators, devices = (int(size) for size in column("sizes"))
        self.sizes = {"users": users, "items": items, "topics": topics, "creators": creators, "devices": devices}
        self.sizes["dense"] = raw.shape[1]
        self.features = self.tensors({name: column(name) for name in (*IDS, "recent")} | {"dense": raw})
        self.labels = {name: torch.from_numpy(np.array(column(name), dtype=np.float32)) for name in LABELS}
        self.labels |= {name: torch.from_numpy(raw[:, place].copy()) for name, place in PAST.items()}
        self.labels["watch_share"] = (self.labels["watch_s"] / self.labels["duration_s"]).clamp(0.0, 1.0)
        self.labels["position"] = torch.from_numpy(np.array(column("position"), dtype=np.int64))
        self.labels["propensity"] = torch.from_numpy(np.array(column("propensity"), dtype=np.float32))
        self.rows = len(raw)

    def tensors(self, columns: dict[str, Any]) -> Batch:
        """Columns as the candidate sees them: ids as int64, dense features standardised on the training log."""
        batch = {name: torch.from_numpy(np.array(columns[name], dtype=np.int64)) for name in (*IDS, "recent")}
        batch["dense"] = torch.from_numpy((np.asarray(columns["dense"]) - self.mean) / self.deviation)
        return batch

    def windows(self, seed: int) -> Iterator[tuple[Batch, Batch]]:
        """Shuffled windows in time order, pass after pass, for ever."""
        generator = torch.Generator().manual_seed(seed)
        for turn in itertools.count():
            rows = torch.arange(turn % THINNING, self.rows, THINNING)
            for window in rows.split(WINDOW_ROWS):
                order = window[torch.randperm(len(window), generator=generator)]
                yield cut(self.features, order), cut(self.labels, order)

    def batches(self, seed: int) -> Iterator[tuple[Batch, Batch]]:
        """Batches of train.BATCH_SIZE rows; a window's last one may be smaller."""
        for features, labels in self.windows(seed):
            for first in range(0, len(features["user"]), train.BATCH_SIZE):
                rows = slice(first, first + train.BATCH_SIZE)
                yield cut(features, rows), cut(labels, rows)


def cut(columns: Batch, rows: Any) -> Batch:
    return {name: column[rows] for name, column in columns.items()}


class Watch:
    """Norms of late gradients and updates, and the mean of late losses."""

    def __init__(self, model: nn.Module) -> None:
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.losses: list[Tensor] = []
        self.updates: list[float] = []
        self.gradients: list[float] = []

    def before(self) -> list[Tensor]:
        return [weight.detach().clone() for weight in self.weights]

    def after(self, before: list[Tensor]) -> None:
        moved = [now.detach() - then for now, then in zip(self.weights, before, strict=True)]
        self.updates.append(norm(moved))
        self.gradients.append(norm([weight.grad for weight in self.weights if weight.grad is not None]))

    def claims(self) -> dict[str, float]:
        found = {"late_update_norm": self.updates, "gradient_norm": self.gradients}
        means = {name: float(np.mean(values)) for name, values in found.items() if values}
        return means | {"final_loss": float(torch.stack(self.losses).mean())} if self.losses else means


def norm(tensors: list[Tensor]) -> float:
    return float(torch.stack([tensor.square().sum() for tensor in tensors]).sum().sqrt()) if tensors else 0.0


class Runner:
    """One candidate in training."""

    def __init__(self, data: Path, config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(int(config["seed"]))
        self.log = TrainingLog(data)
        self.model = architecture.build_model(dict(self.log.sizes))
        self.optimizers = optimizer.build_optimizers(self.model)
        self.batches = self.log.batches(int(config["seed"]))
        self.steps = max(1, int(config["horizon"]) // train.BATCH_SIZE)
        self.seen, self.step = 0, 0

    def train(self, examples: int) -> dict[str, float]:
        """Trains until `examples` have been seen in all; returns what the harness saw of the candidate."""
        self.model.train()
        watch, late = Watch(self.model), examples - LATE_SHARE * (examples - self.seen)
        while self.seen < examples:
            features, labels = next(self.batches)
            left = examples - self.seen
            if len(features["user"]) > left:
                features, labels = cut(features, slice(left)), cut(labels, slice(left))
            self._step(features, labels, watch if self.seen + len(features["user"]) > late else None)
        return self._claims(watch)

    def _step(self, features: Batch, labels: Batch, watch: Watch | None) -> None:
        before = watch.before() if watch and len(watch.losses) % WATCH_EVERY == 0 else None
        loss = train.train_step(self.model, self.optimizers, features, labels, self.step, self.steps)
        if watch:
            watch.losses.append(loss)
        if watch and before is not None:
            watch.after(before)
        self.seen += len(features["user"])
        self.step += 1

    @torch.no_grad()
    def predict(self, queries: dict[str, np.ndarray]) -> np.ndarray:
        """The candidate's value of each query, float32 (n,)."""
        self.model.eval()
        batch = self.log.tensors(queries)
        answers = [
            train.serve(self.model, cut(batch, slice(first, first + ANSWER_ROWS)))
            for first in range(0, len(batch["user"]), ANSWER_ROWS)
        ]
        return torch.cat(answers).float().numpy()

    @torch.no_grad()
    def _claims(self, watch: Watch) -> dict[str, float]:
        """Observables: claims, since the candidate's code runs beside them."""
        self.model.eval()
        rows = slice(self.log.rows - PROBE_ROWS, self.log.rows)
        features, labels = cut(self.log.features, rows), cut(self.log.labels, rows)
        answer = train.serve(self.model, features).float()
        claims = watch.claims()
        claims["prediction_spread"] = float(answer.std())
        claims["prediction_watch_correlation"] = correlation(answer, labels["watch_share"])
        claims["prediction_position_correlation"] = correlation(answer, labels["position"].float())
        claims |= self._reward_claims(labels) | self._weight_claims()
        for module in self.model.modules():
            if isinstance(gate := getattr(module, "gate_values", None), Tensor):
                claims["gate_open_rate"] = float((gate > 0.5).float().mean())
            if callable(observe := getattr(module, "observe", None)):
                claims |= {str(name): float(value) for name, value in observe().items()}
        if callable(extra := getattr(architecture, "observables", None)):
            claims |= {str(name): float(value) for name, value in extra(self.model).items()}
        return {name: value for name, value in claims.items() if np.isfinite(value)}

    def _reward_claims(self, labels: Batch) -> dict[str, float]:
        target, weight = reward.reward(labels).float(), reward.example_weight(labels).float()
        clicked = labels["click"] > 0
        held, left = clicked & (labels["long_watch"] > 0), clicked & (labels["long_watch"] == 0)
        known = clicked & (labels["returned_known"] > 0)
        back, gone = known & (labels["returned"] > 0), known & (labels["returned"] == 0)
        return {
            "reward_mean": float(target.mean()),
            # What a long watch earns over another click: zero where only clicks count.
            "reward_separation": float((target * weight)[held].mean() - (target * weight)[left].mean()),
            "return_separation": float((target * weight)[back].mean() - (target * weight)[gone].mean()),
            "weight_spread": float(weight.std()),
        }

    def _weight_claims(self) -> dict[str, float]:
        tables = [module.weight for module in self.model.modules() if isinstance(module, nn.Embedding)]
        weights = torch.cat([weight.flatten() for weight in self.model.parameters()])
        groups = [group for one in self.optimizers for group in one.param_groups]
        return {
            "embedding_norm": float(torch.cat([table.norm(dim=1) for table in tables]).mean()) if tables else 0.0,
            "weight_norm": float(weights.norm()),
            "weight_sparsity": float((weights.abs() < 1e-6).float().mean()),
            "steps": float(self.step),
            "lr_last": float(groups[-1]["lr"]) if groups else 0.0,
        }


def correlation(left: Tensor, right: Tensor) -> float:
    left, right = left - left.mean(), right - right.mean()
    return float((left * right).sum() / (left.norm() * right.norm()).clamp(min=1e-9))


def start(data: Path, config: dict[str, Any]) -> Runner:
    """Loads the training folder and builds the candidate; `config` holds seed and horizon."""
    return Runner(Path(data), config)
