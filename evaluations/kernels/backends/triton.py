"""Triton: named so that people learn why it is skipped. Its interpreter could tell right from wrong, never the time."""

from __future__ import annotations

from evaluations.kernels.backends import Built
from evolve.contracts import Fault, FaultKind, Sandbox, Tree
from search_spaces.kernel_gate import KernelFile
from search_spaces.kernel_spec import KernelSpec


class Triton:
    """See `Backend`."""

    name = "triton"

    def missing(self) -> str:
        """Always something, for now."""
        return "no GPU is used yet: a Triton kernel can't be timed on a CPU"

    def build(self, tree: Tree, config: KernelFile, spec: KernelSpec, sandbox: Sandbox) -> Built | Fault:
        """Refuses."""
        return Fault(kind=FaultKind.RAISED, reason=self.missing())
