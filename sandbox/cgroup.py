"""Control groups, version 1 or 2: what one used, and making one around a tree. Knows no engine and no candidate."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evolve.contracts import Limits
from evolve.errors import SandboxError
from sandbox import owner

GROUP_PREFIX = "evolve-sandbox."
PERIOD_US = 100_000
_SHARES_1, _WEIGHT_2 = "cpu.shares", "cpu.weight"
_CAPS_1, _CAP_2 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "memory.max"
REMOVED_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a group used up to one moment."""

    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    out_of_memory_kills: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The files of one group: its CPU time, its peak memory and its memory events, of each the first that is there;
    all those that limit its memory, and those that hold its share of the CPU."""

    cpu: tuple[Path, ...]
    memory: tuple[Path, ...]
    events: tuple[Path, ...]
    caps: tuple[Path, ...] = ()
    shares: tuple[Path, ...] = ()

    def share_cpu(self, shares: int) -> bool:
        """Sets the share of the CPU, of 1024 each; returns whether it could be set."""
        for path in filter(Path.exists, self.shares):
            with contextlib.suppress(OSError):
                path.write_text(str(shares if path.name == _SHARES_1 else weight_of(shares)), encoding="ascii")
                return True
        return False

    def limit_memory(self, memory_bytes: int) -> bool:
        """Sets the limit of memory (and of memory with swap); returns whether it holds now.

        The kernel wants the two of version 1 in one order on the way up and in the other on the way down.
        """
        files = [path for path in self.caps if path.exists()]
        for path in (*files, *files):
            with contextlib.suppress(OSError):
                path.write_text(str(memory_bytes), encoding="ascii")
        held = [_first((path,)) or "max" for path in files]
        return bool(held) and all(value.isdecimal() and int(value) <= memory_bytes for value in held)

    def usage(self) -> Usage | None:
        """The usage now, or None where the group is gone or can't be read."""
        cpu_s = _first(self.cpu)
        memory = _first(self.memory)
        if cpu_s is None and memory is None:
            return None
        kills = int(_table(_first(self.events) or "").get("oom_kill", "0"))
        return Usage(cpu_s=_cpu_seconds(cpu_s or "0"), peak_memory_bytes=int(memory or 0), out_of_memory_kills=kills)


def group_of(
    pid: int, named: str = "", *, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")
) -> Group | None:
    """The group of a process, or None where the process is gone or another machine's.

    `named` must stand in the group's path: on another machine the number may be some other process's.
    Version 2 has one line `0::PATH`; version 1 has one line per controller, and a mixed machine both.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    cpu: list[Path] = []
    memory: list[Path] = []
    events: list[Path] = []
    caps: list[Path] = []
    shares: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        relative = path.lstrip("/")
        if named not in path:
            continue
        if "cpuacct" in controllers.split(","):
            cpu.append(root / controllers / relative / "cpuacct.usage")
            cpu.append(root / "cpuacct" / relative / "cpuacct.usage")
            shares += [root / name / relative / _SHARES_1 for name in (controllers, "cpu")]
        elif controllers == "memory":
            memory.append(root / "memory" / relative / "memory.max_usage_in_bytes")
            events.append(root / "memory" / relative / "memory.oom_control")
            caps += [root / "memory" / relative / name for name in _CAPS_1]
        elif not controllers:
            cpu.append(root / relative / "cpu.stat")
            memory += [root / relative / "memory.peak", root / relative / "memory.current"]
            events.append(root / relative / "memory.events")
            caps.append(root / relative / _CAP_2)
            shares.append(root / relative / _WEIGHT_2)
    if not cpu and not memory:
        return None
    return Group(cpu=tuple(cpu), memory=tuple(memory), events=tuple(events), caps=tuple(caps), shares=tuple(shares))


def weight_of(shares: int) -> int:
    """Version 2's weight (1 to 10,000) for version 1's shares (2 to 262,144), as container runtimes reckon it."""
    return 1 + (shares - 2) * 9_999 // 262_142


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """A group of our own around one candidate's tree; a folder per controller (version 1) or one (version 2)."""

    folders: tuple[Path, ...]
    group: Group

    @property
    def listings(self) -> tuple[str, ...]:
        """The files by which a process enters: it writes `0` to each."""
        return tuple(str(folder / "cgroup.procs") for folder in self.folders)

    def processes(self) -> tuple[int, ...]:
        """Who is in it now."""
        return tuple(int(pid) for pid in (_first((Path(self.listings[0]),)) or "").split())

    def remove(self) -> None:
        """Kills what is left and takes the folders away. Raises SandboxError where the kernel keeps them."""
        deadline = time.monotonic() + REMOVED_WITHIN_S
        for folder in self.folders:
            while folder.exists():
                for pid in self.processes():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                try:
                    folder.rmdir()
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise SandboxError(f"expected to remove {folder}, found: {error}") from error
                    time.sleep(0.002)


