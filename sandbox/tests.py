"""A user's tests beside a candidate, in a sandbox. What they say is the candidate's word: it shares their process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from evolve.contracts import Fault, Job, Limits, Sandbox, Tree
from sandbox.inside import CARGO

LIMITS = Limits(memory_bytes=2 << 30, cpu_s=300, processes=64)
LIMIT_S = 300.0
PASSED = b"passed"


def run_tests(
    sandbox: Sandbox, files: Tree, command: Sequence[str], *, limits: Limits = LIMITS, limit_s: float = LIMIT_S
) -> str | None:
    """None where the command ends with 0 in a folder that holds `files`; else what it said. Raises SandboxError."""
    harness = (CARGO / "tester.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="evolve-tests.") as empty:
        Path(empty).chmod(0o755)
        staged = {f"repository/{name}": text for name, text in files.items()}
        job = Job(
            files={**staged, "harness.py": harness}, data=Path(empty), config={"command": list(command)}, limits=limits
        )
        with sandbox.open(job) as session:
            said = session.build(limit_s)
    if isinstance(said, Fault):
        return f"{said.reason}\n{said.detail}".strip()
    return None if said == PASSED else said.decode(errors="replace")
