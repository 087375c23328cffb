"""What the walls cost a candidate that works for ten seconds: the same training in each sandbox and in none.

The figure is the median over interleaved turns of Docker's wall time over that of a bare process, each measured around
the training alone.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from benchmarks.common import Result, main, progress
from evolve.contracts import Fault, Job, Limits, Sandbox
from sandbox.choose import choose

GOAL = 1.10
BOXES = ("local", "docker", "bubblewrap", "fork")
"""`local` has no walls: it stands for the bare process."""
CANDIDATE = """
import torch
class Runner:
    def __init__(self, data, config):
        torch.set_num_threads(1)
        self.table = torch.nn.Embedding(20_000, 64)
        self.net = torch.nn.Sequential(torch.nn.Linear(128, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
        self.optimizer = torch.optim.Adagrad([*self.table.parameters(), *self.net.parameters()], lr=.01)
        self.generator = torch.Generator().manual_seed(0)
    def train(self, steps):
        for _ in range(steps):
            ids = torch.randint(0, 20_000, (128, 2), generator=self.generator)
            loss = self.net(self.table(ids).flatten(1)).square().mean()
            self.optimizer.zero_grad(); loss.backward(); self.optimizer.step()
        return {}
    def predict(self, queries): pass
"""
HARNESS = "import candidate\n\n\ndef start(data, config):\n    return candidate.Runner(data, config)\n"
STEPS = 3000


def training_s(box: Sandbox, job: Job, steps: int) -> float:
    """Wall seconds of the training alone."""
    with box.open(job) as session:
        assert not isinstance(session.train(1, 60.0), Fault)
        began = time.perf_counter()
        answer = session.train(steps, 120.0)
        took = time.perf_counter() - began
    assert not isinstance(answer, Fault), answer
    return took


def measure(quick: bool) -> Result:
    """Interleaved turns; the ratio is taken within each."""
    turns, steps = (1, STEPS // 20) if quick else (7, STEPS)
    took: dict[str, list[float]] = {name: [] for name in BOXES}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder)
        np.save(data / "x.npy", np.zeros(1))
        data.chmod(0o755)
        job = Job(files={"harness.py": HARNESS, "candidate.py": CANDIDATE}, data=data, config={}, limits=Limits())
        boxes = {name: stack.enter_context(closing(choose(name, ahead=0))) for name in BOXES}
        for _ in range(turns):
            for name, box in boxes.items():
                took[name].append(training_s(box, job, steps))
            progress(", ".join(f"{name} {values[-1]:.2f} s" for name, values in took.items()))
    ratios = {name: [a / b for a, b in zip(took[name], took["local"], strict=True)] for name in BOXES[1:]}
    docker = sorted(ratios["docker"])
    figure = statistics.median(docker)
    return Result(
        figure=round(figure, 3),
        unit="wall time of a training in Docker over the same without walls, median",
        interval=(round(docker[0], 3), round(docker[-1], 3)),
        goal=f"at most {GOAL}",
        holds=figure <= GOAL,
        details={
            "seconds_without_walls": round(statistics.median(took["local"]), 2),
            "ratios": {name: round(statistics.median(values), 3) for name, values in ratios.items()},
        },
    )


if __name__ == "__main__":
    main("locking_cost", measure, __doc__ or "")
