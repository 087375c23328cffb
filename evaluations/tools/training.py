"""The training split as one table: which column is which array of the training folder. Sees no other split.

A column is named after its file; a known block of features is opened up into its columns; a log that is kept user by
user (`offsets.npy`) gets a `user` column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluations.video_ranking_features import DENSE
from evolve.errors import DataError
from evolve.syntax import undisturbed

BLOCKS = {"dense": DENSE}
"""Arrays of two dimensions whose columns have names; others are left out."""
LEFT_OUT = frozenset({"offsets", "catalogue", "sizes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Where a column is: a file of the folder, and which of its columns where it has several."""

    file: str
    place: int | None = None
    by_offsets: bool = False
    """Whether the file holds where each user's rows begin; the column is then the user's number."""


@undisturbed
def training_columns(folder: Path) -> dict[str, Column]:
    """Name -> place of every column of the split. Raises DataError where the folder holds none."""
    arrays = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False) for path in sorted(folder.glob("*.npy"))}
    plain = {name: array for name, array in arrays.items() if name not in LEFT_OUT and array.ndim == 1}
    if not plain:
        raise DataError(f"expected arrays of the training split in {folder}, found none")
    found = {name: Column(file=f"{name}.npy") for name in plain}
    if "offsets" in arrays:
        found = {"user": Column(file="offsets.npy", by_offsets=True), **found}
    for name, inner in BLOCKS.items():
        if name in arrays and arrays[name].shape[1:] == (len(inner),):
            found |= {column: Column(file=f"{name}.npy", place=place) for place, column in enumerate(inner)}
    return found


@undisturbed
def read_column(folder: Path, column: Column) -> NDArray[np.generic]:
    """One column; shape (rows,)."""
    array = np.load(folder / column.file, mmap_mode="r", allow_pickle=False)
    if column.by_offsets:
        return np.repeat(np.arange(len(array) - 1), np.diff(array))
    return np.array(array if column.place is None else array[:, column.place])


def read_columns(folder: Path) -> Mapping[str, NDArray[np.generic]]:
    """All of them."""
    return {name: read_column(folder, column) for name, column in training_columns(folder).items()}
