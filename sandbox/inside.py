"""What a candidate is given inside any sandbox: the interpreter, the system's libraries, a short environment.

Knows no engine and no process.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from evolve.errors import SandboxError

CARGO = Path(__file__).resolve().parent
CARGO_FILES = ("worker.py", "frames.py", "lockdown.py")
PYTHON_FLAGS = ("-s", "-P", "-B", "-u")
NOBODY = 65534
SCRATCH_BYTES = 64 << 20
SCRATCH_FILES = 10_000


def interpreter() -> list[Path]:
    """Folders that the interpreter needs, without those that lie in another of them."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parents[1]}
    libraries = (Path("/usr/lib/x86_64-linux-gnu"), Path("/usr/lib/aarch64-linux-gnu"), Path("/usr/lib64"))
    wanted |= {path for path in libraries if path.is_dir()}
    return sorted(path for path in wanted if not wanted & set(path.parents))


def readable(*, tools: bool = False) -> dict[str, str]:
    """What every sandbox may read, target -> source: the interpreter, and with `tools` a C++ compiler.

    Raises:
        SandboxError: `tools`, and there is no compiler.
    """
    folders = interpreter()
    binds = {str(path): str(path) for path in folders}
    for path in _tool_chain() if tools else ():
        if not set(folders) & {path, *path.parents}:
            binds[str(path)] = str(path.resolve())
    return binds


def _tool_chain() -> list[Path]:
    """The driver, assembler and linker; the compiler proper; headers. Neither a shell nor any other program."""
    programs = [Path("/usr/bin") / name for name in ("g++", "as", "ld")]
    missing = [str(path) for path in programs if not path.exists()]
    if missing:
        raise SandboxError(f"expected a C++ compiler, found no {missing[0]}", hint="Debian: apt-get install g++")
    return [*programs, Path("/usr/lib/gcc"), Path("/usr/include")]


def environment(home: str) -> dict[str, str]:
    """All that a candidate sees of the environment; a fixed hash seed keeps its runs repeatable."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    plain = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    return {**plain, "HOME": home, "TMPDIR": home, **threads}


def require_readable(sources: Sequence[Path]) -> None:
    """Raises SandboxError where nobody (the user of a container) could not read one of the files or folders."""
    for source in sources:
        for path in (source, *(source.iterdir() if source.is_dir() else ())):
            needed = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
            mode = path.stat().st_mode
            if mode & needed != needed:
                raise SandboxError(
                    f"expected '{path}' to be readable by the sandbox's user, found mode {mode & 0o777:o}",
                    hint=f"chmod -R o+rX '{source}'",
                )
