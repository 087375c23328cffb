"""Draws the inputs of a case: each kind of values by its name. Knows specifications; knows no kernel and no truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolve.errors import UsageError
from search_spaces.kernel_spec import Array, Case, KernelSpec, evaluate

Arrays = dict[str, NDArray[Any]]
Shape = tuple[int, ...]
Kind = Callable[[np.random.Generator, Shape, int], NDArray[Any]]

POPULARITY = 4.0
"""Ids are a uniform number to this power: the first percent of the items draws a third of the looks."""
SECRET_SIZES = 3
"""How many more cases a session gets whose sizes nobody has seen."""
LARGEST_SECRET_SIZE = 90


def draw(spec: KernelSpec, case: Case, rng: np.random.Generator) -> Arrays:
    """Inputs by name. Raises UsageError where a spec names a kind of values that there is not."""
    return {array.name: draw_one(spec, array, case, rng) for array in spec.inputs}


def secret_cases(spec: KernelSpec, rng: np.random.Generator) -> tuple[Case, ...]:
    """Cases of sizes that no file names, within the domain."""

    def size(name: str) -> int:
        low, high = spec.domain[name]
        return int(rng.integers(low, max(low, min(high, LARGEST_SECRET_SIZE)) + 1))

    return tuple(
        Case(name=f"secret {number + 1}", sizes={name: size(name) for name in spec.dimensions})
        for number in range(SECRET_SIZES)
    )


def draw_one(spec: KernelSpec, array: Array, case: Case, rng: np.random.Generator) -> NDArray[Any]:
    """One input. Raises UsageError where its kind of values is unknown."""
    kind, _, argument = case.values.get(array.name, array.values).partition(":")
    if kind not in KINDS:
        raise UsageError(
            f"the input `{array.name}` of `{spec.name}` is to be drawn from {kind!r}, which there is not",
            hint=f"Kinds of values: {', '.join(KINDS)}.",
        )
    most = int(evaluate(argument, case.sizes)) if argument else 0
    return np.ascontiguousarray(KINDS[kind](rng, spec.shape(array, case), most), array.dtype)


def _not_finite(rng: np.random.Generator, shape: Shape, _most: int) -> NDArray[Any]:
    """Mostly ordinary numbers; every eleventh place is NaN or infinite."""
    values = rng.standard_normal(shape)
    odd = rng.random(shape) < 1 / 11
    values[odd] = rng.choice([np.nan, np.inf, -np.inf], int(odd.sum()))
    return values


def _wild(rng: np.random.Generator, shape: Shape, _most: int) -> NDArray[Any]:
    """Numbers of all sizes between 1e-12 and 1e12."""
    return rng.standard_normal(shape) * 10.0 ** rng.uniform(-12, 12, shape)


def _popular_ids(rng: np.random.Generator, shape: Shape, most: int) -> NDArray[Any]:
    return np.minimum((rng.random(shape) ** POPULARITY * most).astype(np.int64), most - 1)


def _wild_ids(rng: np.random.Generator, shape: Shape, most: int) -> NDArray[Any]:
    """A quarter lie outside: just beyond either end, and far away."""
    ids = rng.integers(0, most, shape)
    outside = rng.random(shape) < 0.25
    ids[outside] = rng.choice([-1, most, -(1 << 40), 1 << 40, most + 1], int(outside.sum()))
    return ids


def _offsets(rng: np.random.Generator, shape: Shape, most: int) -> NDArray[Any]:
    """Where each bag begins: random cuts of `most` places; the last number is `most` where there is a bag."""
    if shape[0] == 1:
        return np.zeros(1, np.int64)
    cuts = np.sort(rng.integers(0, most + 1, shape[0] - 2))
    return np.concatenate([[0], cuts, [most]])


def _skewed_offsets(rng: np.random.Generator, shape: Shape, most: int) -> NDArray[Any]:
    """One bag has everything, all others are empty."""
    full = int(rng.integers(1, shape[0]))
    return np.where(np.arange(shape[0]) >= full, most, 0)


def _edges(rng: np.random.Generator, shape: Shape, _most: int) -> NDArray[Any]:
    """Ascending along the last axis, no two alike."""
    return np.sort(rng.standard_normal(shape).astype(np.float32), axis=-1)


KINDS: Mapping[str, Kind] = {
    "normal": lambda rng, shape, _: rng.standard_normal(shape),
    "uniform": lambda rng, shape, _: rng.random(shape),
    "positive": lambda rng, shape, _: 0.5 + rng.random(shape),
    "zeros": lambda rng, shape, _: np.zeros(shape),
    "ones": lambda rng, shape, _: np.ones(shape),
    "large": lambda rng, shape, _: 100 * rng.standard_normal(shape),
    "steps": lambda rng, shape, _: rng.integers(-2, 3, shape).astype(np.float64),
    "not_finite": _not_finite,
    "wild": _wild,
    "ids": lambda rng, shape, most: rng.integers(0, most, shape),
    "popular_ids": _popular_ids,
    "one_id": lambda rng, shape, most: np.full(shape, rng.integers(0, most)),
    "wild_ids": _wild_ids,
    "offsets": _offsets,
    "skewed_offsets": _skewed_offsets,
    "edges": _edges,
    "whole_edges": lambda rng, shape, _: np.broadcast_to(np.arange(shape[-1]) - shape[-1] // 2, shape),
}
