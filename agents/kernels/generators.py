"""Typed generators: each emits the files of one complete, correct candidate, with the numbers that may be tuned.

A generator is data: a source, its flags, and parameters that each belong to a kind of change. `table.py` lists them.
Knows the form of a candidate's tree (docs/decisions/0016) and no score. `kernel.toml` is the whole memory: what a
candidate was made by, and with which numbers, is read back from its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from agents.tunables import Tunable, find, with_values
from evolve.contracts import Tree, TunableValue

SOURCES = Path(__file__).resolve().parent / "sources"
TOML = "kernel.toml"
CPP_FLAGS = ("-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
MADE_BY = re.compile(r"^# made by: (\S+)$", re.MULTILINE)

Backend = Literal["cpp", "torch", "numba"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number or word that the source reads; `domain` is written as in `agents/tunables.py`."""

    name: str
    value: TunableValue
    domain: str
    move: str
    """The kind of change that it is: one of `knowledge.MOVES`."""


@dataclass(frozen=True, kw_only=True)
class Generator:
    """One way to write one operator."""

    operator: str
    variant: str
    backend: Backend
    title: str
    mechanism: str
    moves: tuple[str, ...]
    """The kinds of change that its structure makes."""
    parameters: tuple[Parameter, ...] = ()
    flags: tuple[str, ...] = CPP_FLAGS
    parts: tuple[str, ...] = ("simd.cpp",)
    """Sources that stand before its own."""

    @property
    def name(self) -> str:
        """Names it in a proposal."""
        return f"{self.operator}.{self.variant}"

    def files(self, values: Mapping[str, TunableValue] | None = None) -> Tree:
        """The candidate's files; `values` are by the parameters' names, and take the place of their own."""
        path = "kernel.cpp" if self.backend == "cpp" else "kernel.py"
        tree = {path: self._source, TOML: self._toml}
        return with_values(tree, {f"{TOML}::{name}": value for name, value in (values or {}).items()})

    def moves_of(self, keys: Iterable[str]) -> set[str]:
        """The kinds of change of parameters, by the tunables' keys."""
        kinds = {f"{TOML}::{parameter.name}": parameter.move for parameter in self.parameters}
        return {kinds[key] for key in keys if key in kinds}

    @cached_property
    def tunables(self) -> tuple[Tunable, ...]:
        """What may be tuned, at its first values."""
        return find({TOML: self._toml}).tunables

    @cached_property
    def _toml(self) -> str:
        lines = [f"# made by: {self.name}", f'backend = "{self.backend}"']
        if self.backend == "cpp":
            lines.append(f"flags = {json.dumps(self.flags)}")
        lines.append("[tunables]")
        for parameter in self.parameters:
            lines.append(f"{parameter.name} = {json.dumps(parameter.value)}  # tunable: {parameter.domain}")
        return "\n".join(lines) + "\n"

    @cached_property
    def _source(self) -> str:
        if self.backend != "cpp":
            return (SOURCES / self.operator / f"{self.variant}.py").read_text(encoding="utf-8")
        paths = [*(SOURCES / part for part in self.parts), SOURCES / self.operator / f"{self.variant}.cpp"]
        return "\n".join(['#include "kernel.h"', *(path.read_text(encoding="utf-8") for path in paths)])


def made_by(tree: Tree) -> str:
    """The generator that a tree came from; empty where none did."""
    found = MADE_BY.search(tree.get(TOML, ""))
    return found[1] if found else ""
