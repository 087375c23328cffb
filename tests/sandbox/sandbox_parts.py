"""Which sandboxes are tried, how one is made, and what is said where the machine lacks its part."""

from __future__ import annotations

import os

import pytest

from evolve.contracts import Limits, Sandbox
from evolve.errors import SandboxError
from sandbox.choose import choose, probe

SMALL = Limits(memory_bytes=400 << 20, cpu_s=20, processes=16, file_bytes=8 << 20, open_files=128, start_s=60.0)


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
