"""Workers forked from a trusted parent that has torch imported: no interpreter starts for a candidate.

Opt-in, and for root with control groups alone: the walls are namespaces, another user, a control group and seccomp,
set before a byte of candidate code is read. Scores that decide a promotion come from an engine where there is one.
Knows no frames and no candidates.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, replace

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox import owner
from sandbox.cell import Ending
from sandbox.cgroup import GROUP_PREFIX, ControlGroup, make_group, sweep_groups
from sandbox.guarded import settled
from sandbox.inside import CARGO, NOBODY, PYTHON_FLAGS, SCRATCH_BYTES, environment, readable, require_readable
from sandbox.session import WorkerSession
from sandbox.tether import Tether

DATA = "/data"
START_S, KILLED_WITHIN_S = 60.0, 15.0
_HINT = "Use `--sandbox docker` or `--sandbox bubblewrap`."
_numbers = itertools.count()


class ForkSandbox:
    """Runs each candidate in a fork of one warm parent. See `evolve.contracts.Sandbox`.

    Args:
        warm_torch: whether the parent imports torch; False where candidates need none.
        ahead: taken for the sake of one signature; nothing needs to be started ahead.

    Raises:
        SandboxError: not root, no control groups, or the parent does not start.
    """

    name = "fork"
    does_not_stop = ""
    for_model_answers = True

    def __init__(self, *, warm_torch: bool = True, ahead: int = 0) -> None:
        if os.geteuid() != 0:
            raise SandboxError("expected to be root for `--sandbox fork`, found another user", hint=_HINT)
        sweep_groups()
        self._lock = threading.Lock()
        options = {"warm_torch": warm_torch, "user": NOBODY}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._parent = subprocess.Popen(
                [sys.executable, *PYTHON_FLAGS, str(CARGO / "zygote.py"), json.dumps(options)],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=environment("/"), cwd="/", start_new_session=True,
            )  # fmt: skip
        self._control.settimeout(START_S)
        try:
            is_ready = self._control.recv(16) == b"ready"
        except OSError:
            is_ready = False
        if not is_ready:
            self.close()
            raise SandboxError("expected a parent with torch imported, found that it ended", hint=_HINT)

    def open(self, job: Job) -> WorkerSession:
        """Forks a worker and gives it the job. Raises SandboxError."""
        data = job.data.resolve()
        require_readable([data])
        binds = {**readable(tools=job.tools), DATA: str(data)}
        group = make_group(job.limits, f"{GROUP_PREFIX}{owner.this_process()}.{next(_numbers)}")
        if group is None:
            raise SandboxError("expected to make a control group, found that this machine refuses", hint=_HINT)
        session = WorkerSession(self._forked(job.limits, binds, group), sandbox=self.name, limits=job.limits)
        session.wait_until_ready()
        session.give(job, DATA)
        return session

    def close(self) -> None:
        """Ends the parent."""
        self._control.close()
        try:
            self._parent.wait(KILLED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._parent.kill()
            self._parent.wait()

    def _forked(self, limits: Limits, binds: dict[str, str], group: ControlGroup) -> ForkCell:
        order = {"limits": asdict(limits), "binds": binds, "groups": group.listings, "scratch_bytes": SCRATCH_BYTES}
        tether = Tether()
        try:
            with self._lock:
                socket.send_fds(self._control, [json.dumps(order).encode()], tether.theirs)
        except OSError as error:
            tether.close()
            group.remove()
            raise SandboxError(f"expected the warm parent to fork a worker, found: {error}", hint=_HINT) from error
        finally:
            tether.hand_over()
        return ForkCell(tether, limits, group)


class ForkCell:
    """One forked tree; see `sandbox.session.Cell`."""

    def __init__(self, tether: Tether, limits: Limits, group: ControlGroup) -> None:
        self.streams = tether.streams
        self._tether, self._limits, self._group = tether, limits, group
        self._ending: Ending | None = None

    def look(self) -> bool:
        """A control group's kill of one process ends the whole tree."""
        usage = self._group.group.usage()
        return usage is not None and usage.out_of_memory_kills > 0

    def hurry(self) -> None:
        """Nothing is started at low priority."""

    def limit_memory(self, memory_bytes: int) -> None:
        """See `Cell.limit_memory`."""
        if self._group.group.limit_memory(memory_bytes):
            self._limits = replace(self._limits, memory_bytes=memory_bytes)

    def end(self, grace_s: float) -> Ending:
        """See `Cell.end`."""
        if self._ending is None:
            self._ending = self._end(grace_s)
        return self._ending

    def _end(self, grace_s: float) -> Ending:
        ended = self._tether.reported_within(grace_s)
        self._tether.let_go()
        if not ended and not self._tether.reported_within(KILLED_WITHIN_S):
            raise SandboxError("expected the kernel to end a worker's namespace, found it alive", hint=_HINT)
        told: dict[str, object] = json.loads(self._tether.report() or b"{}")
        self.streams.pump(0.0)  # what was printed last
        self._tether.close()
        return settled(told, self._limits, self._group, 0.0, forwarded=True)
