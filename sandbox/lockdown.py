"""Cargo: takes rights away from the process that calls, for good and for all that descends from it.

Three locks that stack upon whatever stands around the process and can only take away: another user, Landlock
(which files may be touched) and seccomp (which system calls may be made). No root is needed for the last two.
Knows no frames and no candidates; x86-64 Linux. Every function raises OSError where the kernel refuses.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, SECCOMP_MODE_FILTER = 22, 38, 24, 2
LAST_CAPABILITY = 63
CAPSET, CAPABILITY_VERSION_3 = 126, 0x20080522

# System calls that an engine's default profile may let through, and that no trainer needs (x86-64).
DENIED_CALLS = {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_open": 434, "pidfd_getfd": 438,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "unshare": 272, "setns": 308,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "mknod": 133, "mknodat": 259, "bpf": 321,
    "perf_event_open": 298, "userfaultfd": 323, "add_key": 248, "request_key": 249, "keyctl": 250,
    "process_madvise": 440, "open_by_handle_at": 304, "kexec_load": 246, "init_module": 175, "finit_module": 313,
    "fsopen": 430, "fsmount": 432, "move_mount": 429, "open_tree": 428, "memfd_secret": 447,
}  # fmt: skip
# What reaches other processes or the host's files where no namespace stands between: refused altogether ...
REACHING_CALLS = {
    "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "pidfd_send_signal": 424, "setpriority": 141,
    "ioprio_set": 251, "migrate_pages": 256, "move_pages": 279, "kcmp": 312, "process_mrelease": 448,
    "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "mq_open": 240, "socket": 41, "connect": 42,
    # Landlock knows nothing of a file's owner, rights, times and attributes.
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "chown": 92, "fchown": 93, "lchown": 94,
    "fchownat": 260, "utime": 132, "utimes": 235, "utimensat": 280, "futimesat": 261, "setxattr": 188,
    "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    "setxattrat": 463, "removexattrat": 466, "file_setattr": 469, "truncate": 76,
}  # fmt: skip
# ... or unless the first argument is this process itself (0, or its own number for signals).
OWN_ONLY_CALLS = {
    "kill": 62, "tgkill": 234, "prlimit64": 302, "sched_setaffinity": 203, "sched_setscheduler": 144,
    "sched_setparam": 142, "sched_setattr": 314,
}  # fmt: skip
SOCKET_CALL, UNIX_FAMILY, CLONE_CALL, NEW_USER_NAMESPACE = 41, 1, 56, 0x10000000
CLONE3_CALL, MEMFD_CREATE_CALL, NO_SUCH_CALL = 435, 319, 38

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
_NET_RIGHTS, _SCOPES = 3, 3


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _require(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"the kernel refuses {what}")
    return result


def forbid_new_rights() -> None:
    """No program that is executed may gain rights (set-user-id files, file capabilities)."""
    _require(_libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "to forbid new rights")


def drop_capabilities() -> None:
    """Gives every capability away, the bounding set included; does nothing for a process that has none."""
    libc = _libc()
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("<II", CAPABILITY_VERSION_3, 0)
    _require(libc.syscall(CAPSET, header, bytes(24)), "to drop capabilities")


def become(user: int) -> None:
    """Turns into a user without groups; needs root, and leaves no way back."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


# --- seccomp ---------------------------------------------------------------------------------


def install_seccomp_filter(*, alone: bool) -> str:
    """Denies the calls above and every socket but AF_UNIX; returns the first digits of both filters' sha256.

    `alone` says that process, IPC and network namespaces stand around this process; where they do not, what
    reaches other processes or any socket is denied as well.
    """
    forbid_new_rights()
    _install(_filter_program(alone, os.getpid()))
    return hashlib.sha256(_filter_program(alone, own=0) + _memory_program()).hexdigest()[:12]


def forbid_files_in_memory() -> None:
    """From now on no file can be made that the scratch's noexec does not reach; stacks upon the filter above."""
    _install(_memory_program())