def make_group(limits: Limits, name: str, root: Path = Path("/sys/fs/cgroup")) -> ControlGroup | None:
    """A group with the limits' memory, processes and one CPU, or None where this user may make none."""
    try:
        return (
            _version_2(limits, root / name)
            if (root / "cgroup.controllers").exists()
            else _version_1(limits, root, name)
        )
    except OSError:
        return None


def sweep_groups(root: Path = Path("/sys/fs/cgroup")) -> None:
    """Removes the groups of orchestrators that are dead."""
    for folder in (*root.glob(f"{GROUP_PREFIX}*"), *root.glob(f"*/{GROUP_PREFIX}*")):
        maker = owner.read(folder.name.removeprefix(GROUP_PREFIX).rpartition(".")[0])
        if maker is not None and maker.is_dead():
            ControlGroup(folders=(folder,), group=Group(cpu=(), memory=(), events=())).remove()


def _version_1(limits: Limits, root: Path, name: str) -> ControlGroup:
    values = {
        "memory": dict.fromkeys(_CAPS_1, limits.memory_bytes),
        "pids": {"pids.max": limits.processes},
        "cpu": {"cpu.cfs_period_us": PERIOD_US, "cpu.cfs_quota_us": PERIOD_US},
        "cpuacct": {},
    }
    folders = tuple(root / controller / name for controller in values)
    try:
        for folder, files in zip(folders, values.values(), strict=True):
            folder.mkdir(exist_ok=True)  # cpu and cpuacct are often one hierarchy
            _write(folder, files)
    except OSError:
        _undo(folders)
        raise
    memory, _, _, cpuacct = folders
    group = Group(
        cpu=(cpuacct / "cpuacct.usage",),
        memory=(memory / "memory.max_usage_in_bytes",),
        events=(memory / "memory.oom_control",),
        caps=tuple(memory / name for name in _CAPS_1),
    )
    return ControlGroup(folders=folders, group=group)


def _version_2(limits: Limits, folder: Path) -> ControlGroup:
    files = {_CAP_2: limits.memory_bytes, "memory.swap.max": 0, "pids.max": limits.processes}
    try:
        folder.mkdir()
        _write(folder, {**files, "cpu.max": f"{PERIOD_US} {PERIOD_US}"})
    except OSError:
        _undo((folder,))
        raise
    memory = (folder / "memory.peak", folder / "memory.current")
    events, caps = (folder / "memory.events",), (folder / _CAP_2,)
    group = Group(cpu=(folder / "cpu.stat",), memory=memory, events=events, caps=caps)
    return ControlGroup(folders=(folder,), group=group)


def _write(folder: Path, files: Mapping[str, object]) -> None:
    """Sets what the kernel has; swap accounting may be switched off."""
    for name, value in files.items():
        optional = "memsw" in name or "swap" in name
        if not (optional and not (folder / name).exists()):
            (folder / name).write_text(str(value), encoding="ascii")


def _undo(folders: tuple[Path, ...]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


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
