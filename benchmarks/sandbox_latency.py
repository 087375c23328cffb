"""What a sandbox costs beside what rivals do, a fresh child process for each candidate; all interleaved in one run.

The figure is the median time from taking a sandbox to the candidate's first byte, forked. Beside it Docker's, cold and
from its warm pool, a bare `python -c "import torch"`, and a short training in each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import Result, main, progress
from evolve.contracts import Fault, Job, Limits, Sandbox
from sandbox.cgroup import Group, Usage
from sandbox.choose import choose
from sandbox.docker import DockerSandbox

WARM_S, OVERHEAD_CPU_S, CHEAPER, QUICKER = 0.030, 0.15, 0.5, 20.0
POOL = 2
ENGINE = ("dockerd", "containerd")
"""How the engine's processes' names begin, those of its supervisors too."""
JOB = """
import torch
def job():
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 1))
    optimizer = torch.optim.Adagrad(model.parameters(), lr=.01)
    x, y = torch.randn(256, 256), torch.randn(256, 1)
    for _ in range(300):
        optimizer.zero_grad(); torch.nn.functional.mse_loss(model(x), y).backward(); optimizer.step()
"""
CANDIDATE = (
    JOB + "class Runner:\n    def __init__(self, *a): pass\n    def train(self, n):\n        if n > 1: job()\n"
    "        return {}\n    def predict(self, q): pass\n"
)
HARNESS = "import candidate\n\n\ndef start(data, config):\n    return candidate.Runner(data, config)\n"


def timed(work: Callable[[], object]) -> float:
    """Wall seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def session(box: Sandbox, job: Job, examples: int) -> dict[str, float]:
    """One candidate: until its first byte, until its end, and its CPU seconds."""
    began = time.perf_counter()
    with box.open(job) as opened:
        answer = opened.train(examples, 60.0)
        first = time.perf_counter() - began
        assert not isinstance(answer, Fault), answer
        evidence = opened.close()
    return {"first_s": first, "whole_s": time.perf_counter() - began, "cpu_s": evidence.cpu_s}


def child(code: str) -> Callable[[], object]:
    """A fresh interpreter, as rivals start one for each candidate."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@contextmanager
def accounted() -> Generator[Callable[[], float]]:
    """CPU seconds of this process, its descendants and the engine, whatever else runs on the machine. Candidates have
    control groups of their own, so they are not among them. Needs root."""
    top = Path("/sys/fs/cgroup/cpuacct")
    top = top if top.exists() else top.parent
    folder = top / "evolve-benchmark"
    folder.mkdir(exist_ok=True)
    group = Group(cpu=(folder / "cpuacct.usage", folder / "cpu.stat"), memory=(), events=())
    me = psutil.Process()
    engine = [p for p in psutil.process_iter(["name"]) if str(p.info["name"]).startswith(ENGINE)]
    try:
        for process in (me, *me.children(recursive=True), *engine):
            (folder / "cgroup.procs").write_text(str(process.pid))
        yield lambda: (group.usage() or Usage()).cpu_s
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (top / "cgroup.procs").write_text(pid)
        with suppress(OSError):
            folder.rmdir()


def overhead_cpu_s(box: Sandbox, job: Job, count: int) -> float:
    """CPU seconds that one candidate costs beside what its own control group uses."""
    with accounted() as used:
        began = used()
        for _ in range(count):
            session(box, job, 1)
        return (used() - began) / count


def measure(quick: bool) -> Result:
    """Interleaved, so that a busy moment hits everybody."""
    turns = 2 if quick else 15
    rows: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        rows.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder, closing(choose("fork")) as forked, closing(DockerSandbox()) as cold:
        data = Path(folder)
        np.save(data / "x.npy", np.zeros(1))
        data.chmod(0o755)
        job = Job(files={"harness.py": HARNESS, "candidate.py": CANDIDATE}, data=data, config={}, limits=Limits())
        with closing(DockerSandbox(ahead=POOL)) as pool:
            session(pool, job, 1)
            for _ in range(turns):
                time.sleep(4.0)  # until the pool has filled up again
                note("docker_warm_first_s", session(pool, job, 1)["first_s"])
                note("fork_first_s", session(forked, job, 1)["first_s"])
                note("docker_cold_first_s", session(cold, job, 1)["first_s"])
                note("import_torch_s", timed(child("import torch")))
                note("fork_job_s", session(forked, job, 2)["whole_s"])
                note("child_job_s", timed(child(JOB + "job()")))
        overhead = {
            "fork": overhead_cpu_s(forked, job, 2 * turns),
            "docker": overhead_cpu_s(cold, job, turns),
        }
    return result({name: float(statistics.median(values)) for name, values in rows.items()}, rows, overhead)


def result(median: Mapping[str, float], rows: Mapping[str, list[float]], overhead: Mapping[str, float]) -> Result:
    """The four goals."""
    cheaper = median["fork_job_s"] / median["child_job_s"]
    quicker = median["import_torch_s"] / median["docker_warm_first_s"]
    meets = {
        "warm_first_byte": median["docker_warm_first_s"] <= WARM_S,
        "overhead_cpu": max(overhead.values()) <= OVERHEAD_CPU_S,
        "short_job": cheaper <= CHEAPER,
        "quicker_than_import": quicker >= QUICKER,
    }
    details: dict[str, Any] = {
        "meets": meets,
        "medians": {name: round(value, 4) for name, value in median.items()},
        "overhead_cpu_s": {name: round(value, 3) for name, value in overhead.items()},
        "fork_job_over_child_job": round(cheaper, 3),
        "import_torch_over_warm_first_byte": round(quicker, 1),
    }
    progress(str(details))
    warm = sorted(rows["docker_warm_first_s"])
    return Result(
        figure=round(median["docker_warm_first_s"], 4),
        unit="s, from taking a warm container to the candidate's first byte, median",
        interval=(round(warm[0], 4), round(warm[-1], 4)),
        goal=f"at most {WARM_S} s; at most {OVERHEAD_CPU_S} CPU s overhead a candidate; a short job forked at most"
        f" {CHEAPER} x a fresh child; {QUICKER:.0f} x quicker than importing torch",
        holds=all(meets.values()),
        details=details,
    )


if __name__ == "__main__":
    main("sandbox_latency", measure, __doc__ or "")
