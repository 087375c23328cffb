"""What a new user meets: `evolve start --budget 50`, timed from outside, and the same on `next_item`.

The figure is the minutes of the default run; the goals for both spaces stand in its details.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Result, main
from benchmarks.runs import PLACE, QUICK_BUDGET, finished

BUDGET = 50
FIRST_SCORE_S, COMPUTE_SHARE, MEMORY_GIB = 20.0, 0.75, 3.0
MINUTES = {"video_ranking": 10.0, "next_item": 20.0}


def timed(space: str, place: Path, budget: int) -> dict[str, Any]:
    """One run's timing, and which goals it meets."""
    _, archive, timing = finished(space, 0, budget=budget, place=place)
    memory_gib = timing.peak_memory_bytes / 2**30
    meets = {
        "first_score": timing.first_score_s <= FIRST_SCORE_S,
        "minutes": timing.whole_s <= 60 * MINUTES[space],
        "compute_share": timing.compute_share >= COMPUTE_SHARE,
        "memory": memory_gib <= MEMORY_GIB,
    }
    return {
        "sandbox": archive.settings["sandbox"],
        "workers": archive.settings["workers"],
        "judged": len(archive.attempts),
        "first_score_s": timing.first_score_s,
        "minutes": round(timing.whole_s / 60, 2),
        "compute_share": timing.compute_share,
        "peak_memory_gib": round(memory_gib, 2),
        "uninterrupted": timing.whole,
        "meets": meets,
    }


def measure(quick: bool) -> Result:
    """Both spaces once; there is one run of each, so no interval."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) if quick else PLACE
        spaces = ("video_ranking",) if quick else tuple(MINUTES)
        rows = {space: timed(space, place, QUICK_BUDGET if quick else BUDGET) for space in spaces}
    return Result(
        figure=rows["video_ranking"]["minutes"],
        unit="minutes, whole default run",
        interval=None,
        goal=f"first score in {FIRST_SCORE_S:.0f} s, under 10 minutes (next_item 20), {COMPUTE_SHARE:.0%} of the"
        f" core-seconds in training and prediction, under {MEMORY_GIB:.0f} GiB",
        holds=all(row["uninterrupted"] and all(row["meets"].values()) for row in rows.values()),
        details=rows,
    )


if __name__ == "__main__":
    main("default_run", measure, __doc__ or "")
