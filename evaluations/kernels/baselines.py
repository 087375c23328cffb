"""What a kernel must beat: eager torch, torch.compile and a naive C loop, each in a process of its own.

They are our own programs, so they run in the plain local sandbox, where torch.compile finds a compiler. They stay
open for a run's whole life; for each timed case the strongest is found once. Knows no candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from evaluations.kernels.backends import Built, backends
from evaluations.kernels.mirror import Mirror
from evaluations.kernels.talk import Talk
from evaluations.kernels.timing import Timed
from evaluations.kernels.truth import Truth
from evolve.contracts import Fault, Job, Limits, Sandbox, Tree
from evolve.errors import RunError
from search_spaces.kernel_gate import read_config
from search_spaces.kernel_space import KernelSpace
from search_spaces.kernel_spec import Case

PATIENCE_S = 300.0
TRIALS = 3
LIMITS = Limits(memory_bytes=6 << 30, cpu_s=1_000_000, processes=256)
PLAIN_COMPILER = """\
import torch._inductor.config

torch._inductor.config.cpp_cache_precompile_headers = False  # they fill the scratch
torch._inductor.config.compile_threads = 1
"""
EAGER, COMPILED, NAIVE = ALL = ("eager torch", "torch.compile", "naive C loop")
EMPTY = "empty call"
"""No baseline: what the loop around a kernel's calls, the call itself and the edits take."""


def trees(space: KernelSpace) -> dict[str, Tree]:
    """The baselines' trees by name, in the form of candidates; and that of the empty call."""
    eager = space.plain["torch"]
    compiled = f"{space.reference}\n\n{PLAIN_COMPILER}kernel = torch.compile(reference, dynamic=False)\n"
    naive = 'backend = "cpp"\nflags = ["-O3", "-march=native"]\n'
    return {
        EAGER: eager,
        COMPILED: {**eager, "kernel.py": compiled},
        NAIVE: {"kernel.toml": naive, "kernel.cpp": space.seed["kernel.cpp"]},
        EMPTY: {"kernel.toml": naive, "kernel.cpp": space.spec.header().replace(");", ") {}")},
    }


def job_of(
    space: KernelSpace,
    built: Built,
    backend: str,
    threads: int,
    data: Path,
    limits: Limits,
    canaries: tuple[bytes, ...] = (),
    *,
    watched: bool = True,
) -> Job:
    """The session's job of a kernel that was built; `watched` says that threads of its own are a fault."""
    spec = space.spec
    config = {
        "backend": backend,
        "inputs": [array.name for array in spec.inputs],
        "outputs": [[array.name, array.dtype] for array in spec.outputs],
        "scalars": dict(spec.scalars),
        "dimensions": list(spec.dimensions),
        "passed": list(spec.passed),
        "edited": spec.edited,
        "threads": threads,
        "watched": watched,
    }
    files = {**built.files, **space.harness}
    return Job(files=files, data=data, config=config, limits=limits, canaries=canaries, binaries=built.binaries)


class Baselines:
    """Open sessions of all baselines, and which is the strongest of each case.

    Raises:
        RunError: a baseline, which is ours, does not run.
    """

    def __init__(
        self, space: KernelSpace, truth: Truth, threads: int, sandbox: Sandbox, data: Path, names: Sequence[str] = ALL
    ) -> None:
        self._space, self._truth, self._threads = space, truth, threads
        self._sandbox, self._data, self._names = sandbox, data, tuple(names)
        self._open = ExitStack()
        self._talks: dict[str, Talk] = {}
        self._empty: dict[str, float] = {}
        self.strongest: dict[str, str] = {}
        self.seconds: dict[str, dict[str, float]] = {}

    def timed(self, mirror: Mirror) -> Timed:
        """The strongest baseline of the mirror's case."""
        if mirror.case.name not in self.strongest:
            self._choose(mirror.case)
        return Timed(talk=self._talk(self.strongest[mirror.case.name]), mirror=mirror, trusted=True)

    def empty(self, case: Case) -> float:
        """Seconds that a call of this case takes without the work of a kernel."""
        if case.name not in self._empty:
            self._empty[case.name] = float(np.median(self._times(EMPTY, case)))
        return self._empty[case.name]

    def close(self) -> None:
        """Ends all sessions."""
        self._open.close()
        self._talks.clear()

    def _choose(self, case: Case) -> None:
        """Times all of them on inputs of their own."""
        medians = {name: float(np.median(self._times(name, case))) for name in self._names}
        self.seconds[case.name] = medians
        self.strongest[case.name] = min(medians, key=lambda name: medians[name])

    def _times(self, name: str, case: Case) -> list[float]:
        """Seconds of a call, in each of a few trials."""
        mirror = Mirror(self._truth, case, np.random.default_rng())
        timed, seconds = Timed(talk=self._talk(name), mirror=mirror, trusted=name == EMPTY), list[float]()
        self._must(timed.stage(), name)
        for _ in range(TRIALS):
            self._must(timed.round(), name)
            seconds.append(timed.seconds)
        return seconds

    def _talk(self, name: str) -> Talk:
        if name not in self._talks:
            tree = trees(self._space)[name]
            config = read_config(tree)
            built = backends()[config.backend].build(tree, config, self._space.spec, self._sandbox)
            if isinstance(built, Fault):
                self._must(built, name)
                raise AssertionError
            job = job_of(self._space, built, config.backend, self._threads, self._data, LIMITS, watched=False)
            session = self._open.enter_context(self._sandbox.open(job))
            talk = Talk(session, self._space.spec, PATIENCE_S)
            self._must(talk.load(), name)
            self._talks[name] = talk
        return self._talks[name]

    def _must(self, fault: Fault | None, name: str) -> None:
        if fault is not None:
            raise RunError(
                f"the baseline `{name}` of {self._space.name} does not run: {fault.reason}",
                hint="Run `evolve doctor`; g++ and torch must work here.\n" + fault.detail,
            )
