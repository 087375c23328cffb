"""Bubblewrap around a guarded tree: namespaces and a root of its own, where no engine answers.

As root the worker becomes nobody after its imports, and a control group holds memory, processes and CPU; any other
user gets a user namespace, and the guard's own watch in place of the group. Landlock, where the kernel has it, keeps
the scratch from being executed. Knows no frames and no candidates.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox import owner
from sandbox.ahead import Ahead
from sandbox.cgroup import GROUP_PREFIX, make_group, sweep_groups
from sandbox.guarded import GuardedCell, sweep
from sandbox.inside import (
    CARGO,
    CARGO_FILES,
    NOBODY,
    PYTHON_FLAGS,
    SCRATCH_BYTES,
    environment,
    readable,
    require_readable,
)
from sandbox.lockdown import landlock_abi
from sandbox.session import WorkerSession

DATA, CARGO_INSIDE, SCRATCH = "/data", "/sb", "/tmp"  # noqa: S108
_NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_HELD = ("--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL")
_numbers = itertools.count()


class BubblewrapSandbox:
    """Runs each candidate in namespaces of its own. See `evolve.contracts.Sandbox`.

    Args:
        warm_torch: whether a worker imports torch before it is ready; False where candidates need none.
        ahead: how many workers may be started ahead of their use.

    Raises:
        SandboxError: bubblewrap is not installed.
    """

    name = "bubblewrap"
    for_model_answers = True

    def __init__(self, *, warm_torch: bool = True, ahead: int = 0) -> None:
        self._program = require_bubblewrap()
        self._warm_torch = warm_torch
        self._ahead = Ahead(self._begin, ahead)
        self.does_not_stop = "" if os.geteuid() == 0 else NO_GROUP
        sweep()
        sweep_groups()

    def open(self, job: Job) -> WorkerSession:
        """Starts a worker and gives it the job. Raises SandboxError."""
        session = self._ahead.take((job.limits, job.data.resolve(), job.tools), once=job.tools)
        session.give(job, DATA)
        return session

    def close(self) -> None:
        """Ends the workers that were started ahead."""
        self._ahead.close()

    def _begin(self, key: tuple[Limits, Path, bool], low_priority: bool) -> WorkerSession:
        limits, data, tools = key
        require_readable([data])
        group = make_group(limits, f"{GROUP_PREFIX}{owner.this_process()}.{next(_numbers)}")
        binds = readable(tools=tools)
        command = [
            self._program,
            *bubble(data, binds),
            "--",
            *self._worker(binds, warm_torch=self._warm_torch and not tools),
        ]
        try:
            cell = GuardedCell(lambda folder: command, limits, group=group, forwarded=True)
        except OSError as error:
            if group:
                group.remove()
            raise SandboxError(
                f"expected to start a worker in bubblewrap, found: {error}", hint="Free some memory or processes."
            ) from error
        return WorkerSession(cell, sandbox=self.name, limits=limits)

    def _worker(self, readable: Mapping[str, str], *, warm_torch: bool) -> list[str]:
        lock: dict[str, object] = {"seccomp": "alone", "user": NOBODY if os.geteuid() == 0 else None}
        if landlock_abi():
            lock["landlock"] = {
                "read": [*readable, DATA, "/proc"], "write": [SCRATCH, "/dev/shm"],  # noqa: S108
                "devices": ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"],
            }  # fmt: skip
        options = json.dumps({"warm_torch": warm_torch, "lock": lock})
        return [sys.executable, *PYTHON_FLAGS, f"{CARGO_INSIDE}/worker.py", options]


NO_GROUP = "it may take more memory than its limit for a tenth of a second, in many processes at once"


def require_bubblewrap() -> str:
    """Where the program is. Raises SandboxError where it is not installed."""
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError("expected bubblewrap (bwrap), found none", hint="Debian: apt-get install bubblewrap")
    return found


def bubble(data: Path, readable: Mapping[str, str]) -> list[str]:
    """Everything that a candidate is given; what is not here it has not."""
    words = [*_NAMESPACES, *_HELD]
    if os.geteuid() == 0:
        words += [word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}")]
    else:
        words += ["--unshare-user", "--disable-userns", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    for name, value in environment(SCRATCH).items():
        words += ["--setenv", name, value]
    binds = {**readable, DATA: str(data)}
    binds |= {f"{CARGO_INSIDE}/{name}": str(CARGO / name) for name in CARGO_FILES}
    # The scratch first: this machine's interpreter may itself lie below /tmp.
    words += ["--proc", "/proc", "--dev", "/dev"]
    for scratch in (SCRATCH, "/dev/shm"):  # noqa: S108
        words += ["--perms", "1777", "--size", str(SCRATCH_BYTES), "--tmpfs", scratch]
    # Folders that bubblewrap makes by itself only root may enter.
    parents = {str(parent) for target in binds for parent in Path(target).parents if parent != Path("/")}
    for folder in sorted(parents):
        words += ["--perms", "0755", "--dir", folder]
    for target, source in sorted(binds.items()):
        words += ["--ro-bind", source, target]
    for link in ("bin", "lib", "lib64"):
        words += ["--symlink", f"usr/{link}", f"/{link}"]
    return [*words, "--remount-ro", "/", "--chdir", SCRATCH]
