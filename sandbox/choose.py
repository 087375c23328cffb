"""Which sandbox to use, and what can be said of the engine. Knows no jobs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from evolve.contracts import Sandbox
from evolve.errors import SandboxError, UsageError

CHAIN = ("docker", "podman", "bubblewrap", "landlock", "local")
"""What `auto` tries, the strongest wall first."""
CHOICES = ("auto", *CHAIN, "fork")
_HOW_TO_START = "Install and start Docker (Debian: apt-get install docker.io; dockerd), or use `--sandbox local`."


def choose(
    name: str = "auto",
    workers: int = 1,
    *,
    warm_torch: bool = True,
    url: str | None = None,
    model_answers: bool = False,
    image: str = "",
    runtime: str = "",
    gpus: str = "",
    ahead: int | None = None,
) -> Sandbox:
    """The sandbox of that name; `auto` is the first of `CHAIN` that this machine has.

    The caller says `sandbox.name` and `sandbox.does_not_stop` aloud.

    Args:
        name: one of `CHOICES`.
        workers: how many sessions will be open at once.
        warm_torch: whether workers import torch before a candidate's clock starts.
        url: the engine's address; None takes `DOCKER_HOST` or the standard socket.
        image: a user's own image for Docker, see `DockerSandbox`.
        runtime: the runtime for Docker, see `DockerSandbox`.
        gpus: devices that Docker passes on, one to each session; see `DockerSandbox`.
        ahead: how many workers are started ahead of their use, at most one for each worker; None takes
            `started_ahead`.
        model_answers: whether code that a model wrote will run in it; then `local` is refused.

    Raises:
        UsageError: no such sandbox.
        SandboxError: the machine lacks what the sandbox needs, or nothing on it may hold a model's code.
    """
    if name not in CHOICES:
        raise UsageError(f"unknown sandbox '{name}'", hint=f"Choose one of: {', '.join(CHOICES)}.")
    if workers < 1:
        raise UsageError(f"expected at least one worker, found {workers}")
    ahead = started_ahead(workers) if ahead is None else ahead
    if not 0 <= ahead <= workers:
        raise UsageError(f"expected at most {workers} started ahead, one for each worker, found {ahead}")
    if image or runtime or gpus:
        return _with_options(name, image, runtime, gpus, warm_torch=warm_torch, ahead=ahead, url=url)
    if model_answers and name == "local":
        raise SandboxError(REFUSED, hint=_HOW_TO_START)
    if name != "auto":
        return _build(name, warm_torch=warm_torch, ahead=ahead, url=url)
    for link in CHAIN[:-1]:
        if link == "docker" and probe(url)["answers"] != "yes":
            continue
        with contextlib.suppress(SandboxError):
            return _build(link, warm_torch=warm_torch, ahead=ahead, url=url)
    if model_answers:
        raise SandboxError(REFUSED, hint=_HOW_TO_START)
    return _build("local", warm_torch=warm_torch, ahead=ahead, url=url)


def started_ahead(workers: int) -> int:
    """How many workers start ahead: as many as cores are idle beside the open sessions, at most one for each.

    Starting a worker takes 1.5 CPU-seconds: where every core trains a candidate they would be the candidate's.
    """
    return max(0, min(workers, len(os.sched_getaffinity(0)) - workers))


def _with_options(
    name: str, image: str, runtime: str, gpus: str, *, warm_torch: bool, ahead: int, url: str | None
) -> Sandbox:
    if name not in ("auto", "docker"):
        raise UsageError(f"`--image`, `--runtime` and `--gpus` are for docker, found `--sandbox {name}`")
    from sandbox.devices import read_devices
    from sandbox.docker import DockerSandbox

    devices = read_devices(gpus)
    return DockerSandbox(url=url, warm_torch=warm_torch, ahead=ahead, image=image, runtime=runtime, gpus=devices)


REFUSED = "expected a sandbox that may hold code written by a model, found only `local`, which has no walls"


def _build(name: str, *, warm_torch: bool, ahead: int, url: str | None) -> Sandbox:
    match name:
        case "docker":
            from sandbox.docker import DockerSandbox

            return DockerSandbox(url=url, warm_torch=warm_torch, ahead=ahead)
        case "podman":
            from sandbox.podman import PodmanSandbox as Chosen
        case "bubblewrap":
            from sandbox.bubblewrap import BubblewrapSandbox as Chosen
        case "landlock":
            from sandbox.landlock import LandlockSandbox as Chosen
        case "fork":
            from sandbox.fork import ForkSandbox as Chosen
        case _:
            from sandbox.local import LocalSandbox as Chosen
    return Chosen(warm_torch=warm_torch, ahead=ahead)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One sandbox of the chain on this machine: whether it can be used, and what it does not stop then."""

    name: str
    usable: bool
    found: str
    does_not_stop: str
    what_to_do: str = ""


KERNEL = "it may use a flaw of the kernel's"
"""What no sandbox here stops; an engine may be given another runtime for that (gVisor)."""


def survey() -> Iterator[Link]:
    """Every sandbox that `choose` knows, the strongest wall first; starts none of them."""
    from sandbox.bubblewrap import NO_GROUP, require_bubblewrap
    from sandbox.landlock import LandlockSandbox, require_landlock
    from sandbox.local import LocalSandbox
    from sandbox.podman import require_podman

    root = os.geteuid() == 0
    said = probe()
    usable = said["answers"] == "yes"
    found = f"Docker {said['version']}, cgroup {said['cgroup']}" if usable else said["found"]
    yield Link(name="docker", usable=usable, found=found, does_not_stop=KERNEL, what_to_do=said.get("what_to_do", ""))
    yield _link("podman", require_podman, KERNEL)
    yield _link("bubblewrap", require_bubblewrap, KERNEL if root else NO_GROUP)
    yield _link("landlock", lambda: f"Landlock {require_landlock()}", LandlockSandbox.does_not_stop)
    local = LocalSandbox.does_not_stop
    yield Link(name="local", usable=True, found="for the catalogue's techniques alone", does_not_stop=local)
    found = "opt-in: `--sandbox fork`" if root else "needs root"
    yield Link(name="fork", usable=root, found=found, does_not_stop=KERNEL)


def _link(name: str, require: Callable[[], str], does_not_stop: str) -> Link:
    try:
        return Link(name=name, usable=True, found=require(), does_not_stop=does_not_stop)
    except SandboxError as error:
        return Link(name=name, usable=False, found=error.message, does_not_stop=does_not_stop, what_to_do=error.hint)
