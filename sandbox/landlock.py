"""Landlock and seccomp around a guarded tree: the last wall, for a machine with neither an engine nor bubblewrap.

Needs no root and no program. The candidate shares the host's namespaces, so whatever reaches another process or a
socket is refused call by call. Knows no frames and no candidates.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox.ahead import Ahead
from sandbox.guarded import GuardedCell, sweep
from sandbox.inside import CARGO, PYTHON_FLAGS, readable
from sandbox.lockdown import landlock_abi
from sandbox.session import WorkerSession


class LandlockSandbox:
    """Runs each candidate as a guarded tree that has locked itself in. See `evolve.contracts.Sandbox`.

    Args:
        warm_torch: whether a worker imports torch before it is ready; False where candidates need none.
        ahead: how many workers may be started ahead of their use.

    Raises:
        SandboxError: the kernel has no Landlock.
    """

    name = "landlock"
    does_not_stop = "it shares the host's namespaces, and may exceed its memory for a tenth of a second"
    for_model_answers = True

    def __init__(self, *, warm_torch: bool = True, ahead: int = 0) -> None:
        require_landlock()
        self._warm_torch = warm_torch
        self._ahead = Ahead(self._begin, ahead)
        sweep()

    def open(self, job: Job) -> WorkerSession:
        """Starts a worker and gives it the job. Raises SandboxError."""
        data = job.data.resolve()
        session = self._ahead.take((job.limits, data, job.tools), once=job.tools)
        session.give(job, str(data))
        return session

    def close(self) -> None:
        """Ends the workers that were started ahead."""
        self._ahead.close()

    def _begin(self, key: tuple[Limits, Path, bool], low_priority: bool) -> WorkerSession:
        limits, data, tools = key
        readable_here = readable(tools=tools)

        def command(folder: Path) -> list[str]:
            read = [*readable_here, str(data)]
            devices = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
            landlock = {"read": read, "write": [str(folder)], "devices": devices}
            lock = {"capabilities": "none", "landlock": landlock, "seccomp": "shared"}
            options = json.dumps({"warm_torch": self._warm_torch and not tools, "lock": lock})
            return [sys.executable, *PYTHON_FLAGS, str(CARGO / "worker.py"), options]

        try:
            cell = GuardedCell(command, limits)
        except OSError as error:
            raise SandboxError(
                f"expected to start a worker process, found: {error}", hint="Free some disk, memory or processes."
            ) from error
        return WorkerSession(cell, sandbox=self.name, limits=limits)


def require_landlock() -> int:
    """The version that the kernel speaks. Raises SandboxError where it has none."""
    abi = landlock_abi()
    if not abi:
        raise SandboxError(
            "expected a kernel with Landlock, found none", hint="Linux 5.13 or newer, with landlock among its LSMs."
        )
    return abi
