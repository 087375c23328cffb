"""Workers forked from a trusted parent that has torch imported: no interpreter starts for a candidate.

Opt-in, and for root with control groups alone: the walls are namespaces, another user, a control group and seccomp,
set before a byte of candidate code is read. Scores that decide a promotion come from an engine where there is one.
Knows no frames and no candidates.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox import owner
from sandbox.cgroup import GROUP_PREFIX, ControlGroup, Usage, make_group, sweep_groups
from sandbox.guarded import SIGNALLED, ending_of
from sandbox.inside import CARGO, NOBODY, PYTHON_FLAGS, SCRATCH_BYTES, environment, interpreter, require_readable
from sandbox.session import Ending, WorkerSession
from sandbox.streams import PipeStreams

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
        options = {"warm_torch": warm_torch, "read": [str(path) for path in interpreter()], "user": NOBODY}
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
        group = make_group(job.limits, f"{GROUP_PREFIX}{owner.this_process()}.{next(_numbers)}")
        if group is None:
            raise SandboxError("expected to make a control group, found that this machine refuses", hint=_HINT)
        session = WorkerSession(self._forked(job.limits, data, group), sandbox=self.name, limits=job.limits)
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

    def _forked(self, limits: Limits, data: Path, group: ControlGroup) -> ForkCell:
        order = {"limits": asdict(limits), "data": str(data), "groups": group.listings, "scratch_bytes": SCRATCH_BYTES}
        requests, to_worker = os.pipe()
        from_worker, answers = os.pipe()
        from_stderr, noise = os.pipe()
        leash, our_leash = os.pipe()
        our_report, report = os.pipe()
        theirs = [requests, answers, noise, leash, report]
        try:
            with self._lock:
                socket.send_fds(self._control, [json.dumps(order).encode()], theirs)
        except OSError as error:
            for descriptor in (to_worker, from_worker, from_stderr, our_leash, our_report):
                os.close(descriptor)
            group.remove()
            raise SandboxError(f"expected the warm parent to fork a worker, found: {error}", hint=_HINT) from error
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        streams = PipeStreams(requests=to_worker, answers=from_worker, noise=from_stderr)
        return ForkCell(streams, our_leash, our_report, limits, group)


class ForkCell:
    """One forked tree; see `sandbox.session.Cell`."""

    def __init__(self, streams: PipeStreams, leash: int, report: int, limits: Limits, group: ControlGroup) -> None:
        self.streams = streams
        self._leash, self._report = leash, report
        self._limits, self._group = limits, group
        self._ending: Ending | None = None

    def look(self) -> bool:
        """A control group's kill of one process ends the whole tree."""
        usage = self._group.group.usage()
        return usage is not None and usage.out_of_memory_kills > 0

    def hurry(self) -> None:
        """Nothing is started at low priority."""

    def end(self, grace_s: float) -> Ending:
        """See `Cell.end`."""
        if self._ending is None:
            self._ending = self._end(grace_s)
        return self._ending

    def _end(self, grace_s: float) -> Ending:
        ended, _, _ = select.select([self._report], [], [], grace_s)
        os.close(self._leash)
        if not ended and not select.select([self._report], [], [], KILLED_WITHIN_S)[0]:
            raise SandboxError("expected the kernel to end a worker's namespace, found it alive", hint=_HINT)
        told: dict[str, object] = json.loads(os.read(self._report, 4096) or b"{}")
        os.close(self._report)
        self.streams.pump(0.0)  # what was printed last
        self.streams.close()
        usage = self._group.group.usage() or Usage()
        self._group.remove()
        code = told.get("code")
        if isinstance(code, int) and code > SIGNALLED:
            told["code"] = SIGNALLED - code
        if usage.out_of_memory_kills:
            told["why"] = "memory"
        ending = ending_of(told, self._limits, usage.cpu_s)
        return replace(ending, peak_memory_bytes=usage.peak_memory_bytes)
