"""A candidate's C++ becomes a shared object in a sandbox of its own; what comes out is bytes, never loaded out here.

Compiling reads whatever a source names (`#include`, `.incbin`), so it runs where nothing is worth reading: a session
with the tool chain bound read-only and no data. The judge passes the bytes on to the session that runs the candidate
(`Job.binaries`), where they are loaded from a sealed file in memory: its scratch lets nothing be executed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from evolve.contracts import Fault, Job, Limits, Sandbox, Tree
from sandbox.inside import CARGO

COMMAND = ("g++", "-std=c++17", "-O2", "-shared", "-fPIC", "-fmax-errors=20", "-fdiagnostics-color=never")
LIMITS = Limits(memory_bytes=1 << 30, cpu_s=60, processes=16, file_bytes=32 << 20, open_files=256)


def compile_shared_object(
    sandbox: Sandbox,
    files: Tree,
    *,
    source: str,
    flags: tuple[str, ...] = (),
    limits: Limits = LIMITS,
    limit_s: float = 60.0,
    canaries: tuple[bytes, ...] = (),
) -> bytes | Fault:
    """The shared object that g++ makes of `source`, one of `files`; at most `frames.LONGEST_BUILT` bytes.

    Args:
        sandbox: where it is compiled.
        files: the candidate's sources; they may include each other.
        source: the one that is compiled.
        flags: more of the compiler's options, chosen by the judge and never by a candidate.
        limits: of the session.
        limit_s: wall seconds until it must be built.
        canaries: see `Job.canaries`.

    Raises:
        SandboxError: the machine has no tool chain, or the sandbox breaks.
    """
    harness = (CARGO / "compiler.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="evolve-compile.") as empty:
        Path(empty).chmod(0o755)
        job = Job(
            files={**files, "harness.py": harness},
            data=Path(empty),
            config={"command": [*COMMAND, *flags, source]},
            limits=limits,
            canaries=canaries,
            tools=True,
        )
        with sandbox.open(job) as session:
            return session.build(limit_s)
