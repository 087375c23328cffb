"""Real candidates as policies of the simulated production: fitted to its log, run in the sandbox, asked in batches.

Knows nothing of experiments. All models are fitted again on the same days to the same log (`FIT_EVERY`), whenever
their arm began, so that no arm has fresher data than another. Two simplifications: a fit takes no simulated time, and
how long a model takes to answer is not felt by its users, so that a run is the same on every machine.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from evaluations.production import Production, Visits
from evaluations.production_log import ProductionLog
from evaluations.world_population import Singles
from evolve.contracts import Fault, Job, Rung, Sandbox, SearchSpace, Session, Tree

FIT_EVERY = 28
"""Days between two fits; the first is on day 0, to the log that the search knows."""
SHARPNESS = 1.0
"""Logits of one standard deviation of a visit's scores: the best of many retrieved items are mostly shown."""
BATCH_ROWS = 32_768


class Fits:
    """What all models of one production share: where fits run, and to which columns. `folder` is its own to fill."""

    def __init__(
        self,
        *,
        space: SearchSpace,
        sandbox: Sandbox,
        log: ProductionLog,
        folder: Path,
        seed: int,
        canaries: tuple[bytes, ...] = (),
        rung: Rung | None = None,
        every: int = FIT_EVERY,
    ) -> None:
        self._space, self._sandbox, self._log, self._folder = space, sandbox, log, folder
        self._seed, self._canaries, self._lock = seed, canaries, threading.Lock()
        self.every = every
        self.rung = rung or space.rungs[2]
        """The full rung: a model serves with the training that the search judged it by."""

    def columns(self, visits: Visits) -> Mapping[str, np.ndarray]:
        """What a candidate is asked about these visits."""
        return self._log.queries(visits)

    def job(self, tree: Tree, fit: int) -> Job:
        """A session of this tree with the log as it was on the morning of the `fit`-th fit. The first to ask for a fit
        does so on its day, since the champion always serves."""
        with self._lock:
            data = self._log.training_folder(self._folder / f"fit-{fit}")
        return Job(
            files={**tree, **self._space.harness},
            data=data,
            config={"seed": self._seed, "horizon": self.rung.examples},
            limits=self._space.limits,
            canaries=self._canaries,
        )

    def open(self, job: Job, stack: ExitStack) -> Session:
        """A session that ends with the stack. Raises SandboxError."""
        return stack.enter_context(self._sandbox.open(job))


class SandboxedModel:
    """Implements `production.Ranker`. A candidate that breaks answers nothing from then on: its visits see items in
    random order, and are counted as crashes."""

    def __init__(self, name: str, tree: Tree, fits: Fits) -> None:
        self._name, self._tree, self._fits = name, tree, fits
        self._stack, self._session, self._fit = ExitStack(), None, -1
        self._lock = threading.Lock()
        self.fault = ""

    @property
    def name(self) -> str:
        return self._name

    @property
    def latency_s(self) -> float:
        return 0.0

    @property
    def crash_rate(self) -> float:
        """The share of visits that it fails: all, once it is broken."""
        return float(bool(self.fault))

    def scores(self, production: Production, visits: Visits) -> Singles:
        """Scores standardised within each visit: a candidate's scale says nothing, its order everything."""
        with self._lock:  # two arms may be served by one model
            answer = self._ask(visits)
        if answer is None:
            return np.zeros(visits.items.shape, dtype=np.float32)
        rows = answer.reshape(visits.items.shape)
        spread = rows.std(axis=1, keepdims=True)
        return np.float32(SHARPNESS) * (rows - rows.mean(axis=1, keepdims=True)) / np.maximum(spread, np.float32(1e-6))

    def close(self) -> None:
        """Ends the session; the next visit would begin another."""
        self._stack.close()
        self._session, self._fit = None, -1

    def _ask(self, visits: Visits) -> Singles | None:
        session = self._ready(visits.day // self._fits.every) if not self.fault else None
        if session is None:
            return None
        columns, count = self._fits.columns(visits), visits.items.size
        answers: list[Singles] = []
        for first in range(0, count, BATCH_ROWS):
            last = min(first + BATCH_ROWS, count)
            batch = {name: column[first:last] for name, column in columns.items()}
            found = session.predict(batch, (last - first,), self._fits.rung.limit_s)
            if isinstance(found, Fault):
                return self._broken(found)
            answers.append(found)
        return np.concatenate(answers)

    def _ready(self, fit: int) -> Session | None:
        """A session that is fitted for today, or None where the candidate broke."""
        if self._session is None or fit != self._fit:
            self.close()
            self._session = self._fits.open(self._fits.job(self._tree, fit), self._stack)
            self._fit = fit
            found = self._session.train(self._fits.rung.examples, self._fits.rung.limit_s)
            if isinstance(found, Fault):
                self._broken(found)
                return None
        return self._session

    def _broken(self, fault: Fault) -> None:
        self.fault = fault.reason
        self._stack.close()
