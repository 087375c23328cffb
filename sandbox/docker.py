"""One candidate, one container: no network, nothing writable but a small scratch, nobody's rights.

Knows the engine's containers; knows no labels and no metrics. What is reported of CPU and memory is
read from the control group, never from the candidate.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox.ahead import Ahead
from sandbox.cell import Cause, Ending
from sandbox.cgroup import Group, Usage, group_of
from sandbox.devices import Devices
from sandbox.engine import DATA, Engine, Recipe, container_config, engine_trouble
from sandbox.guarded import describe_exit
from sandbox.session import WorkerSession
from sandbox.streams import AttachedStreams

_LOOK_EVERY_S = 0.25
_REMOVE_TRIES = 20
_FULL_SHARES = 1024
_LOW_SHARES = 128  # of 1024 each: a container started ahead hardly slows a candidate, and never starves
_SIGNALLED = 128
_SIGKILL, _SIGXCPU = 9, 24


class DockerSandbox:
    """Runs each candidate in a one-shot container. See `evolve.contracts.Sandbox`.

    Args:
        url: the engine's address; None takes `DOCKER_HOST` or the standard socket.
        name: what it is called in evidence and in the first line of a run.
        image: a user's own image with Python, numpy and torch; empty binds this machine's interpreter.
        runtime: the engine's runtime (for example `runsc`, gVisor); empty takes its default.
        gpus: the engine's names of accelerators; each container sees the one that the fewest others see.
        warm_torch: whether a worker imports torch before it is ready; False where candidates need none.
        ahead: how many containers may be started ahead of their use.

    Raises:
        SandboxError: no engine answers, or it can't import the image.
    """

    does_not_stop = ""
    for_model_answers = True

    def __init__(
        self,
        *,
        url: str | None = None,
        warm_torch: bool = True,
        ahead: int = 0,
        name: str = "docker",
        image: str = "",
        runtime: str = "",
        gpus: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self._engine = Engine(url)
        self._warm_torch, self._own_image, self._runtime = warm_torch, image, runtime
        self._devices = Devices(gpus)
        self._image()
        self._engine.sweep()
        self._ahead = Ahead(self._begin, ahead)

    def open(self, job: Job) -> WorkerSession:
        """Starts a container and gives it the job. Raises SandboxError."""
        session = self._ahead.take((job.limits, job.data.resolve(), job.tools), once=job.tools)
        if "seccomp alone" not in session.versions.get("lock", ""):
            session.close()
            raise SandboxError("expected a worker behind its seccomp filter, found one without", hint="Report this.")
        session.give(job, DATA)
        return session

    def close(self) -> None:
        """Removes the containers that were started ahead."""
        self._ahead.close()

    def _image(self) -> str:
        """The digest of the image; somebody may have removed it in the middle of a run (a look takes 2 ms)."""
        return self._engine.require_image(self._own_image) if self._own_image else self._engine.ensure_image()

    def _begin(self, key: tuple[Limits, Path, bool], low_priority: bool) -> WorkerSession:
        limits, data, tools = key
        image, device = self._image(), self._devices.lend()
        shares = _LOW_SHARES if low_priority else _FULL_SHARES
        options = {"warm_torch": self._warm_torch and not tools, "lock": {"seccomp": "alone"}}
        recipe = Recipe(
            image=image,
            limits=limits,
            data=data,
            options=options,
            cpu_shares=shares,
            is_podman=self._engine.is_podman,
            own_interpreter=bool(self._own_image),
            runtime=self._runtime,
            gpu=device,
            tools=tools,
        )
        try:
            cell = DockerCell(self._engine, recipe, lambda: self._devices.give_back(device))
        except SandboxError:
            self._devices.give_back(device)
            raise
        known = {"engine": str(self._engine.versions.get("Version", "")), "image": image}
        return WorkerSession(cell, sandbox=self.name, limits=limits, versions=known)


class DockerCell:
    """One container; see `sandbox.session.Cell`. `on_end` is called once it is gone."""

    def __init__(self, engine: Engine, recipe: Recipe, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._limits = recipe.limits
        self._shares = recipe.cpu_shares
        self._ending: Ending | None = None
        self._group: Group | None = None
        self._sought = False
        self._usage = Usage()
        self._looked = 0.0
        self._client = engine.client()
        with engine_trouble("create a container"):
            config = container_config(self._client, recipe)
            self._id = str(self._client.create_container_from_config(config)["Id"])
        attached: socket.socket | None = None
        try:
            attached = self._attach()
            self.streams = AttachedStreams(attached)
            with engine_trouble("start a container"):
                self._client.start(self._id)
        except SandboxError:
            if attached:
                attached.close()
            self._remove()
            self._client.close()
            raise

    def _attach(self) -> socket.socket:
        """The engine's raw stream, as a socket of our own: the SDK may drop its object at any time."""
        wanted = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        with engine_trouble("attach to a container"):
            theirs = self._client.attach_socket(self._id, wanted)
        with contextlib.closing(getattr(theirs, "_sock", theirs)), contextlib.closing(theirs):
            return socket.socket(fileno=os.dup(theirs.fileno()))

    def look(self) -> bool:
        """See `Cell.look`. The kernel kills one process of a tree that is out of memory: that ends the whole."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            self._note_usage()
        return self._usage.out_of_memory_kills > 0

    def _note_usage(self) -> None:
        if not self._sought:
            with engine_trouble("inspect a container"):
                pid = int(self._client.inspect_container(self._id)["State"]["Pid"])
            self._group = group_of(pid, self._id) if pid else None
            self._sought = True
        self._usage = (self._group and self._group.usage()) or self._usage

    def _ask_usage(self) -> None:
        """Where the control group is another machine's, the engine's own figures; slower, so only at the end."""
        with engine_trouble("measure a container"):
            told: Mapping[str, Any] = self._client.stats(self._id, stream=False, one_shot=True)
        memory = told.get("memory_stats", {})
        self._usage = Usage(
            cpu_s=told["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
            peak_memory_bytes=int(memory.get("max_usage", memory.get("usage", 0))),
        )

    def hurry(self) -> None:
        """See `Cell.hurry`. By the group's own files; the engine, which takes 20 ms, where they are not ours."""
        if self._shares != _FULL_SHARES:
            self._note_usage()
            if not (self._group and self._group.share_cpu(_FULL_SHARES)):
                with engine_trouble("speed a container up"):
                    self._client.update_container(self._id, cpu_shares=_FULL_SHARES)
            self._shares = _FULL_SHARES

    def limit_memory(self, memory_bytes: int) -> None:
        """See `Cell.limit_memory`. By the group's own files; the engine, which takes 20 ms, where they are not ours."""
        self._note_usage()
        if not (self._group and self._group.limit_memory(memory_bytes)):
            with engine_trouble("change a container's memory"):
                self._client.update_container(self._id, mem_limit=memory_bytes, memswap_limit=memory_bytes)
        self._limits = replace(self._limits, memory_bytes=memory_bytes)

    def end(self, grace_s: float) -> Ending:
        """See `Cell.end`."""
        if self._ending is None:
            try:
                self._ending = self._end(grace_s)
                self._remove()
            finally:
                self.streams.close()
                self._client.close()
                self._on_end()
        return self._ending

    def _end(self, grace_s: float) -> Ending:
        self._note_usage()
        exhausted = self._usage.out_of_memory_kills > 0
        gone = grace_s > 0 and not exhausted and self._gone_within(grace_s)
        if self._group is None and not gone:
            self._ask_usage()
        self.streams.pump(0.0)  # what was printed last
        self.streams.close()  # before the kill: an engine with a stalled reader hangs
        if gone:
            return self._post_mortem()
        return self._out_of_memory() if exhausted else self._as_ending("killed", "ended by the host")

    def _gone_within(self, grace_s: float) -> bool:
        import requests

        with engine_trouble("say how a container ended"):
            try:
                self._client.wait(self._id, timeout=grace_s)
            except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError) as error:
                if "timed out" not in str(error).lower():
                    raise
                return False
        return True

    def _post_mortem(self) -> Ending:
        with engine_trouble("inspect a container"):
            state: Mapping[str, Any] = self._client.inspect_container(self._id)["State"]
        code = int(state["ExitCode"])
        if state["OOMKilled"]:
            return self._out_of_memory()
        out_of_time = self._usage.cpu_s >= self._limits.cpu_s - 1
        if code == _SIGNALLED + _SIGXCPU or (code == _SIGNALLED + _SIGKILL and out_of_time):
            return self._as_ending("cpu", f"used more than {self._limits.cpu_s} CPU seconds")
        return self._as_ending("exited", describe_exit(code if code <= _SIGNALLED else _SIGNALLED - code))

    def _out_of_memory(self) -> Ending:
        limit = self._limits.memory_bytes
        reason = f"out of memory: more than {limit >> 20} MiB"
        return Ending(cause="out_of_memory", reason=reason, cpu_s=self._usage.cpu_s, peak_memory_bytes=limit)

    def _as_ending(self, cause: Cause, reason: str) -> Ending:
        peak = self._usage.peak_memory_bytes
        return Ending(cause=cause, reason=reason, cpu_s=self._usage.cpu_s, peak_memory_bytes=peak)

    def _remove(self) -> None:
        """Podman stumbles over a container that has just ended: it is asked again."""
        import docker.errors

        with engine_trouble("remove a container"), contextlib.suppress(docker.errors.NotFound):
            for left in reversed(range(_REMOVE_TRIES)):
                try:
                    self._client.remove_container(self._id, force=True, v=True)
                    return
                except docker.errors.APIError as error:
                    if not left or "state improper" not in str(error):
                        raise
                    time.sleep(0.05)
