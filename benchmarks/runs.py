"""Whole runs for benchmarks: `evolve start` as a user starts it, watched from outside, and kept.

A finished run is used again and an unfinished one is continued, so a benchmark of hours can be interrupted. What
was timed of a run that was interrupted is marked so and holds nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.common import progress
from evaluations.store import compute_seconds
from evolve.archive import Archive
from evolve.config import StartConfig, cache_folder
from evolve.run_folder import RunFolder
from evolve.wiring import Run, open_run, read_archive

PLACE = Path(__file__).parent.parent / "runs" / "benchmarks"
QUICK_BUDGET = 2
FIRST_SCORE = "short rung: the seed scores"
LOOK_EVERY_S = 1.0
WORKER = "worker.py"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One run from outside: seconds to the first scored line and to the end, the share of core-seconds that candidates
    trained or predicted in, and the greatest memory of all its processes together (proportional set size)."""

    first_score_s: float
    whole_s: float
    compute_share: float
    peak_memory_bytes: int
    whole: bool


def finished(
    space: str, seed: int, *, budget: int, world: str = "aligned", place: Path = PLACE, more: Sequence[str] = ()
) -> tuple[RunFolder, Archive, Timing]:
    """The run of that space, world and seed, driven to its end by the command line; `more` are further words of it."""
    out = place / world
    folder = RunFolder(out / f"{space.replace(':', '-')}-{seed}")
    kept = folder.path / "timing.json"
    if not kept.exists():
        timing = _drive(
            folder, ["--space", space, "--seed", str(seed), "--budget", str(budget), "--world", world, *more]
        )
        kept.write_text(json.dumps(asdict(timing)))
    return folder, read_archive(folder), Timing(**json.loads(kept.read_text()))


def reopened(space: str, seed: int, folder: RunFolder, world: str = "aligned") -> AbstractContextManager[Run]:
    """A finished run with its judge, for measurements beyond it; what was measured before is not measured again."""
    return open_run(StartConfig(space=space, seed=seed, world=world).checked(), folder, cache_folder())


def _drive(folder: RunFolder, words: list[str]) -> Timing:
    out = folder.path.parent
    again = folder.journal.exists()
    words = ["--resume", folder.name] if again else words
    progress(f"{'continuing' if again else 'starting'} {folder.path}")
    command = [sys.executable, "-m", "evolve.cli", "start", *words, "--out", str(out), "--quiet"]
    began, first = time.monotonic(), float("nan")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, _Memory(process.pid) as memory:
        assert process.stdout is not None
        for line in process.stdout:
            if FIRST_SCORE in line:
                first = time.monotonic() - began
            if " of " in line or "champion" in line or "ended" in line:
                progress(f"  {line.rstrip()}")
    whole = time.monotonic() - began
    if process.returncode not in (0, 1):
        raise SystemExit(f"the run {folder.path} ended with exit code {process.returncode}")
    workers = int(read_archive(folder).settings["workers"])
    return Timing(
        first_score_s=round(first, 2),
        whole_s=round(whole, 1),
        compute_share=round(compute_seconds(folder.measurements) / (whole * workers), 4),
        peak_memory_bytes=memory.peak_bytes,
        whole=not again,
    )


class _Memory:
    """The greatest memory of a process, its descendants and the sandboxes' workers, looked at once a second."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            self.peak_bytes = max(self.peak_bytes, sum(map(_bytes, self._processes())))

    def _processes(self) -> Iterable[psutil.Process]:
        """A container's processes descend from the engine, so workers are known by their command line."""
        try:
            own = {self._root.pid: self._root, **{p.pid: p for p in self._root.children(recursive=True)}}
        except psutil.NoSuchProcess:
            return []
        workers = (p for p in psutil.process_iter(["cmdline"]) if any(WORKER in w for w in p.info["cmdline"] or ()))
        return {**own, **{p.pid: p for p in workers}}.values()


def _bytes(process: psutil.Process) -> int:
    """Memory of a process, what it shares divided by how many share it; its resident set where that is not told."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
