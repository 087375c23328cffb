"""One candidate through the rungs of one sandbox session: train, ask, measure. Knows no statistics.

The only place where sandboxes are opened: `slots` bounds how many sessions run at once, whoever asks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evaluations.store import Walk
from evaluations.task import Split, Task
from evolve.contracts import Candidate, Fault, Job, Measurement, Rung, Sandbox, SearchSpace, Session

Continue = Callable[[Measurement], bool]
"""Asked after each rung but the last: whether the session goes on to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which rungs a session walks, on which split, from which training data."""

    rungs: tuple[Rung, ...]
    split: Split
    seed: int
    final: bool = False


class Walks(Protocol):
    """What takes a candidate up the rungs of one session."""

    def walk(self, candidate: Candidate, route: Route, on_rung: Continue | None = None) -> Walk:
        """Runs the route's rungs in order. A fault ends the walk and is part of it. Raises SandboxError."""
        ...


@dataclass(slots=True)
class _Stopwatch:
    """Seconds the host waited for training and prediction: the compute that a run is for."""

    seconds: float = 0.0
    started: float = field(default=0.0)

    def __enter__(self) -> None:
        self.started = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.monotonic() - self.started


def climbed(
    rungs: Sequence[Rung], climb: Callable[[Rung], Measurement | Fault], on_rung: Continue | None
) -> tuple[tuple[Measurement, ...], Fault | None, str]:
    """Takes the rungs in order until one faults or `on_rung` has seen enough: what was measured, a fault, its rung."""
    measured: list[Measurement] = []
    for rung in rungs:
        found = climb(rung)
        if isinstance(found, Fault):
            return tuple(measured), found, rung.name
        measured.append(found)
        if on_rung is not None and rung is not rungs[-1] and not on_rung(found):
            break
    return tuple(measured), None, ""


class Sessions:
    """Walks candidates through sandbox sessions, at most `slots` at a time.

    `deciding` is the sandbox for everything but the search: confirmations and the final fits.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        sandbox: Sandbox,
        slots: int,
        *,
        deciding: Sandbox | None = None,
        canaries: tuple[bytes, ...] = (),
    ) -> None:
        self._space, self._task, self._sandbox, self._canaries = space, task, sandbox, canaries
        self._deciding = deciding or sandbox
        self._free = threading.BoundedSemaphore(slots)

    def walk(self, candidate: Candidate, route: Route, on_rung: Continue | None = None) -> Walk:
        """Runs the route's rungs in order. A fault ends the walk and is part of it. Raises SandboxError."""
        job = Job(
            files={**candidate.tree, **self._space.harness},
            data=self._task.training_folder(final=route.final),
            config={"seed": route.seed, "horizon": route.rungs[-1].examples},
            limits=replace(self._space.limits, memory_bytes=max(map(self._memory_of, route.rungs))),
            canaries=self._canaries,
        )
        watch, training = _Stopwatch(), _Stopwatch()
        sandbox = self._sandbox if route.split == "search" else self._deciding
        with self._free, sandbox.open(job) as session:
            measured, fault, at = climbed(
                route.rungs, lambda rung: self._climb(session, rung, route, watch, training), on_rung
            )
            evidence = session.close()
        return Walk(measurements=measured, fault=fault, fault_rung=at, evidence=evidence, compute_s=watch.seconds)

    def _memory_of(self, rung: Rung) -> int:
        return rung.memory_bytes or self._space.limits.memory_bytes

    def _climb(
        self, session: Session, rung: Rung, route: Route, watch: _Stopwatch, training: _Stopwatch
    ) -> Measurement | Fault:
        session.limit_memory(self._memory_of(rung))
        with watch, training:
            observables = session.train(rung.examples, rung.limit_s)
        if isinstance(observables, Fault):
            return observables
        answers: list[NDArray[np.float32]] = []
        for batch in self._task.batches(route.split, rung.name):
            with watch:
                answer = session.predict(batch.queries, batch.shape, rung.limit_s)
            if isinstance(answer, Fault):
                return answer
            answers.append(answer)
        users, metrics = self._task.measure(route.split, rung.name, answers)
        return Measurement(
            rung=rung.name,
            seed=route.seed,
            split=route.split,
            users=users,
            metrics=metrics,
            observables=observables,
            compute_s=watch.seconds,
            train_s=training.seconds,
        )
