"""Who a leftover belongs to: a process named so that its number can't be mistaken for a later one's.

Knows nothing of sandboxes; reads only /proc.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process of this boot and this process namespace; `started` is its start time in clock ticks."""

    machine: str
    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.machine}-{self.pid}-{self.started}"

    def is_dead(self) -> bool:
        """Whether it certainly runs no more; False for a process of another machine, which can't be seen."""
        return self.machine == _machine() and _start_time(self.pid) != self.started


def this_process() -> Owner:
    """The process that calls."""
    return Owner(machine=_machine(), pid=os.getpid(), started=_start_time(os.getpid()))


def read(text: str) -> Owner | None:
    """The owner that `str(owner)` wrote; None for any other text."""
    parts = text.split("-")
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return Owner(machine=parts[0], pid=int(parts[1]), started=int(parts[2]))


def _machine() -> str:
    """This boot and this process namespace: within them a number and a start time name one process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")[:16]
    namespace = str(Path("/proc/self/ns/pid").readlink()).removeprefix("pid:[").removesuffix("]")
    return f"{boot}.{namespace}"


def _start_time(pid: int) -> int:
    """Clock ticks from boot to the process's start; 0 where there is no such process, or only its corpse."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])
