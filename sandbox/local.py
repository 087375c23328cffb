"""The plainest sandbox: a guarded process tree on this machine. Not for code that a model wrote.

Limits, a cleared environment, a private folder and a hard kill of the whole tree; no wall between the
candidate and the host's files or network. Knows nothing of frames or candidates.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from evolve.contracts import Job, Limits
from evolve.errors import SandboxError
from sandbox import owner
from sandbox.ahead import Ahead
from sandbox.session import Cause, Ending, WorkerSession
from sandbox.streams import PipeStreams

_CARGO = Path(__file__).resolve().parent
_PYTHON = ("-s", "-P", "-B", "-u")
_FOLDER_PREFIX = "evolve-sandbox."
_KILLED_WITHIN_S = 15.0


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
        session = self._ahead.take(job.limits)
        session.give(job, str(job.data.resolve()))
        return session

    def close(self) -> None:
        """Ends the workers that were started ahead."""
        self._ahead.close()

    def _begin(self, limits: Limits, low_priority: bool) -> WorkerSession:
        options = json.dumps({"warm_torch": self._warm_torch, "seccomp": False})
        try:
            cell = LocalCell([sys.executable, *_PYTHON, str(_CARGO / "worker.py"), options], limits)
        except OSError as error:
            raise SandboxError(
                f"expected to start a worker process, found: {error}", hint="Free some disk, memory or processes."
            ) from error
        return WorkerSession(cell, sandbox=self.name, limits=limits)


class LocalCell:
    """One guarded tree; see `sandbox.session.Cell`. Its folder's name says whose it is."""

    def __init__(self, command: list[str], limits: Limits) -> None:
        self._limits = limits
        self._ending: Ending | None = None
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{owner.this_process()}."))
        requests, to_worker = os.pipe()
        from_worker, answers = os.pipe()
        from_stderr, noise = os.pipe()
        leash, self._leash = os.pipe()
        self._report, report = os.pipe()
        orders = {
            "memory_bytes": limits.memory_bytes,
            "cpu_s": limits.cpu_s,
            "processes": limits.processes,
            "file_bytes": limits.file_bytes,
            "open_files": limits.open_files,
            "folder": str(self._folder),
            "leash": leash,
            "report": report,
        }
        self.streams = PipeStreams(requests=to_worker, answers=from_worker, noise=from_stderr)
        try:
            self._guard = subprocess.Popen(
                [sys.executable, *_PYTHON, "-S", str(_CARGO / "guard.py"), json.dumps(orders), "--", *command],
                stdin=requests, stdout=answers, stderr=noise, pass_fds=(leash, report),
                env=_environment(self._folder), cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        except OSError:
            self._release()
            raise
        finally:
            for theirs in (requests, answers, noise, leash, report):
                os.close(theirs)

    def look(self) -> bool:
        """The guard watches and kills; nothing to note here."""
        return False

    def hurry(self) -> None:
        """Nothing to do: only root could raise a priority again, so none is lowered."""

    def end(self, grace_s: float) -> Ending:
        """See `Cell.end`."""
        if self._ending is None:
            self._ending = self._end(grace_s)
        return self._ending

    def _end(self, grace_s: float) -> Ending:
        guard = os.pidfd_open(self._guard.pid)
        try:
            watch = select.poll()
            watch.register(guard, select.POLLIN)
            if not watch.poll(grace_s * 1000):
                os.close(self._leash)
                self._leash = -1
                if not watch.poll(_KILLED_WITHIN_S * 1000):
                    self._guard.kill()
            _, status, usage = os.wait4(self._guard.pid, 0)
        finally:
            os.close(guard)
        self._guard.returncode = os.waitstatus_to_exitcode(status)
        self.streams.pump(0.0)  # what was printed last
        report = os.read(self._report, 4096)
        self._release()
        if not report:  # the guard itself was killed: the tree may have outlived it
            kill_marked(self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)
        return _ending(json.loads(report or b"{}"), self._limits, usage.ru_utime + usage.ru_stime)

    def _release(self) -> None:
        self.streams.close()
        os.close(self._report)
        if self._leash >= 0:
            os.close(self._leash)


def _ending(report: Mapping[str, object], limits: Limits, cpu_s: float) -> Ending:
    """What the guard reported, as an ending; an empty report means that the guard was killed."""
    code = report.get("code")
    cause: Cause = "exited"
    reason = describe_exit(code) if isinstance(code, int) else "killed its guard"
    match report.get("why"):
        case "memory":
            cause, reason = "out_of_memory", f"out of memory: more than {limits.memory_bytes >> 20} MiB"
        case "processes":
            cause, reason = "processes", f"more than {limits.processes} processes"
        case "leash":
            cause, reason = "killed", "ended by the host"
        case _ if code == -signal.SIGXCPU or (code == -signal.SIGKILL and cpu_s >= limits.cpu_s):
            cause, reason = "cpu", f"used more than {limits.cpu_s} CPU seconds"
        case _:
            pass
    peak = report.get("peak_memory_bytes")
    return Ending(cause=cause, reason=reason, cpu_s=cpu_s, peak_memory_bytes=peak if isinstance(peak, int) else 0)


def describe_exit(code: int) -> str:
    """An exit code, or minus a signal's number, in words."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _environment(folder: Path) -> dict[str, str]:
    """All that a candidate sees of the environment; a fixed hash seed keeps its runs repeatable."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }


def kill_marked(folder: Path) -> None:
    """Kills every process whose environment names the folder as its home, until none is left."""
    for _ in range(1000):
        victims = _marked(folder)
        if not victims:
            return
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    raise SandboxError(f"expected no process of {folder.name} left, found {_marked(folder)}", hint="Kill them by hand.")


def _marked(folder: Path) -> list[int]:
    marker = b"HOME=" + os.fsencode(folder)
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in numbers if marker in _environment_of(pid)]


def _environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def sweep() -> None:
    """Removes what orchestrators left behind that were killed together with their guards."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        maker = owner.read(folder.name.removeprefix(_FOLDER_PREFIX).rpartition(".")[0])
        if maker is not None and maker.is_dead():
            kill_marked(folder)
            shutil.rmtree(folder, ignore_errors=True)
