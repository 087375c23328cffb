"""What the judge must know of one operator besides its space: names of metrics, a digest, the baselines as floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from search_spaces.kernel_space import METRIC, KernelSpace


class KernelTask:
    """Implements `evaluations.task.Yardstick`. There are no labels: the truth is the reference, part of the space."""

    def __init__(self, space: KernelSpace) -> None:
        self._space = space
        self.baselines: Callable[[], Mapping[str, Mapping[str, float]]] = dict

    @property
    def metrics(self) -> tuple[str, ...]:
        """The primary one, then one for each timed case."""
        return self._space.metrics

    @property
    def digest(self) -> str:
        """The space's: it holds the spec and the reference."""
        return self._space.digest

    def floors(self) -> Mapping[str, Mapping[str, float]]:
        """Each baseline against the strongest of each case."""
        import numpy as np

        rows: dict[str, dict[str, float]] = {}
        for case, seconds in self.baselines().items():
            for name, each in seconds.items():
                row = rows.setdefault(name, {})
                row[f"{METRIC}_{case}"] = float(np.log2(min(seconds.values()) / each))
        return {name: {METRIC: float(np.mean(list(row.values()))), **row} for name, row in rows.items()}