def _install(code: bytes) -> None:
    text = ctypes.create_string_buffer(code)

    class Program(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]

    program = Program(len(code) // 8, ctypes.addressof(text))
    _require(_libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "a seccomp filter")


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _memory_program() -> bytes:
    """Refuses one call; other architectures' numbers were ended by the first filter."""
    load, equal, give, refuse, allow = 0x20, 0x15, 0x06, 0x00050001, 0x7FFF0000
    return _step(load, 0) + _step(equal, MEMFD_CREATE_CALL, 0, 1) + _step(give, refuse) + _step(give, allow)


def _filter_program(alone: bool, own: int) -> bytes:
    """Classic BPF over seccomp_data: call number at 0, architecture at 4, first argument at 16."""
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    refuse, allow, kill, unknown, step = 0x00050001, 0x7FFF0000, 0x80000000, 0x00050000 | NO_SUCH_CALL, _step
    steps = [step(load, 4), step(equal, 0xC000003E, 1, 0), step(give, kill)]
    steps += [step(load, 0), step(at_least, 0x40000000, 0, 1), step(give, refuse)]  # no x32 calls
    denied = set(DENIED_CALLS.values()) | (set() if alone else set(REACHING_CALLS.values()))
    for number in sorted(denied):
        steps += [step(equal, number, 0, 1), step(give, refuse)]
    # clone3 hides its flags from a filter: libraries fall back to clone, whose new user namespaces are refused.
    steps += [step(equal, CLONE3_CALL, 0, 1), step(give, unknown)]
    steps += [step(equal, CLONE_CALL, 0, 4), step(load, 16), step(any_bit, NEW_USER_NAMESPACE, 0, 1)]
    steps += [step(give, refuse), step(give, allow)]
    for number in () if alone else sorted(OWN_ONLY_CALLS.values()):
        steps += [step(equal, number, 0, 5), step(load, 16), step(equal, own, 1, 0)]
        steps += [step(equal, 0, 0, 1), step(give, allow), step(give, refuse)]
    steps += [step(equal, SOCKET_CALL, 0, 3), step(load, 16), step(equal, UNIX_FAMILY, 1, 0), step(give, refuse)]
    return b"".join([*steps, step(give, allow)])


# --- Landlock --------------------------------------------------------------------------------


def landlock_abi() -> int:
    """The version that the kernel speaks; 0 where it has none."""
    return max(0, int(_libc().syscall(LANDLOCK_CREATE, None, 0, 1)))


def install_landlock(*, read: Sequence[str], write: Sequence[str], devices: Sequence[str] = ("/dev/null",)) -> None:
    """From now on only these folders can be touched: `read` for reading and executing, `write` for everything but
    executing; of devices only those. TCP, other processes' signals and abstract sockets too, where the kernel can
    (Landlock 4 and 6)."""
    abi = landlock_abi()
    if not abi:
        raise OSError(95, "the kernel has no Landlock")
    every = _RIGHTS_BY_ABI[max(version for version in _RIGHTS_BY_ABI if version <= abi)]
    attributes = struct.pack("<QQQ", every, _NET_RIGHTS, _SCOPES)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    libc = _libc()
    rules = _require(libc.syscall(LANDLOCK_CREATE, attributes, len(attributes), 0), "a Landlock ruleset")
    try:
        for path in read:
            _allow(libc, rules, path, every & (EXECUTE | READ_FILE | READ_DIR))
        for path in write:
            _allow(libc, rules, path, every & ~EXECUTE)
        for path in devices:
            _allow(libc, rules, path, every & (READ_FILE | WRITE_FILE))
        forbid_new_rights()
        _require(libc.syscall(LANDLOCK_RESTRICT, rules, 0), "Landlock")
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not Path(path).is_dir():
            rights &= _FILE_RIGHTS
        _require(libc.syscall(LANDLOCK_ADD, rules, 1, struct.pack("<Qi", rights, beneath), 0), f"a rule for {path}")
    finally:
        os.close(beneath)
