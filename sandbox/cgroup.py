"""CPU seconds and peak memory of a control group, version 1 or 2. Knows no engine and no candidate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a group used up to one moment."""

    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    out_of_memory_kills: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The files of one group: its CPU time, its peak memory and its memory events; of each the first that is there."""

    cpu: tuple[Path, ...]
    memory: tuple[Path, ...]
    events: tuple[Path, ...]

    def usage(self) -> Usage | None:
        """The usage now, or None where the group is gone or can't be read."""
        cpu_s = _first(self.cpu)
        memory = _first(self.memory)
        if cpu_s is None and memory is None:
            return None
        kills = int(_table(_first(self.events) or "").get("oom_kill", "0"))
        return Usage(cpu_s=_cpu_seconds(cpu_s or "0"), peak_memory_bytes=int(memory or 0), out_of_memory_kills=kills)


def group_of(pid: int, *, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> Group | None:
    """The group of a process, or None where the process is gone or another machine's.

    Version 2 has one line `0::PATH`; version 1 has one line per controller, and a mixed machine both.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    cpu: list[Path] = []
    memory: list[Path] = []
    events: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        relative = path.lstrip("/")
        if "cpuacct" in controllers.split(","):
            cpu.append(root / controllers / relative / "cpuacct.usage")
            cpu.append(root / "cpuacct" / relative / "cpuacct.usage")
        elif controllers == "memory":
            memory.append(root / "memory" / relative / "memory.max_usage_in_bytes")
            events.append(root / "memory" / relative / "memory.oom_control")
        elif not controllers:
            cpu.append(root / relative / "cpu.stat")
            memory += [root / relative / "memory.peak", root / relative / "memory.current"]
            events.append(root / relative / "memory.events")
    return Group(cpu=tuple(cpu), memory=tuple(memory), events=tuple(events))


def _first(paths: tuple[Path, ...]) -> str | None:
    for path in paths:
        try:
            return path.read_text(encoding="ascii").strip()
        except OSError:
            continue
    return None


def _cpu_seconds(text: str) -> float:
    """Version 1 gives nanoseconds alone; version 2 a table with `usage_usec`."""
    if text.isdecimal():
        return int(text) / 1e9
    return int(_table(text).get("usage_usec", "0")) / 1e6


def _table(text: str) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in text.splitlines())
