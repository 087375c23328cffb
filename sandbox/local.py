"""The plainest sandbox: a guarded process tree on this machine. Not for code that a model wrote.

No wall stands between the candidate and the host's files or network. Knows nothing of frames or candidates.
"""

from __future__ import annotations

import json
import sys

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox.ahead import Ahead
from sandbox.guarded import GuardedCell, sweep
from sandbox.inside import CARGO, PYTHON_FLAGS
from sandbox.session import WorkerSession


class LocalSandbox:
    """Runs each candidate as a guarded process tree. See `evolve.contracts.Sandbox`.

    Args:
        warm_torch: whether a worker imports torch before it is ready; False where candidates need none.
        ahead: how many workers may be started ahead of their use.
    """

    name = "local"
    does_not_stop = "it reads the host's files as you do and may use the network"
    for_model_answers = False

    def __init__(self, *, warm_torch: bool = True, ahead: int = 0) -> None:
        self._warm_torch = warm_torch
        self._ahead = Ahead(self._begin, ahead)
        sweep()

    def open(self, job: Job) -> WorkerSession:
        """Starts a worker and gives it the job. Raises SandboxError."""
        session = self._ahead.take((job.limits, job.tools), once=job.tools)
        session.give(job, str(job.data.resolve()))
        return session

    def close(self) -> None:
        """Ends the workers that were started ahead."""
        self._ahead.close()

    def _begin(self, key: tuple[Limits, bool], low_priority: bool) -> WorkerSession:
        limits, tools = key
        options = json.dumps({"warm_torch": self._warm_torch and not tools, "lock": {}})
        command = [sys.executable, *PYTHON_FLAGS, str(CARGO / "worker.py"), options]
        try:
            cell = GuardedCell(lambda folder: command, limits)
        except OSError as error:
            raise SandboxError(
                f"expected to start a worker process, found: {error}", hint="Free some disk, memory or processes."
            ) from error
        return WorkerSession(cell, sandbox=self.name, limits=limits)
