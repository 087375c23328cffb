"""A kernel goes up the same funnel as any candidate: floor, search, confirmation in fresh processes, final look."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from evaluations.judge import Judge
from evaluations.kernels.baselines import NAIVE
from evaluations.kernels.mirror import Mirror
from evaluations.kernels.sessions import KernelSessions
from evaluations.kernels.task import KernelTask
from evaluations.kernels.truth import Truth
from evaluations.store import Store
from evolve.contracts import Candidate, Cheated, Failed, Scored, Tree
from evolve.fingerprint import fingerprint
from sandbox.local import LocalSandbox
from search_spaces.kernel_space import KernelSpace, load

FAST = 'backend = "cpp"\nflags = ["-O3", "-march=native", "-ffast-math", "-fno-finite-math-only"]\n'
SLOW = "    for (volatile int64_t wait = 0; wait < 30 * rows * columns; wait = wait + 1) {}\n"


@pytest.fixture(autouse=True)
def _compiler() -> None:
    if shutil.which("g++", path="/usr/bin") is None:
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)("no /usr/bin/g++")


@pytest.fixture(scope="module")
def space() -> KernelSpace:
    """One timed case and few rounds."""
    whole = load("kernel:gated_path")
    rungs = tuple(
        replace(rung, examples=rounds, seeds=1) for rung, rounds in zip(whole.rungs, (1, 2, 4, 4), strict=True)
    )
    spec = whole.spec.model_copy(update={"timed": whole.spec.timed[:1]})
    return replace(whole, spec=spec, rungs=rungs, final=rungs[2], floor_seeds=2, confirmation_seeds=2)


@pytest.fixture(scope="module")
def sessions(space: KernelSpace) -> Iterator[KernelSessions]:
    box, trusted = LocalSandbox(warm_torch=False), LocalSandbox()
    made = KernelSessions(space, box, trusted=trusted, against=(NAIVE,))
    yield made
    made.close()
    box.close()
    trusted.close()


@pytest.fixture(scope="module")
def judge(space: KernelSpace, sessions: KernelSessions, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    task = KernelTask(space)
    task.baselines = lambda: sessions.baselines.seconds
    return Judge(space, task, sessions, Store(tmp_path_factory.mktemp("store")), seed=0)


def candidate(number: int, tree: Tree) -> Candidate:
    return Candidate(number=number, commit=str(number), parents=(), tree=tree, fingerprint=fingerprint(tree))


def test_what_every_call_costs_is_known_and_less_than_what_a_kernel_takes(
    space: KernelSpace, sessions: KernelSessions
) -> None:
    (case,) = space.spec.timed
    empty = sessions.baselines.empty(case)
    sessions.baselines.timed(Mirror(Truth(space.spec, space.reference), case, np.random.default_rng(0)))
    assert 0 < empty < sessions.baselines.seconds[case.name][NAIVE] / 10
    assert sessions.baselines.strongest == {case.name: NAIVE}, "it is no baseline"


@pytest.mark.slow
def test_a_faster_kernel_is_scored_confirmed_and_looked_at_last(judge: Judge, space: KernelSpace) -> None:
    slow_source = space.seed["kernel.cpp"].replace("{\n", "{\n" + SLOW, 1)
    seed = candidate(0, {**space.seed, "kernel.cpp": slow_source})
    floor = judge.measure_floor(seed)
    assert floor.metric == "log2_speed"
    fast = candidate(1, {**space.seed, "kernel.toml": FAST})
    outcome = judge.judge(fast, seed, None)
    assert isinstance(outcome, Scored), outcome
    assert outcome.promising and outcome.gain > 0.3
    assert {"roofline", "memory_bound", "compute_bound", "latency_bound"} <= set(outcome.observables)
    assert 0 < outcome.observables["roofline"] < 1.3
    assert judge.confirm(fast, seed, 0.05).decision == "better"
    final = judge.final(fast, seed)
    assert final.rows["champion"]["log2_speed"] > final.rows["seed"]["log2_speed"]
    assert final.rows["naive C loop"]["log2_speed"] == 0.0


def test_a_wrong_kernel_fails_and_a_kernel_that_keeps_results_cheats(judge: Judge, space: KernelSpace) -> None:
    source = space.seed["kernel.cpp"]
    judge.resume_from(candidate(0, space.seed), judge.measure_floor(candidate(0, space.seed)))
    head, _, body = source.partition("{\n")
    wrong = candidate(2, {**space.seed, "kernel.cpp": source.replace("+ gate", "- gate")})
    found = judge.judge(wrong, candidate(0, space.seed), None)
    assert isinstance(found, Failed) and found.reason.startswith("wrong result: case `")
    lazy = "    static int calls; if (rows > 200 && ++calls > 20) return;\n"
    stale = candidate(3, {**space.seed, "kernel.cpp": f"{head}{{\n{lazy}{body}"})
    found = judge.judge(stale, candidate(0, space.seed), None)
    assert isinstance(found, Cheated), found
