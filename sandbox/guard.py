"""Cargo: runs one command as a tree that cannot outlive its leash. Knows nothing of candidates or frames.

Started as `python -s -S -P -B guard.py ORDERS -- COMMAND...` (ORDERS is JSON: `memory_bytes`, `cpu_s`, `processes`,
`file_bytes`, `open_files`, `scratch_bytes`, `scratch_files`, `folder`, `groups`, `leash`, `report`). It is the
subreaper of all that descends from the command, so a process that leaves its session and group still falls to it.
The leash is a pipe whose other end only the host holds: when the host lets go or is killed, the tree is killed and
the folder removed. While the command runs, memory, processes and the folder's size are watched; `groups` are lists
of control groups that the command enters first. At the end it writes one line of JSON to `report`: why it ended, the
command's exit code, the tree's peak memory and CPU seconds.
"""

# ruff: noqa: PTH110, PTH123, PTH208, S606
from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
WATCH_EVERY_S = 0.1
KILL_WITHIN_S = 10.0
ADDRESS_MARGIN = 1 << 30  # private mappings that are reserved but never touched


def set_limits(orders: dict[str, Any]) -> None:
    """Limits of each process; the tree's own limits are watched."""
    cpu_s = int(orders["cpu_s"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in (
        (resource.RLIMIT_FSIZE, orders["file_bytes"]),
        (resource.RLIMIT_NOFILE, orders["open_files"]),
        (resource.RLIMIT_DATA, orders["memory_bytes"] + ADDRESS_MARGIN),
    ):
        hard = resource.getrlimit(name)[1]
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (lowest, lowest))


def start(command: list[str], orders: dict[str, Any], libc: Any) -> int:
    """Forks and executes the command in a session of its own, bound to die with this process."""
    guard = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(127)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        for listing in orders["groups"]:
            with open(listing, "w") as group:
                group.write("0")
        set_limits(orders)
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error}\n".encode())
    os._exit(127)


def descendants(root: int) -> list[int]:
    """Every live process below `root`. A moment's picture: ask again until nothing is left."""
    found: list[int] = []
    queue = [root]
    while queue:
        for child in children_of(queue.pop()):
            found.append(child)
            queue.append(child)
    return found


def children_of(pid: int) -> list[int]:
    """The children of all threads of a process; none where it is gone."""
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as listing:
                children += map(int, listing.read().split())
    except OSError:
        return children
    return children


def memory_of(pid: int) -> int:
    """Bytes of anonymous and shared memory of one process; 0 where it is gone."""
    total = 0
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith(("RssAnon:", "RssShmem:")):
                    total += int(line.split()[1]) << 10
    except OSError:
        return 0
    return total


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds of one process and of its children that were waited for; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def overflows(orders: dict[str, Any]) -> bool:
    """Whether the folder holds more than it may; stops counting as soon as it does."""
    size, files, queue = 0, 0, [orders["folder"]]
    while queue:
        try:
            entries = list(os.scandir(queue.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                files, size = files + 1, size + entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    queue.append(entry.path)
            except OSError:
                continue
        if size > orders["scratch_bytes"] or files > orders["scratch_files"]:
            return True
    return False


def remove(folder: str) -> None:
    """Removes a folder, though a candidate has made it too deep for a path or shut it against its owner."""
    for command in (["rm", "-rf", "--", folder], ["chmod", "-R", "u+rwX", "--", folder], ["rm", "-rf", "--", folder]):
        if os.path.exists(folder):
            nothing = [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
            os.waitpid(os.posix_spawnp(command[0], command, os.environ, file_actions=nothing), 0)


def reap() -> dict[int, int]:
    """Wait statuses of all children that have ended."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def kill_tree() -> dict[int, int]:
    """Kills until there is no child left; returns the wait statuses."""
    ended: dict[int, int] = {}
    deadline = time.monotonic() + KILL_WITHIN_S
    while time.monotonic() < deadline:
        victims = descendants(os.getpid())
        for pid in victims:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        ended.update(reap())
        if not victims:
            break
        time.sleep(0.001)
    return ended


def broken_limit(tree: list[int], memory: int, orders: dict[str, Any]) -> str:
    """The name of the limit that the tree has broken, or an empty string."""
    if len(tree) > orders["processes"]:
        return "processes"
    if memory > orders["memory_bytes"]:
        return "memory"
    return "scratch" if overflows(orders) else ""


def watch(child: int, orders: dict[str, Any], bell: int) -> dict[str, Any]:
    """Waits for the command's end, a slack leash or a broken limit; returns the report."""
    poll = select.poll()
    poll.register(orders["leash"], select.POLLIN)
    poll.register(bell, select.POLLIN)
    peak, spent = 0, {}
    while True:
        rung = {descriptor for descriptor, _ in poll.poll(WATCH_EVERY_S * 1000)}
        if bell in rung:
            os.read(bell, 4096)
        ended = reap()
        tree = descendants(os.getpid())
        spent.update({pid: seconds for pid in tree if (seconds := cpu_seconds_of(pid))})
        memory = sum(map(memory_of, tree))
        peak = max(peak, memory)
        why = "exited" if child in ended else "leash" if orders["leash"] in rung else broken_limit(tree, memory, orders)
        if why:
            ended.update(kill_tree())
            code = os.waitstatus_to_exitcode(ended.get(child, signal.SIGKILL))
            return {"why": why, "code": code, "peak_memory_bytes": peak, "cpu_s": sum(spent.values())}


def main() -> None:
    """Guards one command from its start to the removal of its folder."""
    orders = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bell, ringer = os.pipe()
    os.set_blocking(ringer, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(ringer, warn_on_full_buffer=False)
    for private in (orders["leash"], orders["report"]):
        os.set_inheritable(private, False)
    child = start(sys.argv[3:], orders, libc)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # only the tree may hold the streams: their end must mean its end
        os.dup2(nothing, stream)
    report = watch(child, orders, bell)
    remove(orders["folder"])
    os.write(orders["report"], json.dumps(report).encode())
    os._exit(0)  # nothing to tidy; the host is waiting


if __name__ == "__main__":
    main()
