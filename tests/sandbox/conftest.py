"""The two sandboxes under one name, a small data folder, and candidates made of a few lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolve.contracts import Job, Limits, Sandbox
from evolve.errors import SandboxError
from sandbox.choose import choose, probe

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

SMALL = Limits(memory_bytes=400 << 20, cpu_s=20, processes=16, file_bytes=8 << 20, open_files=128, start_s=60.0)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one array of shape (3, 4), readable by everybody."""
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "scores.npy", np.arange(12.0).reshape(3, 4))
    folder.chmod(0o755)
    (folder / "scores.npy").chmod(0o644)
    return folder


def require_engine() -> None:
    """Skips where no engine answers; in CI that is a failure."""
    found = probe()
    if found["answers"] != "yes":
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)(f"no engine: {found['found']}")


PODMAN = pytest.param(
    "podman",
    marks=[  # the SDK forgets a socket now and then where Podman answers with an error
        pytest.mark.filterwarnings("ignore::ResourceWarning"),
        pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    ],
)
SANDBOXES = ("local", "landlock", "bubblewrap", "fork", PODMAN, pytest.param("docker", marks=pytest.mark.docker))


def build(name: str) -> Sandbox:
    """A sandbox of that name without torch, so that a worker starts in a tenth of a second; skips where the machine
    lacks its part, which in CI is a failure."""
    if name == "docker":
        require_engine()
    try:
        return choose(name, warm_torch=False, ahead=0)
    except SandboxError as error:
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)(str(error))


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
