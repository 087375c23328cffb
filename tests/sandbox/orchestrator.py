"""A program to be killed: opens a session whose candidate starts a daemon and works without end."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from evolve.contracts import Job, Limits
from sandbox.choose import choose

SOURCE = """
import os, sys
class Runner:
    def train(self, examples):
        if os.fork() == 0:
            os.setsid()
            os.execv(sys.executable, [sys.executable, '-S', '-c', 'import time; time.sleep(100)', '{mark}'])
        while True: pass
"""


def main() -> None:
    name, data, mark = sys.argv[1:]
    files = {
        "harness.py": "import candidate\ndef start(data, config): return candidate.Runner()",
        "candidate.py": SOURCE.format(mark="{mark}").replace("{mark}", mark),
    }
    job = Job(files=files, data=Path(data), config={}, limits=Limits(memory_bytes=1 << 29))
    with choose(name, warm_torch=False).open(job) as session:
        print("open", flush=True)
        session.train(1, 100.0)


main()
