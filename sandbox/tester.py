"""Cargo: the harness of a session that runs a user's tests beside a candidate. Knows no sandbox and no label."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

LONGEST_REPORT = 6000
PASSED = b"passed"


class Tester:
    """Runs one command, given in the config by the user, in the repository's folder."""

    def __init__(self, command: list[str]) -> None:
        self.command = command

    def build(self) -> bytes:
        """`passed`, or the end of what the tests said after `failed`."""
        command = [sys.executable if word in {"python", "python3"} else word for word in self.command]
        folder = Path("job", "repository").resolve()
        variables = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder)}
        ended = subprocess.run(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        if not ended.returncode:
            return PASSED
        return f"exit code {ended.returncode}\n".encode() + ended.stdout[-LONGEST_REPORT:]


def start(data: Path, config: dict[str, Any]) -> Tester:
    """See `worker.begin`."""
    return Tester(config["command"])
