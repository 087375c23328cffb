"""What the judge must know of one search space's data. Knows nothing of candidates or statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Floats

Split = Literal["search", "confirm", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Unlabelled queries that travel in one frame, and the shape of the answer expected."""

    queries: Mapping[str, NDArray[Any]]
    shape: tuple[int, ...]


class Yardstick(Protocol):
    """What a search space is measured by."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the proxy metrics; greater is better for each."""
        ...

    @property
    def digest(self) -> str:
        """sha256 over the data and the splits."""
        ...

    def floors(self) -> Mapping[str, Mapping[str, float]]:
        """Plain baselines, on the test split where there is one (Popularity, EASE, ...): name -> metric -> mean."""
        ...


class Task(Yardstick, Protocol):
    """The labels and the metrics of one search space; lives in the trusted zone."""

    def training_folder(self, *, final: bool) -> Path:
        """A read-only folder of `.npy` files for the candidate, shared by all candidates and free of any
        label of the splits; `final` adds what lies before the test events."""
        ...

    def batches(self, split: Split, rung: str) -> Sequence[Batch]:
        """The queries of a split; a cheaper rung may ask fewer."""
        ...

    def measure(
        self, split: Split, rung: str, answers: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.int64], Mapping[str, Floats]]:
        """Users of shape (n,), and per metric one number per user, NaN where undefined. `answers` are in
        the order of `batches`."""
        ...
