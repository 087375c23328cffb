"""Reads a kernel candidate's tree and refuses what can't be meant well before anything runs. No wall: see `gate`.

Knows `kernel.toml`, the includes of C++ and the imports of Python; never compiles or runs the candidate.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from evolve.contracts import Tree
from search_spaces.gate import python_fault
from search_spaces.kernel_spec import BACKENDS, FLAGS, Backend

CONFIG = "kernel.toml"
PATHS = (CONFIG, "kernel.cpp", "kernel.py")
FILE_BYTES = 64 << 10
INCLUDES = frozenset(
    ("kernel.h", "cmath", "cstdint", "cstddef", "cstring", "algorithm", "limits", "numeric", "utility", "array")
) | {"vector", "immintrin.h", "omp.h", "math.h", "stdint.h", "string.h", "type_traits", "memory", "functional"}
HIDDEN = re.compile(r"\?\?=|%:|\\\s*\n")
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(include|include_next|import|embed)\b(.*)$", re.MULTILINE)
FORBIDDEN_CPP = re.compile(
    r"\b(asm|__asm|__asm__|constructor|destructor|ifunc|dlopen|dlsym|system|popen|fork|execve?|syscall|mmap|mprotect"
    r"|ptrace|pthread_create|signal|sigaction|setjmp|longjmp|atexit|_exit|getenv|fopen|clock_gettime|rdtsc|__rdtsc"
    r"|thread_local|Py[A-Z]\w+)\b"
)


class KernelFile(BaseModel):
    """The keys of `kernel.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: Backend
    flags: tuple[str, ...] = ()
    tunables: Mapping[str, int | str] = {}

    @field_validator("flags")
    @classmethod
    def _known(cls, flags: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [flag for flag in flags if flag not in FLAGS]:
            raise ValueError(f"flag {unknown[0]!r} may not be used; allowed: {' '.join(FLAGS)}")
        return flags

    @field_validator("tunables", mode="before")
    @classmethod
    def _plain(cls, tunables: Mapping[str, Any]) -> Mapping[str, Any]:
        for name, value in tunables.items():
            if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,40}", name):
                raise ValueError(f"tunable {name!r} must be written in capitals")
            number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31
            if not number and not (isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w{0,40}", value)):
                raise ValueError(f"tunable {name} must be a whole number or a word")
        return tunables


def read_config(tree: Tree) -> KernelFile:
    """What `kernel.toml` says. Raises ValueError with the reason."""
    try:
        return KernelFile.model_validate(tomllib.loads(tree[CONFIG]))
    except KeyError as error:
        raise ValueError(f"{CONFIG} is missing") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{CONFIG} is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{CONFIG}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def check(tree: Tree) -> str | None:
    """Why the gate refuses the tree, or None."""
    for path, text in tree.items():
        if path not in PATHS:
            return f"{path} is new; only these files may be there: {', '.join(PATHS)}"
        if len(text.encode()) > FILE_BYTES:
            return f"{path} is longer than {FILE_BYTES} bytes"
    try:
        config = read_config(tree)
    except ValueError as error:
        return str(error)
    source = BACKENDS[config.backend]
    if source not in tree:
        return f"{source} is missing, which the backend {config.backend} needs"
    if source == "kernel.cpp":
        return _cpp_fault(tree[source])
    fault = python_fault(tree[source], frozenset({"kernel_tunables", config.backend}))
    return f"{source}{fault}" if fault else None


def _cpp_fault(text: str) -> str | None:
    if HIDDEN.search(text):
        return "kernel.cpp: lines joined by a backslash, digraphs and trigraphs may not be used"
    for found in DIRECTIVE.finditer(text):
        name = re.fullmatch(r'\s*["<]([\w./]+)[">]\s*(//.*)?', found[2])
        if name is None or name[1] not in INCLUDES:
            return f"kernel.cpp: `{found[0].strip()[:80]}` may not be used; allowed: {', '.join(sorted(INCLUDES))}"
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    if found := FORBIDDEN_CPP.search(code):
        return f"kernel.cpp: `{found[0]}` may not be used"
    return None
