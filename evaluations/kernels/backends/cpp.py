"""C++ by g++, compiled in a sandbox of its own into a shared object that the kernel's session loads from memory."""

from __future__ import annotations

import shutil

from evaluations.kernels.backends import Built
from evolve.contracts import Fault, Sandbox, Tree
from sandbox.compile import compile_shared_object
from search_spaces.kernel_gate import KernelFile
from search_spaces.kernel_spec import KernelSpec


class Cpp:
    """See `Backend`."""

    name = "cpp"
    not_timed = ""

    def missing(self) -> str:
        """g++, where there is none."""
        return "" if shutil.which("g++", path="/usr/bin") else "no g++; Debian: apt-get install g++"

    def build(self, tree: Tree, config: KernelFile, spec: KernelSpec, sandbox: Sandbox) -> Built | Fault:
        """Flags are those of the gate's list; tunables become macros."""
        macros = tuple(f"-D{name}={value}" for name, value in config.tunables.items())
        files = {"kernel.cpp": tree["kernel.cpp"], "kernel.h": spec.header()}
        built = compile_shared_object(sandbox, files, source="kernel.cpp", flags=(*config.flags, *macros))
        return built if isinstance(built, Fault) else Built(files={}, binaries={"kernel": built})
