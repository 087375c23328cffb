"""Builds a generated candidate with the real compiler and runs it beside its reference, in plain sight.

Trusted sources alone: what the project's own generators emit. The judge's own runner is `evaluations.kernels`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
import torch

from evolve.contracts import Tree
from search_spaces.kernel_spec import KERNELS, Array, Case, KernelSpec

DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64, "int32": torch.int32}
POISON = -77
SORTED = ("edges", "whole_edges")
WHOLE = ("steps", "whole_edges")
SCALES = {"large": 50.0, "wild": 1e4}


def module_of(spec: KernelSpec):
    """The operator's reference and what belongs to it."""
    path = KERNELS / spec.name / "reference.py"
    found = importlib.util.spec_from_file_location(f"reference_{spec.name}", path)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def loaded(tree: Tree, spec: KernelSpec, folder: Path):
    """Takes inputs and a case, returns outputs."""
    settings = tomllib.loads(tree["kernel.toml"])
    if settings["backend"] == "cpp":
        return _cpp(tree, spec, folder, settings)
    numbers = types.ModuleType("kernel_tunables")
    numbers.__dict__.update(settings.get("tunables", {}))
    sys.modules["kernel_tunables"] = numbers
    module = types.ModuleType("candidate")
    # numba and torch.compile read the source again, by its file's name
    path = folder / "kernel.py"
    path.write_text(tree["kernel.py"])
    exec(compile(tree["kernel.py"], str(path), "exec"), module.__dict__)
    if settings["backend"] == "torch":
        return lambda inputs, case: _tuple(module.kernel(*inputs, **spec.named(case)))

    def run(inputs, case):
        outputs = poisoned(spec, case)
        arrays = [tensor.contiguous().numpy() for tensor in inputs]
        module.kernel(*arrays, *(tensor.numpy() for tensor in outputs), *spec.scalars.values())
        return outputs

    return run


def _cpp(tree: Tree, spec: KernelSpec, folder: Path, settings):
    if shutil.which("g++") is None:
        pytest.skip("needs g++ (Debian: g++)")
    (folder / "kernel.h").write_text(spec.header())
    (folder / "kernel.cpp").write_text(tree["kernel.cpp"])
    macros = [f"-D{name}={value}" for name, value in settings.get("tunables", {}).items()]
    built = folder / "kernel.so"
    command = ["g++", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wno-psabi", "-Wno-unused-function"]
    subprocess.run(
        [*command, *settings["flags"], *macros, "kernel.cpp", "-o", str(built)], check=True, cwd=folder, timeout=120
    )
    library = ctypes.CDLL(str(built))

    def run(inputs, case, threads=2):
        outputs = poisoned(spec, case)
        whole = [tensor.contiguous() for tensor in inputs]
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (*whole, *outputs)]
        sizes = [ctypes.c_int64(case.sizes[name]) for name in spec.dimensions]
        scalars = [ctypes.c_double(value) for value in spec.scalars.values()]
        library.kernel(*pointers, *sizes, *scalars, ctypes.c_int(threads))
        return outputs

    return run


def poisoned(spec: KernelSpec, case: Case):
    return [torch.full(spec.shape(array, case), POISON, dtype=DTYPES[array.dtype]) for array in spec.outputs]


def drawn(spec: KernelSpec, case: Case, seed: int):
    generator = torch.Generator().manual_seed(seed)
    return [
        _draw(case.values.get(array.name, array.values), array, spec.shape(array, case), case, generator)
        for array in spec.inputs
    ]


def wrong(spec: KernelSpec, got, wanted) -> list[str]:
    """Names of the outputs that differ by more than the tolerance."""
    names: list[str] = []
    for array, one, other in zip(spec.outputs, got, wanted, strict=True):
        if array.dtype.startswith("float"):
            tolerance = spec.tolerance[array.dtype]
            close = torch.allclose(one, other, rtol=tolerance.relative, atol=tolerance.absolute, equal_nan=True)
        else:
            close = torch.equal(one, other)
        if not close:
            names.append(array.name)
    return names


def _tuple(answer):
    return list(answer) if isinstance(answer, tuple) else [answer]


def _draw(values: str, array: Array, shape, case: Case, generator: torch.Generator):
    """The distributions that a specification names, drawn in the plainest way."""
    kind, _, argument = values.partition(":")
    if "offsets" in kind:
        return _offsets(kind, shape[0] - 1, case.sizes[argument], generator)
    if array.dtype.startswith("int"):
        count = case.sizes.get(argument, 7)
        bounds = {"wild_ids": (-3 * count, 4 * count), "one_id": (count // 2, count // 2 + 1)}
        low, high = bounds.get(kind, (0, count))
        return torch.randint(low, high, shape, generator=generator, dtype=DTYPES[array.dtype])
    drawn = torch.randn(shape, generator=generator, dtype=DTYPES[array.dtype])
    if kind == "not_finite":
        for start, value in enumerate((float("nan"), float("inf"), -float("inf"))):
            drawn.view(-1)[start::17] = value
    if kind == "zeros":
        drawn.zero_()
    drawn *= SCALES.get(kind, 1.0)
    drawn = drawn.round() if kind in WHOLE else drawn
    return drawn.sort(-1).values if kind in SORTED else drawn


def _offsets(kind: str, bags: int, count: int, generator: torch.Generator):
    """Where each bag begins, and the end."""
    offsets = torch.randint(0, count + 1, (bags + 1,), generator=generator).sort().values
    if kind.startswith("skewed"):
        offsets[:] = 0
    offsets[0], offsets[-1] = 0, count
    return offsets
