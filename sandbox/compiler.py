"""Cargo: the harness of a session that compiles. The candidate is text here: nothing of it is run, only read by g++.

Knows no sandbox and no label. What it answers is whatever a hostile source made of a compiler: bytes, for a sandbox.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

LONGEST_REPORT = 6000


class Compiler:
    """Runs one command, given in the config by whoever judges, beside the sources."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def build(self) -> bytes:
        """The file that was built. Raises RuntimeError with the end of what the compiler said."""
        built = Path("built").resolve()
        command = [*self.command, "-o", str(built)]
        ended = subprocess.run(command, cwd="job", stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if ended.returncode:
            said = ended.stderr.decode("utf-8", errors="replace")
            raise RuntimeError(f"the compiler ended with {ended.returncode}: {said[-LONGEST_REPORT:]}")
        return built.read_bytes()


def start(data: Path, config: dict[str, Any]) -> Compiler:
    """See `worker.begin`."""
    return Compiler(config["command"])
