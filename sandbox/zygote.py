"""Cargo: a trusted parent that has torch imported and forks a locked-in worker for each candidate.

Started as `python -s -P -B -u zygote.py OPTIONS` (OPTIONS is JSON: `warm_torch`, `user`) with a socket as
descriptor 0. Each message on it is one order (JSON: `limits`, `binds`, `groups`, `scratch_bytes`) and carries five
descriptors: requests, answers, noise, leash, report. For each order three processes are forked:

    keeper    in this namespace: kills the rest when its leash slackens, then reports how the worker ended
    init      process 1 of new process, mount, network, IPC and host-name namespaces, in a control group; root's
    worker    process 2: a root of its own, nobody's, no capabilities, behind seccomp

The parent never reads a byte of a candidate, and holds nothing that a candidate may not see. Needs root. Knows no
frames; what a worker does with its streams is `worker.converse`.
"""

import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

LONGEST_ORDER = 1 << 16
DESCRIPTORS = 5
NEW_NAMESPACES = 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
"""Mount, process, network, IPC and host name."""
MS_READ_ONLY, MS_NO_SUID, MS_NO_DEVICES, MS_NO_EXECUTE, MS_REMOUNT, MS_BIND, MS_RECURSIVE, MS_PRIVATE = (
    1, 2, 4, 8, 32, 4096, 16384, 1 << 18,
)  # fmt: skip
DETACH, PIVOT_ROOT = 2, 155
ROOT = "/tmp"
"""Where the new root is put together: whatever is mounted there is seen by the new namespace alone."""
DEVICES = ("null", "zero", "urandom", "random")


def check(result: int, what: str) -> None:
    """Raises OSError where a call to libc failed."""
    if result != 0:
        raise OSError(ctypes.get_errno(), f"the kernel refuses {what}")


def mount(libc: Any, source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2). Raises OSError."""
    words = [word.encode() for word in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), options.encode()), f"to mount {target}")


def build_root(libc: Any, binds: dict[str, str], scratch_bytes: int) -> None:
    """A root of read-only binds (target -> source), a fresh /proc and a small scratch, in place of the host's."""
    mount(libc, "none", "/", "", MS_RECURSIVE | MS_PRIVATE)
    # Opened first: what lies below the new root's place is hidden as soon as that is mounted.
    sources = {target: os.open(source, os.O_PATH) for target, source in binds.items()}
    mount(libc, "tmpfs", ROOT, "tmpfs", MS_NO_SUID | MS_NO_DEVICES, "mode=755,size=1m")
    # The scratch before what may lie below it: the interpreter itself may be in /tmp.
    os.mkdir(f"{ROOT}/tmp")
    small = f"mode=1777,size={scratch_bytes},nr_inodes=10k"
    mount(libc, "tmpfs", f"{ROOT}/tmp", "tmpfs", MS_NO_SUID | MS_NO_DEVICES | MS_NO_EXECUTE, small)
    for target, source in sources.items():
        inside = ROOT + target
        if os.path.isdir(f"/proc/self/fd/{source}"):
            os.makedirs(inside, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(inside), exist_ok=True)
            Path(inside).touch()
        mount(libc, f"/proc/self/fd/{source}", inside, "", MS_BIND | MS_RECURSIVE)
        os.close(source)
        mount(libc, "none", inside, "", MS_REMOUNT | MS_BIND | MS_READ_ONLY | MS_NO_SUID | MS_NO_DEVICES)
    for folder in ("proc", "dev", "old"):
        os.mkdir(f"{ROOT}/{folder}")
    for device in DEVICES:
        Path(f"{ROOT}/dev/{device}").touch()
        mount(libc, f"/dev/{device}", f"{ROOT}/dev/{device}", "", MS_BIND)
    mount(libc, "proc", f"{ROOT}/proc", "proc", MS_NO_SUID | MS_NO_DEVICES | MS_NO_EXECUTE)
    for link in ("bin", "lib", "lib64"):
        os.symlink(f"usr/{link}", f"{ROOT}/{link}")
    os.chdir(ROOT)
    check(libc.syscall(PIVOT_ROOT, b".", b"old"), "a new root")
    os.chdir("/")
    check(libc.umount2(b"/old", DETACH), "to leave the old root")
    os.rmdir("/old")
    mount(libc, "none", "/", "", MS_REMOUNT | MS_BIND | MS_READ_ONLY | MS_NO_SUID | MS_NO_DEVICES)
    os.chdir("/tmp")


