"""One candidate, one container: no network, nothing writable but a small scratch, nobody's rights.

Knows the engine's containers; knows no labels and no metrics. What is reported of CPU and memory is
read from the control group, never from the candidate.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox.cgroup import Group, Usage, group_of
from sandbox.engine import DATA, Engine, container_config, engine_trouble
from sandbox.local import describe_exit
from sandbox.session import Cause, Ending, WorkerSession
from sandbox.streams import AttachedStreams

_LOOK_EVERY_S = 0.25
_SIGNALLED = 128
_SIGKILL, _SIGXCPU = 9, 24


class DockerSandbox:
    """Runs each candidate in a one-shot container. See `evolve.contracts.Sandbox`.

    Args:
        url: the engine's address; None takes `DOCKER_HOST` or the standard socket.
        warm_torch: whether a worker imports torch before it is ready; False where candidates need none.

    Raises:
        SandboxError: no engine answers, or it can't import the image.
    """

    name = "docker"
    does_not_stop = ""
    for_model_answers = True

    def __init__(self, *, url: str | None = None, warm_torch: bool = True) -> None:
        self._engine = Engine(url)
        self._options = {"warm_torch": warm_torch, "seccomp": True}
        self._engine.ensure_image()
        self._engine.sweep()

    def open(self, job: Job) -> WorkerSession:
        """Starts a container and gives it the job. Raises SandboxError."""
        session = self._start(job.limits, job.data)
        session.give(job, DATA)
        return session

    def close(self) -> None:
        """Nothing outlives a session here."""

    def _start(self, limits: Limits, data: Path) -> WorkerSession:
        image = self._engine.ensure_image()  # 2 ms; somebody may have removed it in the middle of a run
        cell = DockerCell(self._engine, image, limits, data, self._options)
        session = WorkerSession(cell, sandbox=self.name, limits=limits)
        session.wait_until_ready()
        if session.versions.get("seccomp") != "on":
            session.close()
            raise SandboxError("expected a worker behind its seccomp filter, found one without", hint="Report this.")
        session.versions = {
            **session.versions,
            "engine": str(self._engine.versions.get("Version", "")),
            "image": image,
        }
        return session


class DockerCell:
    """One container; see `sandbox.session.Cell`."""

    def __init__(self, engine: Engine, image: str, limits: Limits, data: Path, options: Mapping[str, object]) -> None:
        self._limits = limits
        self._ending: Ending | None = None
        self._group: Group | None = None
        self._usage = Usage()
        self._looked = 0.0
        self._client = engine.client()
        with engine_trouble("create a container"):
            config = container_config(self._client, image, limits, data, options)
            self._id = str(self._client.create_container_from_config(config)["Id"])
        try:
            self.streams = AttachedStreams(self._attach())
            with engine_trouble("start a container"):
                self._client.start(self._id)
        except SandboxError:
            self._remove()
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
        if self._group is None:
            with engine_trouble("inspect a container"):
                pid = int(self._client.inspect_container(self._id)["State"]["Pid"])
            self._group = group_of(pid) if pid else None
        self._usage = (self._group and self._group.usage()) or self._usage

    def end(self, grace_s: float) -> Ending:
        """See `Cell.end`."""
        if self._ending is None:
            self._note_usage()
            exhausted = self._usage.out_of_memory_kills > 0
            gone = grace_s > 0 and not exhausted and self._gone_within(grace_s)
            self.streams.pump(0.0)  # what was printed last
            self.streams.close()  # before the kill: an engine with a stalled reader hangs
            if gone:
                self._ending = self._post_mortem()
            elif exhausted:
                self._ending = self._out_of_memory()
            else:
                self._ending = self._as_ending("killed", "ended by the host")
            self._remove()
        return self._ending

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
        import docker.errors

        with engine_trouble("remove a container"), contextlib.suppress(docker.errors.NotFound):
            self._client.remove_container(self._id, force=True, v=True)
        self._client.close()
