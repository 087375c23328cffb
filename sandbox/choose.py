"""Which sandbox to use, and what can be said of the engine. Knows no jobs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping

from evolve.contracts import Sandbox
from evolve.errors import SandboxError, UsageError
from sandbox.local import LocalSandbox

CHOICES = ("auto", "docker", "bubblewrap", "landlock", "local", "fork")
_HOW_TO_START = "Install and start Docker (Debian: apt-get install docker.io; dockerd), or use `--sandbox local`."


def choose(name: str = "auto", workers: int = 1, *, warm_torch: bool = True, url: str | None = None) -> Sandbox:
    """The sandbox of that name; `auto` is docker where an engine answers within 2 s, else local.

    The caller says `sandbox.name` and `sandbox.does_not_stop` aloud.

    Args:
        name: one of `CHOICES`.
        workers: how many sessions will be open at once.
        warm_torch: whether workers import torch before a candidate's clock starts.
        url: the engine's address; None takes `DOCKER_HOST` or the standard socket.

    Raises:
        UsageError: no such sandbox.
        SandboxError: `docker` was asked for and no engine answers.
    """
    if name not in CHOICES:
        raise UsageError(f"unknown sandbox '{name}'", hint=f"Choose one of: {', '.join(CHOICES)}.")
    if workers < 1:
        raise UsageError(f"expected at least one worker, found {workers}")
    ahead = max(0, min(workers, len(os.sched_getaffinity(0)) - workers))  # only where a core would be idle
    if name == "docker" or (name == "auto" and probe(url)["answers"] == "yes"):
        from sandbox.docker import DockerSandbox

        return DockerSandbox(url=url, warm_torch=warm_torch, ahead=ahead)
    if name == "bubblewrap":
        from sandbox.bubblewrap import BubblewrapSandbox

        return BubblewrapSandbox(warm_torch=warm_torch, ahead=ahead)
    if name == "fork":
        from sandbox.fork import ForkSandbox

        return ForkSandbox(warm_torch=warm_torch, ahead=ahead)
    if name == "landlock":
        from sandbox.landlock import LandlockSandbox

        return LandlockSandbox(warm_torch=warm_torch, ahead=ahead)
    return LocalSandbox(warm_torch=warm_torch, ahead=ahead)


def probe(url: str | None = None) -> Mapping[str, str]:
    """What the engine says within 2 s: `answers` (yes or no), and `version`, `api`, `cgroup` or `what_to_do`."""
    if importlib.util.find_spec("docker") is None:
        return {"answers": "no", "found": "the Python package `docker` is missing", "what_to_do": "pip install docker"}
    from sandbox.engine import PROBE_TIMEOUT_S, Engine

    try:
        engine = Engine(url, timeout_s=PROBE_TIMEOUT_S)
        cgroup = engine.cgroup_version(PROBE_TIMEOUT_S)
    except SandboxError as error:
        return {"answers": "no", "found": error.message, "what_to_do": _HOW_TO_START}
    return {
        "answers": "yes",
        "version": str(engine.versions.get("Version", "unknown")),
        "api": str(engine.versions.get("ApiVersion", "unknown")),
        "cgroup": cgroup,
    }
