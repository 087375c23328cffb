"""How long `evolve --help` takes, beside the interpreter's own start and a rival's import."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import Result, main, progress

GOAL_S = 0.3


def seconds(command: list[str]) -> float:
    """Wall seconds of a whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def measure(quick: bool) -> Result:
    """Medians over interleaved runs; the interval is the range of the middle 90 %."""
    evolve = str(Path(sys.executable).with_name("evolve"))
    commands = {
        "evolve --help": [evolve, "--help"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import litellm'": [sys.executable, "-c", "import litellm"],
    }
    runs = 3 if quick else 31
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            if name.endswith("litellm'") and turn > 5:
                continue
            took = seconds(command)
            if turn:  # the first turn warms the page cache
                times[name].append(took)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = sorted(times["evolve --help"])
    progress(" | ".join(f"{name}: {value * 1e3:.0f} ms" for name, value in medians.items()))
    low, high = ours[int(0.05 * len(ours))], ours[min(len(ours) - 1, int(0.95 * len(ours)))]
    return Result(
        figure=round(medians["evolve --help"], 4),
        unit="s",
        interval=(round(low, 4), round(high, 4)),
        goal=f"median under {GOAL_S} s",
        holds=medians["evolve --help"] < GOAL_S,
        details={"medians_s": {name: round(value, 4) for name, value in medians.items()}, "runs": runs},
    )


if __name__ == "__main__":
    main("help_time", measure, __doc__ or "")
