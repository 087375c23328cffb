"""What a kernel may be written for, behind one Protocol. Building happens here, loading and calling in the harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from evolve.contracts import Fault, Sandbox, Tree
from search_spaces.kernel_gate import KernelFile
from search_spaces.kernel_spec import KernelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What the session that runs a kernel is given: sources beside the harness, and shared objects."""

    files: Tree
    binaries: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


class Backend(Protocol):
    """Turns a candidate's tree into what its session needs. How it is loaded and called is the harness's affair."""

    @property
    def name(self) -> str: ...
    @property
    def not_timed(self) -> str:
        """Why its kernels are only checked here; empty where they are timed."""
        ...

    def missing(self) -> str:
        """What the machine lacks to run such kernels, and what to do; empty where it has everything."""
        ...

    def build(self, tree: Tree, config: KernelFile, spec: KernelSpec, sandbox: Sandbox) -> Built | Fault:
        """Compiles, or only lays out. Raises SandboxError where the machine is at fault."""
        ...


def backends() -> dict[str, Backend]:
    """All of them by name, also those that this machine can't run."""
    from evaluations.kernels.backends.cpp import Cpp
    from evaluations.kernels.backends.python import Python
    from evaluations.kernels.backends.triton import triton

    plain = Python(name="torch", needs="torch")
    return {backend.name: backend for backend in (Cpp(), plain, Python(name="numba", needs="numba"), triton())}
