"""Podman through its Docker-compatible service, which is started here and ends with the sandbox or its process.

Knows how to start the service; everything else is the engine's and `sandbox.docker`'s.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from evolve.contracts import Job
from evolve.errors import SandboxError
from sandbox.docker import DockerSandbox
from sandbox.session import WorkerSession

STARTED_WITHIN_S = 20.0
LEASHED = """
folder=$1; shift
exec 3<&0
"$@" 3<&- & service=$!
{ read -r _; kill "$service"; } <&3 & leash=$!
wait "$service"
kill "$leash" 2>/dev/null
rm -rf "$folder"
"""
"""Runs a service until it ends, or until whoever holds the other end of stdin lets go, be it by dying; then removes
the service's folder, its first argument."""


class PodmanSandbox:
    """Runs each candidate in a one-shot Podman container. See `evolve.contracts.Sandbox`.

    Args:
        warm_torch: whether a worker imports torch before it is ready; False where candidates need none.
        ahead: how many containers may be started ahead of their use.

    Raises:
        SandboxError: Podman is not installed, or its service does not start.
    """

    name = "podman"
    does_not_stop = ""
    for_model_answers = True

    def __init__(self, *, warm_torch: bool = True, ahead: int = 0) -> None:
        program = require_podman()
        self._folder = Path(tempfile.mkdtemp(prefix="evolve-podman."))
        self.url = f"unix://{self._folder}/podman.sock"
        command = [program, "system", "service", "--time=0", self.url]
        self._service = subprocess.Popen(  # in our folder: a container out of memory leaves an empty file `oom` there
            ["sh", "-c", LEASHED, "sh", self._folder, *command], cwd=self._folder, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            self._wait()
            self._inner = DockerSandbox(url=self.url, warm_torch=warm_torch, ahead=ahead, name=self.name)
        except SandboxError:
            self._end_service()
            raise

    def open(self, job: Job) -> WorkerSession:
        """Starts a container and gives it the job. Raises SandboxError."""
        return self._inner.open(job)

    def close(self) -> None:
        """Removes the containers that were started ahead, and ends the service."""
        self._inner.close()
        self._end_service()

    def _wait(self) -> None:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self._listens():
            if self._service.poll() is not None or time.monotonic() > deadline:
                raise SandboxError(
                    "expected Podman's service to start, found that it did not", hint="Try `podman info`."
                )
            time.sleep(0.02)

    def _listens(self) -> bool:
        """Whether it accepts: its socket is there a moment before."""
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self._folder / "podman.sock")) == 0

    def _end_service(self) -> None:
        assert self._service.stdin is not None
        self._service.stdin.close()
        self._service.wait(STARTED_WITHIN_S)


def require_podman() -> str:
    """Where the program is. Raises SandboxError where it is not installed."""
    found = shutil.which("podman")
    if found is None:
        raise SandboxError("expected podman, found none", hint="Debian: apt-get install podman catatonit")
    return found
