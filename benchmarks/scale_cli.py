"""How long commands take on a run of 10,000 candidates: each a whole process, as a person waits for it.

The run is made up (`benchmarks.synthetic_runs`): a real journal, real git. `log`, `show` and `pr list` are run in turn,
each so many times, on an index that is up to date; then the index is made again from the journal and git.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.common import Result, main, progress
from benchmarks.synthetic_runs import write
from evolve.index import Index
from evolve.run_folder import RunFolder

CANDIDATES, QUICK = 10_000, 300
TIMES, QUICK_TIMES = 21, 3
GOAL_S, GOAL_REBUILD_S = 0.5, 10.0


def seconds_of(words: list[str]) -> float:
    """One command from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "evolve.cli", *words], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def rebuilt_s(run: RunFolder) -> float:
    """Making the index again where it was deleted."""
    run.index.unlink(missing_ok=True)
    began = time.perf_counter()
    Index(run.journal, run.lineage, run.index).close()
    return time.perf_counter() - began


def timed(run: RunFolder, candidates: int, times: int) -> dict[str, list[float]]:
    """Command -> its times in order, the commands in turn."""
    named = str(run.path)
    commands: Mapping[str, list[str]] = {
        "log": ["log", named],
        "show": ["show", str(candidates * 9 // 10), "--run", named],
        "pr list": ["pr", "list", "--run", named],
        "status": ["status", named],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(times):
        for name, words in commands.items():
            found[name].append(seconds_of(words))
    return {name: sorted(took) for name, took in found.items()}


def measure(quick: bool) -> Result:
    """The slowest command's median; its quartiles stand as the interval."""
    candidates, times = (QUICK, QUICK_TIMES) if quick else (CANDIDATES, TIMES)
    with tempfile.TemporaryDirectory() as scratch:
        run = write(Path(scratch) / "run", candidates)
        progress(f"{candidates} candidates are written")
        rebuilds = sorted(rebuilt_s(run) for _ in range(3 if quick else 5))
        took = timed(run, candidates, times)
        size = run.index.stat().st_size
    slowest = max(("log", "show", "pr list"), key=lambda name: statistics.median(took[name]))
    worst, rebuild = statistics.median(took[slowest]), statistics.median(rebuilds)
    return Result(
        figure=round(worst, 3),
        unit=f"s, median of {times}, of the slowest command ({slowest})",
        interval=(round(took[slowest][times // 4], 3), round(took[slowest][-1 - times // 4], 3)),
        goal=f"log, show and pr list under {GOAL_S} s, the index made again in under {GOAL_REBUILD_S:.0f} s",
        holds=worst < GOAL_S and rebuild < GOAL_REBUILD_S,
        details={
            "candidates": candidates,
            "median_s": {name: round(statistics.median(values), 3) for name, values in took.items()},
            "most_s": {name: round(values[-1], 3) for name, values in took.items()},
            "rebuild_s": round(rebuild, 3),
            "index_bytes": size,
        },
    )


if __name__ == "__main__":
    main("scale_cli", measure, __doc__ or "")
