"""What the orchestrator costs per candidate: proposing, diffing, committing, recording; no training.

A trivial evaluator answers at once, so all of the wall time between two outcomes is overhead: the
catalogue's proposer, the static gate, the git commit, the journal, the fold of the state. Beside it, the
same of the default run with its real sandbox: worker-seconds in which no candidate trained or predicted, per
judged candidate, the noise floor, confirmations and the final fit included.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import Result, main, progress
from benchmarks.default_run import BUDGET
from benchmarks.runs import finished
from evolve.contracts import Candidate, FinalResult, NoiseFloor, Observable, Outcome, Scored, Verdict

GOAL_MS, GOAL_GROWTH = 30.0, 1.2


class Trivial:
    """Implements `contracts.Evaluator`: a score out of the tree's fingerprint, at once."""

    def measure_floor(self, seed: Candidate) -> NoiseFloor:
        return NoiseFloor(
            metric="value", score=0.5, short_score=0.5, seed_sd=0.01, paired_se=0.01, minimum_effect=0.005, seeds=4,
            cpu_s=0.0,
        )  # fmt: skip

    def resume_from(self, seed: Candidate, floor: NoiseFloor) -> None: ...

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        gain = (int(candidate.fingerprint[:6], 16) / 0xFFFFFF - 0.7) * 0.1
        return Scored(
            rung="full", score=0.5 + gain, gain=gain, standard_error=0.01, seeds=1, metrics={"value": 0.5 + gain},
            observables={}, verdict=None, promising=False, cpu_s=0.0,
        )  # fmt: skip

    def confirm(self, challenger: Candidate, champion: Candidate, alpha: float) -> Verdict:
        raise AssertionError("nothing is promising here")

    def final(self, champion: Candidate, seed: Candidate) -> FinalResult:
        same = Verdict(
            decision="undecided", metric="value", effect=0, low=0, high=0, p=1, alpha=0.05, users=0, seeds=1, reason=""
        )
        return FinalResult(metric="value", rows={}, verdict=same, cpu_s=0.0)


def trivial_run(candidates: int) -> list[float]:
    """Seconds between one outcome and the next, over a run with one worker."""
    from agents.catalog import CatalogProposer
    from evolve.journal import Journal
    from evolve.lineage import Lineage
    from evolve.loop import Loop, Settings
    from evolve.wiring import WallClock
    from search_spaces.space import load

    space = load("video_ranking")
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        clock = WallClock()
        journal = Journal(Path(folder) / "journal.jsonl", clock)
        loop = Loop(
            settings=Settings(seed=0, workers=1, budget=candidates),
            started={"space": space.name},
            seed_tree=space.seed,
            gate=space.check,
            proposer=CatalogProposer(space=space),
            evaluator=Trivial(),
            lineage=Lineage(Path(folder) / "lineage.git"),
            journal=journal,
            clock=clock,
            observer=lambda record: marks.append(time.perf_counter()) if record.kind == "judged" else None,
        )
        reason = loop.run()
        journal.close()
    progress(f"{len(marks)} candidates; {reason}")
    return list(np.diff(marks))


def real_run() -> dict[str, float | str]:
    """Worker-seconds outside training and prediction in the default run, per judged candidate."""
    _, archive, timing = finished("video_ranking", 0, budget=BUDGET)
    idle_s = timing.whole_s * int(archive.settings["workers"]) * (1 - timing.compute_share)
    seconds = round(idle_s / len(archive.attempts), 2)
    return {"sandbox": archive.settings["sandbox"], "seconds": seconds, "compute_share": timing.compute_share}


def measure(quick: bool) -> Result:
    """The median per candidate, and how much the last fifth costs beside the first."""
    took = trivial_run(60 if quick else 501)
    part = max(1, len(took) // 5)
    median_ms = float(statistics.median(took)) * 1e3
    growth = float(statistics.median(took[-part:]) / statistics.median(took[:part]))
    rng = np.random.default_rng(0)
    resampled = [float(np.median(rng.choice(took, len(took)))) * 1e3 for _ in range(2000)]
    return Result(
        figure=round(median_ms, 2),
        unit="ms per candidate",
        interval=(round(float(np.quantile(resampled, 0.025)), 2), round(float(np.quantile(resampled, 0.975)), 2)),
        goal=f"median at most {GOAL_MS} ms, and the last fifth at most {GOAL_GROWTH} x the first",
        holds=bool(median_ms <= GOAL_MS and growth <= GOAL_GROWTH),
        details={
            "candidates": len(took) + 1,
            "last_fifth_over_first": round(growth, 3),
            "mean_ms": round(statistics.mean(took) * 1e3, 2),
            "p90_ms": round(float(np.quantile(took, 0.9)) * 1e3, 2),
            "real_run": None if quick else real_run(),
        },
    )


if __name__ == "__main__":
    main("overhead", measure, __doc__ or "")
