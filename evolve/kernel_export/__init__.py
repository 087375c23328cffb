"""Writes a kernel as a folder of its own: the source, a dispatcher, the reference to fall back on, a regression test.

What is written needs torch and what the backend needs (g++, numba), and nothing of ours. Knows text, and runs nothing.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolve.contracts import Tree
from evolve.errors import UsageError
from search_spaces.kernel_spec import KERNELS, KernelSpec

HERE = Path(__file__).resolve().parent
TIMED_AT_MOST = 4096
"""The regression test cuts the sizes of timed cases to so much, so that it takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a kernel came from, for whoever reads it later."""

    run: str
    number: int
    commit: str


def export(spec: KernelSpec, tree: Tree, origin: Origin, folder: Path) -> list[Path]:
    """Writes the package into `folder`, which must be new or empty.

    Raises:
        UsageError: the folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="Give a new folder with --to.")
    folder.mkdir(parents=True, exist_ok=True)
    files = package(spec, tree, origin)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def package(spec: KernelSpec, tree: Tree, origin: Origin) -> dict[str, str]:
    """The files by name."""
    settings = tomllib.loads(tree["kernel.toml"])
    files = {
        "__init__.py": _module(spec, settings, origin),
        "reference.py": (KERNELS / spec.name / "reference.py").read_text(encoding="utf-8"),
        f"test_{spec.name}.py": _filled("regression.template", spec, _cases(spec)),
    }
    if settings["backend"] == "cpp":
        return {**files, "kernel.h": spec.header(), "kernel.cpp": tree["kernel.cpp"]}
    numbers = "".join(f"{name} = {value!r}\n" for name, value in settings.get("tunables", {}).items())
    source = tree["kernel.py"].replace("from kernel_tunables import", "from .kernel_tunables import")
    return {**files, "kernel.py": source, "kernel_tunables.py": f'"""Tuned numbers."""\n\n{numbers}'}


def _module(spec: KernelSpec, settings: dict[str, Any], origin: Origin) -> str:
    facts = {
        "INPUTS": {array.name: [array.dtype, list(array.shape), array.values] for array in spec.inputs},
        "OUTPUTS": {array.name: [array.dtype, list(array.shape)] for array in spec.outputs},
        "DIMENSIONS": list(spec.dimensions),
        "DOMAIN": {name: list(bounds) for name, bounds in spec.domain.items()},
        "SCALARS": dict(spec.scalars),
        "PASSED": list(spec.passed),
        "BACKEND": settings["backend"],
        "FLAGS": [*settings.get("flags", []), *(f"-D{k}={v}" for k, v in settings.get("tunables", {}).items())],
    }
    words = {"RUN": origin.run, "NUMBER": str(origin.number), "COMMIT": origin.commit[:12]}
    return _filled("dispatcher.template", spec, {"FACTS": _constants(facts), **words})


def _cases(spec: KernelSpec) -> dict[str, str]:
    cases = {
        case.name: {
            "sizes": {name: min(size, TIMED_AT_MOST) for name, size in case.sizes.items()},
            "values": dict(case.values),
            "strided": list(case.strided),
        }
        for case in spec.cases
    }
    tolerances = {name: [t.absolute, t.relative] for name, t in spec.tolerance.items()}
    return {"FACTS": _constants({"CASES": cases, "TOLERANCES": tolerances})}


def _constants(facts: dict[str, Any]) -> str:
    """Literals of Python, one a line."""
    return "\n".join(f"{name} = json.loads({json.dumps(value)!r})" for name, value in facts.items())


def _filled(template: str, spec: KernelSpec, words: dict[str, str]) -> str:
    text = (HERE / template).read_text(encoding="utf-8")
    for name, value in {"OPERATOR": spec.name, "SUMMARY": spec.summary, **words}.items():
        text = text.replace(f"@{name}@", value)
    return text
