"""A guarded process tree on this machine: limits, a cleared environment, a private folder, a hard kill of the whole.

What stands around the tree besides (namespaces, Landlock, nothing) is the command's affair. Knows no frames and
no candidates.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from evolve.contracts import Limits
from evolve.errors import SandboxError
from sandbox import owner
from sandbox.cell import Cause, Ending
from sandbox.cgroup import ControlGroup, Usage
from sandbox.guard import remove
from sandbox.inside import CARGO, PYTHON_FLAGS, SCRATCH_BYTES, SCRATCH_FILES, environment
from sandbox.tether import Tether

_FOLDER_PREFIX = "evolve-sandbox."
_KILLED_WITHIN_S = 15.0
SIGNALLED = 128


class GuardedCell:
    """One guarded tree; see `sandbox.session.Cell`. Its folder's name says whose it is.

    Args:
        command: what to run, told the private folder.
        limits: of the whole tree.
        group: a control group to run it in, which this cell removes; None leaves limits to the guard's own watch.
        forwarded: whether the command says 128 + N where what it ran was ended by signal N.
    """

    def __init__(
        self,
        command: Callable[[Path], list[str]],
        limits: Limits,
        *,
        group: ControlGroup | None = None,
        forwarded: bool = False,
    ) -> None:
        self._limits, self._group, self._forwarded = limits, group, forwarded
        self._ending: Ending | None = None
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{owner.this_process()}."))
        self._tether = Tether()
        self.streams = self._tether.streams
        requests, answers, noise, leash, report = self._tether.theirs
        orders = {
            "memory_bytes": limits.memory_bytes,
            "cpu_s": limits.cpu_s,
            "processes": limits.processes,
            "file_bytes": limits.file_bytes,
            "open_files": limits.open_files,
            "scratch_bytes": SCRATCH_BYTES,
            "scratch_files": SCRATCH_FILES,
            "folder": str(self._folder),
            "groups": group.listings if group else (),
            "leash": leash,
            "report": report,
        }
        try:
            self._guard = subprocess.Popen(
                [
                    *(sys.executable, *PYTHON_FLAGS, "-S", str(CARGO / "guard.py"), json.dumps(orders), "--"),
                    *command(self._folder),
                ],
                stdin=requests, stdout=answers, stderr=noise, pass_fds=(leash, report),
                env=environment(str(self._folder)), cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        except OSError:
            self._tether.close()
            raise
        finally:
            self._tether.hand_over()

    def look(self) -> bool:
        """The guard watches and kills; a control group's kill of one process ends the whole tree."""
        if self._group is None:
            return False
        usage = self._group.group.usage()
        return usage is not None and usage.out_of_memory_kills > 0

    def hurry(self) -> None:
        """Nothing to do: only root could raise a priority again, so none is lowered."""

    def limit_memory(self, memory_bytes: int) -> None:
        """See `Cell.limit_memory`."""
        if self._group and self._group.group.limit_memory(memory_bytes):
            self._limits = replace(self._limits, memory_bytes=memory_bytes)

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
                self._tether.let_go()
                if not watch.poll(_KILLED_WITHIN_S * 1000):
                    self._guard.kill()
            _, status, usage = os.wait4(self._guard.pid, 0)
        finally:
            os.close(guard)
        self._guard.returncode = os.waitstatus_to_exitcode(status)
        self.streams.pump(0.0)  # what was printed last
        report = self._tether.report()
        self._tether.close()
        if not report:  # the guard itself was killed: the tree may have outlived it
            kill_marked(self._folder)
            remove(str(self._folder))
        cpu_s = usage.ru_utime + usage.ru_stime
        told = json.loads(report or b"{}")
        return settled(told, self._limits, self._group, cpu_s, forwarded=self._forwarded)


def settled(
    report: dict[str, object], limits: Limits, group: ControlGroup | None, cpu_s: float, *, forwarded: bool
) -> Ending:
    """The ending by a report, with a control group's figures where there is one; removes the group.

    `cpu_s` is what the kernel said of the tree without a group; `forwarded` as in `GuardedCell`.
    """
    code, seen = report.get("code"), report.get("cpu_s")
    if forwarded and isinstance(code, int) and code > SIGNALLED:
        report["code"] = SIGNALLED - code
    if group is None:
        return ending_of(report, limits, max(cpu_s, seen if isinstance(seen, float) else 0.0))
    usage = group.group.usage() or Usage()
    group.remove()
    if usage.out_of_memory_kills:
        report["why"] = "memory"
    return replace(ending_of(report, limits, usage.cpu_s), peak_memory_bytes=usage.peak_memory_bytes)


def ending_of(report: Mapping[str, object], limits: Limits, cpu_s: float) -> Ending:
    """What the guard reported, as an ending; an empty report means that the guard was killed."""
    code = report.get("code")
    cause: Cause = "exited"
    reason = describe_exit(code) if isinstance(code, int) else "killed its guard"
    match report.get("why"):
        case "memory":
            cause, reason = "out_of_memory", f"out of memory: more than {limits.memory_bytes >> 20} MiB"
        case "scratch":
            cause, reason = "exited", f"wrote more than {SCRATCH_BYTES >> 20} MiB or {SCRATCH_FILES} files"
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
            remove(str(folder))
