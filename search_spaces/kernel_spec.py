"""Reads `kernels/<op>/spec.toml`: what an operator takes and gives, how exact it must be, on which inputs it is tried.

Knows names, shapes and sums; draws no input, runs no reference and measures nothing.
"""

from __future__ import annotations

import ast
import math
import operator
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from evolve.errors import UsageError
from evolve.syntax import expression

KERNELS = Path(__file__).resolve().parents[1] / "kernels"
C_TYPES = {"float32": "float", "float64": "double", "int64": "int64_t", "int32": "int32_t"}
FLAGS = (
    *("-O1", "-O2", "-O3", "-march=native", "-fopenmp", "-fopenmp-simd", "-funroll-loops", "-ftree-vectorize"),
    *("-mprefer-vector-width=128", "-mprefer-vector-width=256", "-mprefer-vector-width=512", "-fno-math-errno"),
    *("-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros", "-freciprocal-math", "-ffp-contract=fast"),
    *("-ffast-math", "-fno-tree-vectorize", "-fprefetch-loop-arrays", "-fno-finite-math-only"),
)
"""Options of the compiler that a candidate may choose; the judge adds its own."""
BACKENDS = {"cpp": "kernel.cpp", "torch": "kernel.py", "numba": "kernel.py", "triton": "kernel.py"}
"""What a candidate may be written for, and in which file."""

Backend = Literal["cpp", "torch", "numba", "triton"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Array(_Part):
    """One input or output; `values` names the distribution that an input is drawn from."""

    name: str
    shape: tuple[str, ...]
    """Names of dimensions; a sum with a number (`bags + 1`) and products are possible."""
    dtype: Literal["float32", "float64", "int64", "int32"] = "float32"
    values: str = ""
    """See `evaluations.kernels.inputs`; a kind and its argument, `ids:items`."""

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return int(self.dtype[-2:]) // 8


class Tolerance(_Part):
    """A result may differ from the reference by `absolute + relative * |reference|`."""

    relative: float
    absolute: float
    reason: str


class Cost(_Part):
    """The least traffic and work of the operator, in sums over the dimensions: the roofline's terms."""

    bytes: str
    flops: str


class Case(_Part):
    """Sizes to be tried, and where inputs are drawn from another distribution or laid out otherwise."""

    name: str
    sizes: Mapping[str, int]
    values: Mapping[str, str] = {}
    strided: tuple[str, ...] = ()
    strided: tuple[str, ...] = ()
    """Inputs that are handed over as every other column of a wider array."""
    cold: bool = False
    """Timed on so many copies of the inputs in turn that none is still in a cache."""


class KernelSpec(_Part):
    """One operator."""

    name: str
    summary: str
    dimensions: tuple[str, ...]
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    scalars: Mapping[str, float] = {}
    passed: tuple[str, ...] = ()
    """Dimensions that no input's shape tells: the reference and kernels in Python get them by name."""
    edited: str
    """The input that changes between two timed calls."""
    tolerance: Mapping[str, Tolerance]
    cost: Cost
    domain: Mapping[str, tuple[int, int]]
    """Smallest and largest size of each dimension for which a shipped kernel is used."""
    timed: tuple[Case, ...]
    adversarial: tuple[Case, ...]

    @model_validator(mode="after")
    def _whole(self) -> KernelSpec:
        arrays = {array.name: array for array in self.inputs}
        if self.edited not in arrays:
            raise ValueError(f"edited is {self.edited!r}, which is no input")
        for array in (*self.inputs, *self.outputs):
            for size in array.shape:
                evaluate(size, dict.fromkeys(self.dimensions, 1))
        for case in (*self.timed, *self.adversarial):
            if set(case.sizes) != set(self.dimensions):
                raise ValueError(f"case {case.name!r} gives {sorted(case.sizes)}, not {sorted(self.dimensions)}")
            if unknown := {*case.values, *case.strided} - set(arrays):
                raise ValueError(f"case {case.name!r} speaks of {sorted(unknown)}, which are no inputs")
        if set(self.domain) != set(self.dimensions):
            raise ValueError("domain names each dimension once")
        if missing := {array.dtype for array in self.outputs if array.dtype.startswith("float")} - set(self.tolerance):
            raise ValueError(f"tolerance lacks {sorted(missing)}")
        return self

    @property
    def cases(self) -> tuple[Case, ...]:
        """All of them, the adversarial ones first."""
        return (*self.adversarial, *self.timed)

    @property
    def gathers(self) -> tuple[tuple[Array, Array], ...]:
        """Tables with the ids that name their rows: those drawn below the table's first dimension, `ids:items`."""
        kinds = {array.name: array.values.partition(":") for array in self.inputs}
        ids = {kinds[array.name][2]: array for array in self.inputs if kinds[array.name][0].endswith("ids")}
        return tuple((array, ids[array.shape[0]]) for array in self.inputs if array.shape and array.shape[0] in ids)

    def shape(self, array: Array, case: Case) -> tuple[int, ...]:
        """The sizes of an array in a case."""
        return tuple(int(evaluate(size, case.sizes)) for size in array.shape)

    def bytes_of(self, case: Case) -> float:
        """The least bytes that must move."""
        return evaluate(self.cost.bytes, case.sizes)

    def written(self, case: Case) -> float:
        """Of those, the bytes of the outputs."""
        return float(sum(array.itemsize * math.prod(self.shape(array, case)) for array in self.outputs))

    def flops_of(self, case: Case) -> float:
        """The operations that must be done."""
        return evaluate(self.cost.flops, case.sizes)

    def named(self, case: Case) -> dict[str, float]:
        """What the reference gets by name: scalars, and the dimensions that are passed."""
        return {**self.scalars, **{name: case.sizes[name] for name in self.passed}}

    def declaration(self) -> str:
        """The C++ prototype of the one entry, as `kernel.h` has it."""
        words = [f"const {C_TYPES[array.dtype]} *{array.name}" for array in self.inputs]
        words += [f"{C_TYPES[array.dtype]} *{array.name}" for array in self.outputs]
        words += [f"int64_t {name}" for name in self.dimensions] + [f"double {name}" for name in self.scalars]
        return f'extern "C" void kernel({", ".join([*words, "int threads"])});'

    def header(self) -> str:
        """The text of `kernel.h`."""
        return f"#pragma once\n#include <cstdint>\n{self.declaration()}\n"


def operators() -> tuple[str, ...]:
    """Names of all operators."""
    return tuple(path.parent.name for path in sorted(KERNELS.glob("*/spec.toml")))


def load_spec(name: str) -> KernelSpec:
    """The specification of an operator. Raises UsageError: there is none, or it is malformed."""
    path = KERNELS / name / "spec.toml"
    if name not in operators():
        raise UsageError(f"there is no operator `{name}`", hint=f"Choose one of: {', '.join(operators())}.")
    try:
        spec = KernelSpec.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: expected TOML; found: {error}", hint="Correct the file.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: {place}: {first['msg']}", hint="See docs/decisions/0016-kernels.md.") from error
    if spec.name != name:
        raise UsageError(f"{path}: name is {spec.name!r}, not the folder's", hint=f'Write name = "{name}".')
    return spec


_SUMS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
}


def evaluate(text: str, sizes: Mapping[str, int]) -> float:
    """A sum over dimensions: names, numbers, `+ - * / //` and brackets. Raises ValueError on anything else."""

    def value(node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name) if name in sizes:
                return sizes[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _SUMS:
                return _SUMS[type(op)](value(left), value(right))
            case _:
                raise ValueError(f"{text!r} is no sum over {', '.join(sizes)}")

    try:
        return value(expression(text).body)
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no sum") from error
