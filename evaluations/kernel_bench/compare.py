"""Compares a `ModelNew` with the `Model` of a problem: right under fresh seeds, then how fast, on the host's clock.

Both run in sessions of their own, and take turns. Does not know what either computes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.kernel_bench.problem import Problem
from evolve.contracts import Fault, Job, Limits, Sandbox, Session

HARNESS = Path(__file__).resolve().parent / "harness" / "harness.py"
SUSPICIOUS = 10.0
"""A ratio above this is measured again in fresh sessions."""
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    seeds: tuple[int, ...]
    """Of the inputs; secret until both models were loaded."""
    weights_seed: int = 42
    tolerance: float = 1e-4
    rounds: int = 30
    round_s: float = 0.05
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`speed` is the median over rounds of reference's over new time, [`low`, `high`] its 95 % interval."""

    is_correct: bool
    reason: str
    speed: float = 0.0
    low: float = 0.0
    high: float = 0.0
    was_measured_again: bool = False


def compare(
    problem: Problem, model: str, sandbox: Sandbox, plan: Plan, clock: Callable[[], float] = time.perf_counter
) -> Comparison:
    """The verdict on one `ModelNew`, given as text."""
    first = _compared(problem, model, sandbox, plan, clock)
    if first.speed <= SUSPICIOUS:
        return first
    second = _compared(problem, model, sandbox, plan, clock)
    slower = min(first, second, key=lambda comparison: comparison.speed)
    return Comparison(
        is_correct=slower.is_correct,
        reason=f"more than {SUSPICIOUS:.0f} times as fast: measured again in fresh sessions; read the source",
        speed=slower.speed,
        low=slower.low,
        high=slower.high,
        was_measured_again=True,
    )


def _compared(problem: Problem, model: str, sandbox: Sandbox, plan: Plan, clock: Callable[[], float]) -> Comparison:
    with ExitStack() as stack:
        old = stack.enter_context(_session(problem, "", sandbox, plan))
        new = stack.enter_context(_session(problem, model, sandbox, plan))
        claimed = _sound(old.train(1, LIMIT_S))
        shape = tuple(int(claimed[f"size_{axis}"]) for axis in range(int(claimed["dimensions"])))
        for seed in plan.seeds:
            wanted = _sound(_answer(old, seed, shape))
            got = _answer(new, seed, shape)
            if isinstance(got, Fault):
                return Comparison(is_correct=False, reason=f"seed {seed}: {got.reason}")
            if not np.allclose(got, wanted, rtol=plan.tolerance, atol=plan.tolerance):
                worst = float(np.abs(got - wanted).max())
                return Comparison(is_correct=False, reason=f"seed {seed}: differs by {worst:.3g} at most")
        return _timed(old, new, plan, clock)


@contextmanager
def _session(problem: Problem, model: str, sandbox: Sandbox, plan: Plan) -> Generator[Session]:
    """The reference's session sees no candidate."""
    files = {"harness.py": HARNESS.read_text(encoding="utf-8"), "problem.py": problem.source}
    config: dict[str, Any] = {"module": "problem", "model": "Model"}
    if model:
        files["candidate.py"] = model
        config = {"module": "candidate", "model": "ModelNew"}
    with tempfile.TemporaryDirectory(prefix="evolve-kernel-bench.") as empty:
        Path(empty).chmod(0o755)
        config |= {"seed": plan.weights_seed, "threads": plan.threads}
        with sandbox.open(Job(files=files, data=Path(empty), config=config, limits=Limits())) as session:
            yield session


def _answer(session: Session, seed: int, shape: tuple[int, ...]) -> NDArray[np.float32] | Fault:
    return session.predict({"seed": np.array([seed], np.int64)}, shape, LIMIT_S)


def _timed(old: Session, new: Session, plan: Plan, clock: Callable[[], float]) -> Comparison:
    done = {id(old): 1, id(new): 0}

    def seconds(session: Session, calls: int) -> float:
        done[id(session)] += calls
        began = clock()
        answer = session.train(done[id(session)], LIMIT_S)
        took = clock() - began
        return float("inf") if isinstance(answer, Fault) else took

    calls = {id(session): _calls(session, seconds, plan.round_s) for session in (old, new)}
    ratios: list[float] = []
    for _ in range(plan.rounds):
        slow, fast = (seconds(session, calls[id(session)]) / calls[id(session)] for session in (old, new))
        ratios.append(slow / fast)
    low, middle, high = np.quantile(ratios, _ranks(plan.rounds))
    if not low > 0:
        return Comparison(is_correct=False, reason="it broke while it was timed")
    return Comparison(is_correct=True, reason="right", speed=float(middle), low=float(low), high=float(high))


def _calls(session: Session, seconds: Callable[[Session, int], float], enough_s: float) -> int:
    """So many calls fill a round."""
    calls = 1
    while seconds(session, calls) < enough_s and calls < 1 << 20:
        calls *= 2
    return calls


def _ranks(rounds: int) -> tuple[float, float, float]:
    """Quantiles that bound the median at 95 %, by the normal limit of the binomial."""
    half = min(0.5, 0.98 / rounds**0.5)
    return 0.5 - half, 0.5, 0.5 + half


def _sound(answer: Any) -> Any:
    """The reference's own fault is the problem's author's, and no value for a candidate."""
    if isinstance(answer, Fault):
        from evolve.errors import UsageError

        raise UsageError(f"the reference itself failed: {answer.reason}", hint=answer.detail[-400:] or "Run it alone.")
    return answer
