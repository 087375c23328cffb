"""Trains and queries a candidate inside the sandbox. Knows the log; knows no held-out event and no metric.

An example is one position: an event of a user's history whose next item the candidate was asked for in training.
Padding does not count. Numbers reported by `train` are claims: they describe a candidate and never score it.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import model as model_file
import numpy as np
import optimizer as optimizer_file
import torch
import train as train_file

PREDICTED_AT_ONCE = 128
PROBES = 64
WATCHED_EVERY = 16
LIST_LENGTH = 10
TAIL = 0.8


@dataclass(frozen=True)
class Catalogue:
    """The items there are, and how often each occurs in the training log, shape (items,)."""

    items: int
    users: int
    counts: torch.Tensor
    log: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Log:
    """All training events, user after user: user u has those from offsets[u] up to offsets[u + 1]."""

    items: np.ndarray
    gaps: np.ndarray
    offsets: np.ndarray
    padding: int


def gaps_of(times: np.ndarray) -> np.ndarray:
    """log(1 + seconds since the event before), float32; 0 for the first of each row."""
    gaps = np.zeros(times.shape, np.float32)
    gaps[..., 1:] = np.log1p(np.maximum(np.diff(times.astype(np.float64), axis=-1), 0.0))
    return gaps


class Runner:
    """One candidate in training."""

    def __init__(self, data: Path, config: dict):
        torch.manual_seed(config["seed"])
        self.horizon = config["horizon"]
        self.log, self.catalogue = load(data)
        self.window = train_file.WINDOW
        self.model = model_file.build_model(self.catalogue, self.window)
        self.optimizer = optimizer_file.build_optimizer(self.model)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.averager = train_file.Averager(self.model)
        self.batches = train_file.batches(self.log, np.random.default_rng(config["seed"]))
        self.seen, self.steps = 0, 0
        self.losses, self.gradient_norms, self.update_norms = [], [], []

    def train(self, examples: int) -> dict[str, float]:
        """Trains until `examples` positions were seen in all; returns the observables."""
        self.model.train()
        while self.seen < examples:
            self.step(next(self.batches))
        return self.observables()

    def step(self, batch) -> None:
        factor = optimizer_file.schedule(min(1.0, self.seen / self.horizon))
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        watched = self.steps % WATCHED_EVERY == 0
        before = [p.detach().clone() for p in self.model.parameters()] if watched else []
        value = train_file.train_step(self.model, self.optimizer, batch)
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value} after {self.seen} examples")
        if watched:
            self.gradient_norms.append(norm(p.grad for p in self.model.parameters() if p.grad is not None))
            self.update_norms.append(
                norm(p.detach() - old for p, old in zip(self.model.parameters(), before, strict=True))
            )
        self.averager.update()
        self.losses.append(value)
        self.seen += int((batch.targets != self.log.padding).sum())
        self.steps += 1

    def predict(self, queries: dict[str, np.ndarray]) -> np.ndarray:
        """Scores of all items, float32 (batch, items), after each query's last event."""
        items, gaps, lengths = self.recent(queries)
        parts = [slice(start, start + PREDICTED_AT_ONCE) for start in range(0, len(items), PREDICTED_AT_ONCE)]
        return np.concatenate([self.scores(items[part], gaps[part], lengths[part]) for part in parts])

    def scores(self, items: np.ndarray, gaps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        predictor = self.averager.predictor()
        predictor.eval()
        with torch.no_grad():
            states = predictor(torch.from_numpy(items).long(), torch.from_numpy(gaps))
            last = states[torch.arange(len(items)), torch.from_numpy(lengths).long() - 1]
            answer = predictor.scores(last).float().numpy()
        self.model.train()
        return answer

    def recent(self, queries: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The last `window` events of each query, padded on the right: items, gaps, lengths."""
        lengths = queries["lengths"].astype(np.int64)
        kept = np.minimum(lengths, self.window)
        columns = np.arange(kept.max())
        events = np.minimum((lengths - kept)[:, None] + columns, queries["items"].shape[1] - 1)
        real = columns < kept[:, None]
        gaps = np.take_along_axis(gaps_of(queries["times"]), events, axis=1)
        items = np.take_along_axis(queries["items"], events, axis=1)
        return np.where(real, items, self.log.padding), np.where(real, gaps, 0.0).astype(np.float32), kept

    def observables(self) -> dict[str, float]:
        late = max(1, len(self.losses) // 10)
        scores = torch.from_numpy(self.predict(self.probes()))
        chances = torch.softmax(scores, dim=1)
        seen = {
            "final_loss": float(np.mean(self.losses[-late:])),
            "gradient_norm": float(np.mean(self.gradient_norms[-max(1, late // WATCHED_EVERY) :])),
            "late_update_norm": float(np.mean(self.update_norms[-max(1, late // WATCHED_EVERY) :])),
            "score_entropy": float(-(chances * (chances + 1e-12).log()).sum(dim=1).mean()),
            "score_spread": float(scores.std(dim=1).mean()),
            "tail_share": self.tail_share(scores),
            "lr_last": float(self.optimizer.param_groups[0]["lr"]),
            "steps": float(self.steps),
        }
        return seen | claims([*self.model.modules(), self.averager])

    def probes(self) -> dict[str, np.ndarray]:
        """Queries from the training log itself: whole histories of the first users, their last events."""
        spans = [(max(a, b - self.window), b) for a, b in pairwise(self.log.offsets) if b > a]
        spans = spans[:PROBES]
        lengths = np.array([stop - start for start, stop in spans])
        items = np.full((len(spans), lengths.max()), self.log.padding)
        for row, (start, stop) in enumerate(spans):
            items[row, : stop - start] = self.log.items[start:stop]
        return {"items": items, "times": np.zeros(items.shape, np.int64), "lengths": lengths}

    def tail_share(self, scores: torch.Tensor) -> float:
        """The share of the recommended that is not among the items which make up 80 % of all events' mass."""
        ranked = self.catalogue.counts.argsort(descending=True, stable=True)
        mass = self.catalogue.counts[ranked].cumsum(0) / self.catalogue.counts.sum()
        tail = torch.zeros(self.catalogue.items, dtype=torch.bool)
        tail[ranked[mass > TAIL]] = True
        return float(tail[scores.topk(LIST_LENGTH, dim=1).indices].float().mean())


def claims(parts: list) -> dict[str, float]:
    """What the candidate's own parts report: the mean over the parts that report a name."""
    found = {}
    for part in parts:
        if hasattr(part, "observables"):
            for name, value in part.observables().items():
                found.setdefault(str(name), []).append(float(value))
    return {name: float(np.mean(values)) for name, values in found.items()}


def norm(tensors) -> float:
    """The Euclidean norm of all tensors as one vector."""
    return math.sqrt(sum(float(tensor.pow(2).sum()) for tensor in tensors))


def load(data: Path) -> tuple[Log, Catalogue]:
    """Reads the training folder."""
    items = np.load(data / "items.npy", mmap_mode="r").astype(np.int64)
    times = np.load(data / "times.npy", mmap_mode="r")
    offsets = np.array(np.load(data / "offsets.npy"))
    item_count, user_count = (int(count) for count in np.load(data / "catalogue.npy"))
    gaps = gaps_of(times)
    gaps[offsets[:-1][offsets[:-1] < len(items)]] = 0.0
    counts = torch.from_numpy(np.bincount(items, minlength=item_count)).float()
    log = Log(items=items, gaps=gaps, offsets=offsets, padding=item_count)
    return log, Catalogue(items=item_count, users=user_count, counts=counts, log=items, offsets=offsets)


def start(data: Path, config: dict) -> Runner:
    """Begins a candidate: `data` is the training folder, `config` has `seed` and `horizon` (examples)."""
    torch.set_num_threads(1)
    return Runner(data, config)
