"""Small broken and hostile candidates, each with the Fault that it must become."""

from __future__ import annotations

import textwrap

from evolve.contracts import FaultKind


def runner(train: str = "return {}", predict: str = "return np.zeros((2, 4), np.float32)", top: str = "") -> str:
    """A candidate's source from the bodies of its two methods."""
    head = f"import os, sys, time\nimport numpy as np\n{top}\n\nclass Runner:\n    def __init__(self, *given): pass\n"
    bodies = ("train(self, examples)", train), ("predict(self, queries)", predict)
    methods = (f"    def {name}:\n{textwrap.indent(textwrap.dedent(body), ' ' * 8)}\n" for name, body in bodies)
    return head + "".join(methods)


BROKEN: dict[str, tuple[str, FaultKind, str]] = {
    "hangs in training": (runner("time.sleep(60)"), FaultKind.TIMED_OUT, "train timed out after 1 s"),
    "spins in training": (runner("while True: pass"), FaultKind.TIMED_OUT, "train timed out after 1 s"),
    "hangs in prediction": (runner(predict="time.sleep(60)"), FaultKind.TIMED_OUT, "predict timed out after 1 s"),
    "ignores signals": (
        runner("import signal\nfor s in {*range(1, 32)} - {9, 19}: signal.signal(s, 1)\ntime.sleep(60)"),
        FaultKind.TIMED_OUT,
        "train timed out",
    ),
    "exits with 0": (runner("os._exit(0)"), FaultKind.EXITED, "exited with code 0 in train"),
    "exits in prediction": (runner(predict="os._exit(3)"), FaultKind.EXITED, "exited with code 3 in predict"),
    "kills itself": (runner("os.kill(os.getpid(), 9)"), FaultKind.EXITED, "killed by SIGKILL in train"),
    "crashes": (runner("import ctypes; ctypes.string_at(0)"), FaultKind.EXITED, "killed by SIGSEGV in train"),
    "raises": (runner("raise ValueError('no such gate')"), FaultKind.RAISED, "raised ValueError: no such gate"),
    "leaves by sys.exit": (runner("sys.exit(0)"), FaultKind.RAISED, "raised SystemExit"),
    "raises what cannot be shown": (
        runner("raise Odd()", top="class Odd(Exception):\n    def __str__(self): raise ValueError"),
        FaultKind.RAISED,
        "raised candidate.Odd",
    ),
    "does not compile": ("def broken(:\n", FaultKind.RAISED, "raised SyntaxError"),
    "fails at import": ("import no_such_package\n", FaultKind.RAISED, "raised ModuleNotFoundError"),
    "claims NaN": (runner("return {'loss': float('nan')}"), FaultKind.PROTOCOL, "finite number for observable 'loss'"),
    "claims text": (runner("return {'loss': 'low'}"), FaultKind.RAISED, "raised ValueError"),
    "claims too much": (runner("return {str(i): i for i in range(9999)}"), FaultKind.PROTOCOL, "frame too long"),
    "answers NaN": (runner(predict="return np.full((2, 4), np.nan, np.float32)"), FaultKind.PROTOCOL, "8 of 8"),
    "answers infinity": (
        runner(predict="x = np.zeros((2, 4), np.float32); x[0, 0] = np.inf; return x"),
        FaultKind.PROTOCOL,
        "non-finite answers: 1 of 8",
    ),
    "answers another shape": (
        runner(predict="return np.zeros((2, 5), np.float32)"),
        FaultKind.PROTOCOL,
        "wrong shape: expected (2, 4) float32, found (2, 5) float32",
    ),
    "answers another dtype": (runner(predict="return np.zeros((2, 4))"), FaultKind.PROTOCOL, "found (2, 4) float64"),
    "answers text": (runner(predict="return [['a'] * 4] * 2"), FaultKind.RAISED, "expected a numeric array"),
    "answers nothing": (runner(predict="return None"), FaultKind.RAISED, "expected a numeric array"),
    "answers gigabytes": (
        runner(predict="return np.zeros((1 << 20, 16), np.float32)"),
        FaultKind.PROTOCOL,
        "frame too long",
    ),
    "prints gigabytes": (runner("while True: print('x' * 99_999)"), FaultKind.PROTOCOL, "printed more than 64 MiB"),
    "prints gigabytes to stderr": (
        runner("while True: os.write(2, b'x' * 65536)"),
        FaultKind.PROTOCOL,
        "printed more than 64 MiB",
    ),
    "writes big files": (
        runner("f = open('big', 'wb')\nwhile True: f.write(b'x' * 65536)"),
        FaultKind.RAISED,
        "raised OSError",
    ),
    "opens many files": (runner("f = [open('/dev/null') for _ in range(999)]"), FaultKind.RAISED, "raised OSError"),
}


GREEDY = {
    "one process": "rows = []\nwhile True: rows.append(np.ones(1 << 20))",
    "one array": "x = np.ones(1 << 31)",
    "many processes": (
        "for _ in range(6):\n    if os.fork() == 0: x = np.ones(12 << 20); time.sleep(60)\ntime.sleep(60)"
    ),
}


def daemon(mark: str) -> str:
    """Starts a process that leaves its session, ignores signals and holds every descriptor it can."""
    return f"""
import signal
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]
            os.execv(sys.executable, [sys.executable, '-S', '-c', 'import time; time.sleep(100)', '{mark}'])
        os._exit(0)
time.sleep(.2)
"""


FORGED = {
    "ahead": "forge(b't', 0)\nforge(b'A', 0)\nreturn {}",
    "ahead and exits": "forge(b't', 0)\nforge(b'A', 0)\nos._exit(0)",
    "another tag": "forge(b'R', ticket())\ntime.sleep(60)",
    "endless length": "blast(struct.pack('<cIQ', b't', 0xFFFFFFFF, ticket()))\ntime.sleep(60)",
    "garbage": "blast(os.urandom(4096))\ntime.sleep(60)",
    "half a frame": "blast(struct.pack('<cIQ', b't', 100, ticket()) + b'{')\nos._exit(0)",
    "broken JSON": "forge(b't', ticket(), b'[' * 9000)\ntime.sleep(60)",
    "two answers": "forge(b't', ticket(), b'{}')\nreturn {}",
}
FORGERY = """
import gc, struct

def ticket():
    frame = sys._getframe()
    while 'ticket' not in frame.f_locals or not isinstance(frame.f_locals['ticket'], int):
        frame = frame.f_back
    return frame.f_locals['ticket']

def blast(content):
    for descriptor in range(1, 64):
        try:
            os.write(descriptor, content)
        except OSError:
            pass

def forge(tag, ticket, payload=b'{}'):
    blast(struct.pack('<cIQ', tag, len(payload), ticket) + payload)
"""
