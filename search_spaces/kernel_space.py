"""The search space of one operator: the tree, the rungs and the gate of `kernel:<op>`. Knows no input and no clock."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from evolve.contracts import Confirmation, Limits, Rung, Technique, Tree
from search_spaces import kernel_gate
from search_spaces.kernel_spec import KERNELS, KernelSpec, load_spec, operators

PREFIX = "kernel:"
METRIC = "log2_speed"
ROUNDS = {"smoke": 1, "short": 5, "full": 15, "replicated": 15, "final": 31}
"""Timed rounds of a session when it is past each rung."""
LIMIT_S = 120.0
RUNGS = tuple(
    Rung(name=name, examples=ROUNDS[name], limit_s=LIMIT_S, seeds=2 if name == "replicated" else 1)
    for name in ("smoke", "short", "full", "replicated")
)
FINAL = Rung(name="final", examples=ROUNDS["final"], limit_s=LIMIT_S)
LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSpace:
    """Implements `contracts.SearchSpace`; `spec` says what the operator is, `reference` is its truth as text."""

    spec: KernelSpec
    reference: str
    seed: Tree
    harness: Tree
    digest: str
    metric: str = METRIC
    editable: tuple[str, ...] = kernel_gate.PATHS
    rungs: tuple[Rung, ...] = RUNGS
    final: Rung = FINAL
    limits: Limits = LIMITS
    confirmation: Confirmation = "fresh_remeasure"
    confirmation_seeds: int = 3
    floor_seeds: int = 3
    techniques: tuple[Technique, ...] = ()

    @property
    def name(self) -> str:
        """What people type after `--space`."""
        return PREFIX + self.spec.name

    @property
    def summary(self) -> str:
        """One line for people."""
        return self.spec.summary

    @property
    def metrics(self) -> tuple[str, ...]:
        """The primary one; the judge adds one for each timed case."""
        return (METRIC, *(f"{METRIC}_{case.name}" for case in self.spec.timed))

    @property
    def plain(self) -> dict[str, Tree]:
        """The operator written plainly for each backend: a candidate to begin with, and a check of the backend."""
        sources = {"torch": f"{self.reference}\n\nkernel = reference\n"}
        for name in ("numba", "triton"):
            sources[name] = (KERNELS / self.spec.name / f"plain_{name}.py").read_text(encoding="utf-8")
        python = {name: {"kernel.toml": f'backend = "{name}"\n', "kernel.py": text} for name, text in sources.items()}
        return {"cpp": self.seed, **python}

    def check(self, tree: Tree) -> str | None:
        """Why the static gate refuses the tree, or None."""
        return kernel_gate.check(tree)


def names() -> dict[str, str]:
    """The spaces of all operators: name -> summary. Raises UsageError where a spec is malformed."""
    return {PREFIX + name: load_spec(name).summary for name in operators()}


def load(name: str) -> KernelSpace:
    """The space `kernel:<op>`. Raises UsageError: there is no such operator, or its spec is malformed."""
    spec = load_spec(name.removeprefix(PREFIX))
    folder = KERNELS / spec.name
    seed, harness = _read(folder / "seed"), _read(KERNELS / "harness")
    reference = (folder / "reference.py").read_text(encoding="utf-8")
    plain = {"spec": spec.model_dump(mode="json"), "reference": reference, "seed": seed, "harness": harness}
    plain |= {"rounds": ROUNDS, "limits": asdict(Limits())}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    return KernelSpace(spec=spec, reference=reference, seed=seed, harness=harness, digest=digest)


def _read(folder: Path) -> Tree:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in {".py", ".cpp", ".toml"})
    return {path.name: path.read_text(encoding="utf-8") for path in paths}
