"""What budget 50 reaches on MovieLens-100K, on leave-one-out labels that nothing else ever looked at.

NDCG@10 of the champion after its one final fit, the mean over three run seeds, with a bootstrap interval over users.
Beside it, at the CPU seconds that the candidates of the first run used: random search over the same catalogue, every
technique alone, and Optuna on the seed's numbers, each with the same judge, confirmation and final fit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Result, main, progress
from benchmarks.rivals import Capped, OptunaOnSeed, RandomSearch, Singles, spent_cpu_s
from benchmarks.runs import PLACE, QUICK_BUDGET, finished, reopened
from evaluations.store import Walk
from evolve.archive import Archive
from evolve.config import StartConfig, cache_folder
from evolve.contracts import Floats, Proposer, SearchSpace, Tool
from evolve.run_folder import RunFolder
from evolve.wiring import open_run

SPACE, METRIC, BUDGET, RUN_SEEDS, RIVAL_SEEDS = "next_item", "ndcg@10", 50, (0, 1, 2), (0,)
IN_RUN, AFTER_FINAL_FIT, FINAL_CPU_S = 0.092, 0.098, 300.0
RESAMPLES = 10_000
RIVALS: tuple[Callable[..., Proposer], ...] = (RandomSearch, Singles, OptunaOnSeed)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """One run's test figures per user, by the name of the fit, and what its champion's final fit cost."""

    champion: int
    technique: str
    users: Mapping[str, Floats]
    final_cpu_s: float
    candidates_cpu_s: float
    floors: Mapping[str, float]


def tested(archive: Archive, walks: Mapping[str, Walk]) -> Tested:
    """Reads a finished run."""
    assert archive.champion is not None and archive.final is not None
    number = archive.champion.number
    named = (a.proposal.technique for a in archive.attempts if a.candidate.number == number)
    return Tested(
        champion=number,
        technique=next(named, "the seed"),
        users={name: walk.measurements[-1].metrics[METRIC] for name, walk in walks.items()},
        final_cpu_s=walks["champion"].evidence.cpu_s,
        candidates_cpu_s=spent_cpu_s(archive.attempts),
        floors={name: row[METRIC] for name, row in archive.final.rows.items() if name in ("EASE", "Popularity")},
    )


def ours(seed: int, budget: int, place: Path) -> Tested:
    """A run by the command line, as users start it."""
    folder, archive, _ = finished(SPACE, seed, budget=budget, place=place)
    assert archive.champion is not None
    with reopened(SPACE, seed, folder) as run:
        return tested(archive, run.judge.tested(archive.champion, archive.seed))


def rival(make: Callable[..., Proposer], seed: int, cpu_s: float, place: Path) -> Tested:
    """The same loop with another proposer, until its candidates have used as much CPU time."""

    def capped(space: SearchSpace, tools: Sequence[Tool]) -> Proposer:
        return Capped(inner=make(space=space), cpu_s=cpu_s)

    folder = RunFolder(place / "rivals" / f"{make.__name__}-{seed}")
    folder.path.mkdir(parents=True, exist_ok=True)
    progress(f"{make.__name__}, run seed {seed}, {cpu_s:.0f} CPU seconds")
    config = StartConfig(space=SPACE, seed=seed, budget=10_000).checked()
    with open_run(config, folder, cache_folder(), proposer=capped) as run:
        run.loop.run()
        archive = run.loop.archive
        assert archive.champion is not None
        return tested(archive, run.judge.tested(archive.champion, archive.seed))


def bootstrap(users: Floats) -> tuple[float, float]:
    """The 95 % interval of the mean over users, who are the unit that is drawn again."""
    known = users[np.isfinite(users)]
    rng = np.random.default_rng(0)
    means = [float(known[rng.integers(0, len(known), len(known))].mean()) for _ in range(RESAMPLES)]
    return round(float(np.quantile(means, 0.025)), 4), round(float(np.quantile(means, 0.975)), 4)


def over_seeds(runs: Sequence[Tested], name: str) -> Floats:
    """Each user's figure, averaged over run seeds."""
    return np.mean([run.users[name] for run in runs], axis=0)


def row(runs: Sequence[Tested]) -> dict[str, Any]:
    """The figures of one way to search."""
    final = over_seeds(runs, "champion")
    return {
        "final": round(float(np.nanmean(final)), 4),
        "interval": bootstrap(final),
        "in_the_run": round(float(np.nanmean(over_seeds(runs, "champion in the run"))), 4),
        "by_run_seed": [round(float(np.nanmean(run.users["champion"])), 4) for run in runs],
        "champions": [f"#{run.champion} {run.technique}" for run in runs],
        "candidates_cpu_s": [round(run.candidates_cpu_s) for run in runs],
        "final_fit_cpu_s": [round(run.final_cpu_s) for run in runs],
    }


def measure(quick: bool) -> Result:
    """Ours over the run seeds, then the rivals."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) if quick else PLACE
        if quick:
            return result([ours(0, QUICK_BUDGET, place)], {})
        runs = [ours(seed, BUDGET, place) for seed in RUN_SEEDS]
        rivals = {
            str(make.__name__): [rival(make, seed, runs[seed].candidates_cpu_s, place) for seed in RIVAL_SEEDS]
            for make in RIVALS
        }
        return result(runs, rivals)


def result(runs: Sequence[Tested], rivals: Mapping[str, Sequence[Tested]]) -> Result:
    """The goals: over the seed with an interval that excludes zero, over EASE, and both absolute figures."""
    own = row(runs)
    over_the_seed = over_seeds(runs, "champion") - over_seeds(runs, "seed")
    gain, ease = bootstrap(over_the_seed), runs[0].floors["EASE"]
    meets = {
        "beats_the_seed": gain[0] > 0,
        "beats_ease": own["final"] > ease,
        "in_the_run": own["in_the_run"] >= IN_RUN,
        "after_the_final_fit": own["final"] >= AFTER_FINAL_FIT,
        "final_fit_cpu_s": max(run.final_cpu_s for run in runs) <= FINAL_CPU_S,
    }
    seeds = {name: round(float(np.nanmean(over_seeds(runs, name))), 4) for name in ("seed", "seed in the run")}
    return Result(
        figure=own["final"],
        unit="NDCG@10 of the champion, leave-one-out, mean over run seeds",
        interval=own["interval"],
        goal=f"over the seed (paired 95 %), over EASE, {IN_RUN} in the run, {AFTER_FINAL_FIT} after a final fit of at"
        f" most {FINAL_CPU_S:.0f} CPU seconds",
        holds=all(meets.values()),
        details={
            "meets": meets,
            "gain_over_the_seed": {"mean": round(float(np.nanmean(over_the_seed)), 4), "interval": gain},
            "evolve": own,
            **{name: row(found) for name, found in rivals.items()},
            "floors": {name: round(value, 4) for name, value in runs[0].floors.items()} | seeds,
        },
    )


if __name__ == "__main__":
    main("next_item", measure, __doc__ or "")
