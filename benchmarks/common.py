"""What every benchmark shares: its flags, its machine, its last line of JSON and its committed result.

`--quick` runs the same code on less and holds nothing; only a full run sets `holds` and writes
`benchmarks/results/NAME.json`; `--last` prints that file and exits 0 only where it holds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One figure with its interval, its goal and whether it holds; `details` is what stands beside it."""

    figure: float
    unit: str
    interval: tuple[float, float] | None
    goal: str
    holds: bool
    details: Mapping[str, Any] = field(default_factory=dict)


def main(name: str, measure: Callable[[bool], Result], description: str) -> None:
    """The command line of one benchmark; `measure` is told whether to be quick."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="check the machinery in under a minute; holds nothing")
    parser.add_argument("--last", action="store_true", help="print the committed result; exit 0 only where it holds")
    options = parser.parse_args()
    path = RESULTS / f"{name}.json"
    if options.last:
        sys.exit(_last(name, path))
    result = measure(options.quick)
    line = {"benchmark": name, **result.__dict__, "holds": None if options.quick else result.holds}
    line |= {"quick": options.quick, "machine": machine(), "commit": commit()}
    if not options.quick:
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(line, indent=1) + "\n")
    print(json.dumps(line))


def _last(name: str, path: Path) -> int:
    if not path.exists():
        print(json.dumps({"benchmark": name, "holds": None, "error": f"no full run is committed: {path.name}"}))
        return 1
    line = json.loads(path.read_text())
    print(json.dumps(line))
    return 0 if line["holds"] else 1


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = next((row.split(":")[1].strip() for row in _cpuinfo() if row.startswith("model name")), platform.machine())
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model,
        "memory_gib": round(memory_gib, 1),
        "python": platform.python_version(),
        "system": platform.system(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit of the checkout, with `+` where it holds changes that are not committed; other results are none."""
    root = Path(__file__).parent.parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else "")


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def progress(line: str) -> None:
    """A line for the person who waits; the last line on standard output stays the JSON."""
    print(line, file=sys.stderr, flush=True)
