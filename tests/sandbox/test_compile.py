"""The kernel profile: C++ is compiled in one sandbox and loaded in another; a hostile source gets nothing out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox_cases import runner

from evolve.contracts import Fault, FaultKind, Job, Sandbox
from evolve.errors import SandboxError
from sandbox.compile import LIMITS, compile_shared_object

SOURCE = '#include <cmath>\n#include "twice.h"\nextern "C" double f(double x) { return twice(std::sqrt(x)); }\n'
HEADER = "#pragma once\ninline double twice(double x) { return 2 * x; }\n"
LOAD = """
import ctypes
f = ctypes.CDLL(self.config["binaries"]["kernel"]).f
f.restype, f.argtypes = ctypes.c_double, [ctypes.c_double]
return {"f": f(9.0)}
"""
SECRET = "canary-5e2c19"

HOSTILE = {
    "includes a file of the host's": '#include "$secret"',
    "embeds a file of the host's": 'asm(".incbin \\"$secret\\"");',
    "embeds a file of the host's by a macro of the assembler": 'asm(".include \\"$secret\\"");',
    "includes the host's passwords": '#include "/etc/shadow"',
    "embeds its environment": 'asm(".incbin \\"/proc/self/environ\\""); int x;',
    "embeds its parent's environment": 'asm(".incbin \\"/proc/1/environ\\""); int x;',
    "compiles without end": "#if __INCLUDE_LEVEL__ < 100\n#include __FILE__\n#include __FILE__\n#endif",
    "reads a device without end": '#include "/dev/zero"',
    "writes more than a file may hold": "char x[1ul << 30] = {1};",
    "writes more than a frame may hold": "char x[20 << 20] = {1};",
    "takes all memory": "#define A B B B B B B B B\n"
    + "".join(f"#define {a} {' '.join([b] * 8)}\n" for a, b in zip("BCDEFGHI", "CDEFGHIJ", strict=True))
    + '#define J "x"\nconst char *text = A;',
    "does not compile": "int f( {",
}


@pytest.fixture(autouse=True)
def _compiler() -> None:
    """Skips where the machine has none; in CI that is a failure."""
    if shutil.which("g++", path="/usr/bin") is None:
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)("no /usr/bin/g++")


@pytest.fixture
def secret() -> Iterator[Path]:
    """A file that everybody on this machine may read."""
    path = Path("/var/tmp") / f"evolve-secret-{os.getpid()}.h"
    path.write_text(f'const char *secret = "{SECRET}";\n')
    path.chmod(0o644)
    yield path
    path.unlink()


def loading(job: Callable[..., Job], binary: bytes, train: str = LOAD) -> Job:
    """A job whose candidate is given the shared object."""
    source = runner(train).replace("def __init__(self, *given): pass", "def __init__(self, d, c): self.config = c")
    return replace(job(source), binaries={"kernel": binary})


def test_what_one_sandbox_compiles_another_loads(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """The same bytes each time; the session that loads them has no compiler, and a scratch that is noexec."""
    files = {"kernel.cpp": SOURCE, "twice.h": HEADER}
    binary = compile_shared_object(sandbox, files, source="kernel.cpp")
    assert isinstance(binary, bytes), binary
    assert binary.startswith(b"\x7fELF")
    assert compile_shared_object(sandbox, files, source="kernel.cpp") == binary
    with sandbox.open(loading(job, binary)) as session:
        assert session.train(1, 20.0) == {"f": 6.0}


@pytest.mark.parametrize("way", HOSTILE)
def test_a_hostile_source_gets_nothing_out_of_the_compiler(
    sandbox: Sandbox, secret: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault, or a shared object without the secret; neither what the compiler says holds it."""
    if sandbox.name == "local":
        pytest.skip("local reads the host's files, and takes no code that a model wrote")
    monkeypatch.setenv("EVOLVE_SECRET", SECRET)
    source = HOSTILE[way].replace("$secret", str(secret))
    small = replace(LIMITS, memory_bytes=400 << 20, cpu_s=20)
    built = compile_shared_object(sandbox, {"k.cpp": source}, source="k.cpp", limits=small, limit_s=4.0)
    if isinstance(built, Fault):
        assert SECRET not in built.reason + built.detail
        assert "root:" not in built.detail
        assert built.kind is not FaultKind.CAUGHT
    else:
        assert "environment" in way
        assert SECRET.encode() not in built


def test_a_hostile_shared_object_is_the_candidate_s_own_affair(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """What runs when it is loaded ends the session that loaded it, and nothing else."""
    source = "#include <unistd.h>\n__attribute__((constructor)) void at_once() { _exit(7); }"
    binary = compile_shared_object(sandbox, {"k.cpp": source}, source="k.cpp")
    assert isinstance(binary, bytes), binary
    with sandbox.open(loading(job, binary)) as session:
        fault = session.train(1, 20.0)
    assert isinstance(fault, Fault)
    assert fault.reason == "exited with code 7 in train"


def test_a_sealed_file_cannot_be_changed(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """What the judge passed on is what is loaded, also after a candidate has tried to write to it."""
    write = "os.write(os.open(self.config['binaries']['kernel'], os.O_RDWR), b'x')"
    attempt = f"try:\n    {write}\nexcept OSError:\n    return {{'no': 1}}"
    with sandbox.open(loading(job, b"\x7fELF", attempt + "\nreturn {}")) as session:
        assert session.train(1, 20.0) == {"no": 1.0}


def test_an_ordinary_session_has_no_compiler(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """But in `local`."""
    look = "return {'found': os.path.exists('/usr/bin/g++') + os.access('/usr/include/stdio.h', os.R_OK)}"
    with sandbox.open(job(runner(look))) as session:
        seen = session.train(1, 20.0)
    assert not isinstance(seen, Fault)
    assert sandbox.name in ("local", "landlock") or seen["found"] == 0


def test_a_machine_without_a_compiler_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a sandbox is started."""
    from sandbox.inside import readable

    monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(SandboxError, match="apt-get install"):
        readable(tools=True)
