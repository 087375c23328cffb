"""One kernel up the rungs of one session: built, loaded, judged right, then timed against its baselines.

Takes the place of `evaluations.sessions` for a kernel space: a timed case and round stand where a user stood, a fresh
process where a training seed did. One kernel is timed at a time. Knows no statistics.
"""

from __future__ import annotations

import math
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from evaluations.kernels import correctness
from evaluations.kernels.backends import Backend, Built, backends
from evaluations.kernels.baselines import ALL, Baselines, job_of
from evaluations.kernels.races import Races
from evaluations.kernels.talk import Talk
from evaluations.kernels.truth import Truth
from evaluations.sessions import Continue, Route, climbed
from evaluations.store import Walk
from evolve.contracts import Candidate, Evidence, Fault, FaultKind, Measurement, Rung, Sandbox, Session
from evolve.errors import SandboxError
from search_spaces.kernel_gate import read_config
from search_spaces.kernel_space import METRIC, KernelSpace

INCREDIBLE = math.log2(10)
"""More than ten times as fast as the strongest baseline is measured again in a fresh process: but for what was given up
on the way, on which nothing rests, and what is no faster than another that was measured twice."""
AGREES = 1.0
"""Two such measurements agree within a factor of two."""


class KernelSessions:
    """Implements `evaluations.sessions.Walks` for one operator.

    `deciding` is the sandbox for confirmations and final fits; `trusted` is where our own baselines run;
    `against` names them.
    """

    def __init__(
        self,
        space: KernelSpace,
        sandbox: Sandbox,
        *,
        trusted: Sandbox,
        deciding: Sandbox | None = None,
        canaries: tuple[bytes, ...] = (),
        threads: int = 1,
        against: Sequence[str] = ALL,
    ) -> None:
        self._space, self._sandbox, self._deciding = space, sandbox, deciding or sandbox
        self._canaries, self._threads = canaries, threads
        self._truth = Truth(space.spec, space.reference)
        self._one = threading.Lock()
        self._credible = INCREDIBLE
        self._open = ExitStack()
        self._data = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="evolve-kernel.")))
        self._data.chmod(0o755)
        self.baselines = Baselines(space, self._truth, threads, trusted, self._data, against)
        self._open.callback(self.baselines.close)

    def close(self) -> None:
        """Ends the baselines' sessions."""
        self._open.close()

    def walk(self, candidate: Candidate, route: Route, on_rung: Continue | None = None) -> Walk:
        """See `evaluations.sessions.Sessions.walk`. Raises SandboxError, and RunError where a baseline is broken."""
        sandbox = self._sandbox if route.split == "search" else self._deciding
        config = read_config(candidate.tree)
        backend = backends()[config.backend]
        if missing := backend.missing():
            raise SandboxError(f"the backend {backend.name} can't be used here: {missing}")
        built = backend.build(candidate.tree, config, self._space.spec, sandbox)
        if isinstance(built, Fault):
            seen = Evidence(sandbox=sandbox.name, exit_reason="not built", cpu_s=0, wall_s=0, peak_memory_bytes=0)
            return Walk(measurements=(), fault=built, fault_rung=route.rungs[0].name, evidence=seen, compute_s=0.0)
        with self._one:
            first = self._run(sandbox, built, backend, route, on_rung)
            given_up = len(first.measurements) < len(route.rungs)
            if given_up or _best(first) <= self._credible:
                return first
            again = self._run(sandbox, built, backend, route, on_rung)
            if again.fault:
                return again
            if abs(_best(again) - _best(first)) >= AGREES:
                return _doubted(again, first)
            self._credible = max(self._credible, _best(again))
            return again

    def _run(self, sandbox: Sandbox, built: Built, backend: Backend, route: Route, on_rung: Continue | None) -> Walk:
        job = job_of(self._space, built, backend.name, self._threads, self._data, self._space.limits, self._canaries)
        with sandbox.open(job) as session:
            races = self._begin(session, backend, route.rungs[-1].limit_s)
            measured, fault, at = climbed(route.rungs, lambda rung: _climb(races, rung, route), on_rung)
            evidence = session.close()
        compute_s = 0.0 if isinstance(races, Fault) else races.compute_s()
        return Walk(measurements=measured, fault=fault, fault_rung=at, evidence=evidence, compute_s=compute_s)

    def _begin(self, session: Session, backend: Backend, limit_s: float) -> Races | Fault:
        """Loads the kernel, then draws what it is judged by; where its backend is not timed, that it is right is all
        that comes of it."""
        talk = Talk(session, self._space.spec, limit_s)
        if fault := talk.load():
            return fault
        rng = np.random.default_rng()
        if fault := correctness.wrong(talk, self._truth, rng):
            return fault
        if backend.not_timed:
            return Fault(kind=FaultKind.NOT_TIMED, reason=f"right in every case, and not timed: {backend.not_timed}")
        return Races.begin(talk, self._truth, self.baselines, self._threads, rng)


def _climb(races: Races | Fault, rung: Rung, route: Route) -> Measurement | Fault:
    """A kernel that could not begin faults on the first rung."""
    if isinstance(races, Fault):
        return races
    return races.climb(rung.examples) or _measurement(races, rung.name, route)


def _measurement(races: Races, rung: str, route: Route) -> Measurement:
    return Measurement(
        rung=rung,
        seed=route.seed,
        split=route.split,
        users=races.users(),
        metrics=races.metrics(),
        observables=races.observables(),
        compute_s=races.compute_s(),
    )


def _best(walk: Walk) -> float:
    """The greatest of the cases' means."""
    last = walk.measurements[-1] if walk.measurements else None
    return max((last.mean(name) for name in last.metrics if name != METRIC), default=0.0) if last else 0.0


def _doubted(again: Walk, first: Walk) -> Walk:
    """A walk that ends in the contradiction of two measurements."""
    words = f"{2 ** _best(first):.1f} x, then {2 ** _best(again):.1f} x in a fresh process"
    fault = Fault(kind=FaultKind.CAUGHT, reason=f"incredibly fast, and not again: {words}")
    rung = again.measurements[-1].rung if again.measurements else ""
    return Walk(measurements=(), fault=fault, fault_rung=rung, evidence=again.evidence, compute_s=again.compute_s)
