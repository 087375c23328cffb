"""Kernels that are Python, for torch, numba or Triton: nothing is built out here, the first call compiles."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from evaluations.kernels.backends import Built
from evolve.contracts import Fault, Sandbox, Tree
from search_spaces.kernel_gate import KernelFile
from search_spaces.kernel_spec import KernelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """See `Backend`; `needs` is the library that must be installed."""

    name: str
    needs: str
    not_timed: str = ""

    def missing(self) -> str:
        """The library, where it is not installed."""
        found = importlib.util.find_spec(self.needs)
        return "" if found else f"no {self.needs}; pip install 'evolve-automl[{self.needs}]'"

    def build(self, tree: Tree, config: KernelFile, spec: KernelSpec, sandbox: Sandbox) -> Built | Fault:
        """The source beside a module with its tunables."""
        tunables = "".join(f"{name} = {value!r}\n" for name, value in config.tunables.items())
        return Built(files={"kernel.py": tree["kernel.py"], "kernel_tunables.py": tunables})