def set_limits(limits: dict[str, int]) -> None:
    """Limits of each process; the control group holds those of the tree."""
    for name, soft, hard in (
        (resource.RLIMIT_CPU, limits["cpu_s"], limits["cpu_s"] + 1),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
    ):
        most = resource.getrlimit(name)[1]
        capped = hard if most == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(name, (min(soft, capped), capped))


class Zygote:
    """The parent. `modules` are worker, lockdown and frames, as they were imported from beside this file."""

    def __init__(self, options: dict[str, Any], modules: tuple[Any, Any, Any]) -> None:
        self.options = options
        self.worker, self.lockdown, self.frames = modules
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.versions = self.worker.warm_up(options["warm_torch"])

    def serve(self, control: socket.socket) -> None:
        """Forks a keeper for each order until the host is gone."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        control.send(b"ready")
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, LONGEST_ORDER, DESCRIPTORS)
            if not message:
                return
            if os.fork() == 0:
                control.close()
                self.keep(json.loads(message), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)

    def keep(self, order: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """The keeper: starts init, holds the leash, reports."""
        requests, answers, noise, leash, report = descriptors
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            check(self.libc.unshare(NEW_NAMESPACES), "new namespaces")
            init = os.fork()
            if init == 0:
                os.close(leash)
                os.close(report)
                self.init(order, (requests, answers, noise))
            for descriptor in (requests, answers, noise):
                os.close(descriptor)
            why = self.hold(init, leash)
            _, status = os.waitpid(init, 0)
            os.write(report, json.dumps({"why": why, "code": os.waitstatus_to_exitcode(status)}).encode())
        except OSError as error:
            os.write(report, json.dumps({"why": "broken", "detail": str(error)}).encode())
        finally:
            os._exit(0)

    def hold(self, init: int, leash: int) -> str:
        """Waits for init's end or a slack leash, and then kills: with process 1 its whole namespace goes."""
        process = os.pidfd_open(init)
        watch = select.poll()
        watch.register(process, select.POLLIN)
        watch.register(leash, select.POLLIN)
        ready = {descriptor for descriptor, _ in watch.poll()}
        if process in ready:
            return "exited"
        os.kill(init, signal.SIGKILL)
        return "leash"

    def init(self, order: dict[str, Any], streams: tuple[int, int, int]) -> NoReturn:
        """Process 1: enters the group, starts the worker, waits for it, and takes everything down with itself."""
        code = 127
        try:
            for listing in order["groups"]:
                with open(listing, "w") as group:
                    group.write("0")
            for standard, stream in enumerate(streams):
                os.dup2(stream, standard)
            os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            build_root(self.libc, order["binds"], order["scratch_bytes"])
            worker = os.fork()
            if worker == 0:
                self.work(order)
            nothing = os.open("/dev/null", os.O_RDWR)
            for standard in (0, 1, 2):  # the end of the worker's streams must mean its end
                os.dup2(nothing, standard)
            while True:
                ended, status = os.wait()
                if ended == worker:
                    ending = os.waitstatus_to_exitcode(status)
                    code = ending if ending >= 0 else 128 - ending
                    break
        except BaseException:  # the boundary of a process
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def work(self, order: dict[str, Any]) -> NoReturn:
        """Process 2: locks itself in, says ready, and only now may read a candidate."""
        code = 1
        try:
            set_limits(order["limits"])
            streams = self.worker.Streams(self.frames)
            how = {"user": self.options["user"], "seccomp": "alone"}
            held = self.worker.lock(how, self.lockdown)
            ready = self.frames.pack_json({**self.versions, "lock": held})
            streams.write(self.frames.READY, 0, [ready])
            self.worker.converse(streams, self.frames, self.worker.sealer(how, self.lockdown))
            code = 0
        except BaseException:  # the boundary of a process: a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)


def main() -> None:
    """Warms up, then serves."""
    options = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import worker

    sys.path.pop(0)
    del sys.modules["worker"]
    modules = worker, worker.import_beside("lockdown"), worker.import_beside("frames")
    Zygote(options, modules).serve(control)


if __name__ == "__main__":
    main()
