"""The two sandboxes under one name, a small data folder, and candidates made of a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolve.contracts import Job, Sandbox
from tests.sandbox.sandbox_parts import SANDBOXES, SMALL, build

HARNESS = "import candidate\n\n\ndef start(data, config):\n    return candidate.Runner(data, config)\n"

HONEST = """
import numpy as np

class Runner:
    def __init__(self, data, config):
        self.scores, self.seen, self.seed = np.load(data / "scores.npy"), 0, config["seed"]

    def train(self, examples):
        steps, self.seen = examples - self.seen, examples
        return {"steps": steps, "seed": self.seed}

    def predict(self, queries):
        return (self.scores[queries["users"]] * self.seen).astype(np.float32)
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one array of shape (3, 4), readable by everybody."""
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "scores.npy", np.arange(12.0).reshape(3, 4))
    folder.chmod(0o755)
    (folder / "scores.npy").chmod(0o644)
    return folder


@pytest.fixture(scope="session", params=SANDBOXES)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Each implementation."""
    chosen = build(request.param)
    yield chosen
    chosen.close()


@pytest.fixture
def job(data: Path) -> Callable[..., Job]:
    """A job for a candidate's source; keywords change its limits."""

    def make(source: str = HONEST, **limits: Any) -> Job:
        files = {"harness.py": HARNESS, "candidate.py": source}
        return Job(files=files, data=data, config={"seed": 3}, limits=replace(SMALL, **limits))

    return make
