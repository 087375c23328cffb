"""Resources: processes, memory, disk, descriptors, output and time."""

from __future__ import annotations

from tests.attacks.scene import Attack

LOCAL = ("local",)


def _resources(
    name: str, tries: str, train: str, right: tuple[str, ...] = ("failed",), *, impatient: bool = False,
    lets_through: tuple[str, ...] = (), predict: str = "return np.zeros(len(queries['users']), np.float32)",
) -> Attack:  # fmt: skip
    return Attack(
        name=name, family="resources", tries=tries, train=train, predict=predict, right=right, impatient=impatient,
        lets_through=lets_through,
    )  # fmt: skip


FORKING = "while True:\n    if os.fork() == 0: time.sleep(60)"
DAEMON = """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 3, 13, 15)]
            time.sleep(60)
        os._exit(0)
time.sleep(.1)
"""

RESOURCES = (
    # --- processes
    _resources("fork-bomb", "fork without end", FORKING),
    _resources("fork-chain", "fork, and let each child fork", "while True:\n    os.fork()"),
    _resources("threads", "start ten thousand threads",
               "import threading\nfor _ in range(10_000): threading.Thread(target=time.sleep, args=(60,)).start()"),
    _resources("zombies", "leave children that nobody waits for",
               "for _ in range(25):\n    if os.fork() == 0: os._exit(0)\nreturn {}", ("scored", "failed")),
    _resources("daemon", "leave a process that survives it", DAEMON + "return {}", ("scored", "failed")),
    _resources("daemon-and-exit", "leave a daemon and exit with 0", DAEMON + "os._exit(0)"),
    _resources("orphans-spin", "leave processes that burn its cores",
               "for _ in range(8):\n    if os.fork() == 0:\n        while True: pass\nreturn {}", ("scored", "failed")),
    _resources("stop-itself", "stop without ending", "os.kill(os.getpid(), signal.SIGSTOP)", ("timed_out",),
               impatient=True),
    _resources("kill-itself", "end by a signal", "os.kill(os.getpid(), signal.SIGKILL)"),
    _resources("exit-zero", "end as if all were well", "os._exit(0)"),
    _resources("exit-in-predict", "end when it is asked", "return {}", predict="os._exit(0)"),
    _resources("segfault", "crash the interpreter", "ctypes.string_at(0)"),
    _resources("deep-recursion", "exhaust the stack",
               "sys.setrecursionlimit(10**9)\nf = lambda: f()\nf()"),
    _resources("ignores-signals", "ignore every signal and hang",
               "for s in set(range(1, 65)) - {9, 19, 32, 33}:\n    signal.signal(s, signal.SIG_IGN)\ntime.sleep(60)",
               ("timed_out",), impatient=True),
    # --- memory
    _resources("one-array", "take more memory than it may, at once", "x = np.ones(1 << 29)"),
    _resources("slow-growth", "take more memory than it may, little by little",
               "rows = []\nwhile True: rows.append(np.ones(1 << 18))"),
    _resources("many-small", "take memory in many processes",
               "for _ in range(12):\n    if os.fork() == 0:\n        x = np.ones(8 << 20); time.sleep(60)\ntime.sleep(60)",
               ("failed",)),
    _resources("anonymous-files", "take memory as files that have no name",
               "fds = []\nwhile True:\n    fds.append(os.memfd_create('x'))\n"
               "    for _ in range(7): os.write(fds[-1], b'x' * (1 << 20))"),
    _resources("shared-pages", "take memory in shared pages",
               "import mmap\nm = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1"),
    _resources("pipe-buffers", "take the kernel's memory for pipes",
               "import fcntl\nends = []\nwhile True:\n    r, w = os.pipe(); ends += [r, w]\n"
               "    fcntl.fcntl(w, 1031, 1 << 20); os.write(w, b'x' * (1 << 20))"),
    _resources("big-integer", "compute a number that fills memory", "x = 1 << (1 << 36)"),
    # --- disk and descriptors
    _resources("fill-scratch", "fill the scratch",
               "n = 0\nwhile True:\n    open(f'f{n}', 'wb').write(b'x' * (4 << 20)); n += 1"),
    _resources("fill-shm", "fill /dev/shm",
               "n = 0\nwhile True:\n    open(f'/dev/shm/f{n}', 'wb').write(b'x' * (4 << 20)); n += 1", lets_through=LOCAL),
    _resources("many-files", "use up the inodes",
               "for n in range(20_000): open(f'f{n}', 'w').close()\ntime.sleep(1)", ("failed", "timed_out", "scored")),
    _resources("deep-folders", "make folders without end",
               "for n in range(20_000):\n    os.mkdir('d'); os.chdir('d')\ntime.sleep(1)", ("failed", "timed_out", "scored")),
    _resources("sparse-file", "make a file of a terabyte", "os.truncate(os.open('f', 65 | os.O_CREAT, 0o600), 1 << 40)"),
    _resources("unlinked-file", "write to a file that has no name any more",
               "f = open('f', 'wb'); os.unlink('f')\nwhile True: f.write(b'x' * 65536)"),
    _resources("descriptors", "open every file it can", "f = [open('/dev/null') for _ in range(100_000)]"),
    # --- output and time
    _resources("flood-stdout", "print without end", "while True: print('x' * 99_999)"),
    _resources("flood-stderr", "print errors without end", "while True: os.write(2, b'x' * 65_536)"),
    _resources("flood-answers", "write to every stream without end",
               "while True:\n    for n in range(3, 32):\n        try: os.write(n, b'x' * 65_536)\n        except OSError: pass",
               ("failed", "timed_out")),
    _resources("sleep", "never answer", "time.sleep(600)", ("timed_out",), impatient=True),
    _resources("spin", "never answer and burn a core", "while True: pass", ("timed_out",), impatient=True),
    _resources("spin-in-c", "hold the interpreter's lock without end", "'a' * 30 in ('b' * (1 << 20)) * (1 << 20)",
               ("timed_out", "failed"), impatient=True),
    _resources("regex", "loop in a regular expression", "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
               ("timed_out",), impatient=True),
    _resources("sleep-in-predict", "take for ever when asked", "return {}", ("timed_out",), impatient=True,
               predict="time.sleep(600)"),
    _resources("catch-everything", "survive every exception and interrupt",
               "while True:\n    try:\n        while True: time.sleep(1)\n    except BaseException: pass",
               ("timed_out",), impatient=True),
)  # fmt: skip
