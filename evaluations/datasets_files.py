"""A user's own log as interactions: CSV, TSV, Parquet, or RecBole's atomic files. Knows nothing of the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluations.datasets_store import Interactions, interactions
from evolve.errors import DataError

if TYPE_CHECKING:
    import polars

USUAL_NAMES = {
    "user": ("user_id", "user", "userId", "uid"),
    "item": ("item_id", "item", "itemId", "movieId", "iid"),
    "time": ("timestamp", "time", "order", "datetime", "date"),
}
"""Column names that are understood without being told, first match wins."""

SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t"}


def read_interactions(name: str, path: Path, *, user: str | None, item: str | None, time: str | None) -> Interactions:
    """Reads a file with one row per event. Raises DataError where it can't be read or its columns are wrong.

    Args:
        name: what the data set will be called.
        path: a `.csv`, `.tsv`, `.inter` (tab-separated, headers such as `user_id:token`) or `.parquet` file.
        user: the column of user ids, where its name is none of the usual ones.
        item: likewise for items.
        time: the column to order events by: seconds, dates, or a running number called `order`; rows with equal
            values keep the order of the file.
    """
    table = _table(path)
    chosen = {"user": user, "item": item, "time": time}
    columns = {role: _column(table, path, role, wanted) for role, wanted in chosen.items()}
    if table.height == 0:
        raise DataError(f"{path} should hold one row per event, found none")
    _refuse_nulls(table, path, columns)
    moments = _moments(table[columns["time"]], path)
    timed = columns["time"] != "order"
    return interactions(name, _ids(table[columns["user"]]), _ids(table[columns["item"]]), moments, timed=timed)


def _table(path: Path) -> polars.DataFrame:
    import polars

    if path.suffix not in {*SEPARATORS, ".parquet"}:
        raise DataError(f"a .csv, .tsv, .inter or .parquet file was expected, found {path.name}")
    try:
        if path.suffix == ".parquet":
            return polars.read_parquet(path)
        table = polars.read_csv(path, separator=SEPARATORS[path.suffix], infer_schema_length=None)
    except (OSError, polars.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} should be a readable {path.suffix} file: {reason}") from error
    return (
        table.rename({column: column.split(":")[0] for column in table.columns}) if path.suffix == ".inter" else table
    )


def _column(table: polars.DataFrame, path: Path, role: str, wanted: str | None) -> str:
    names = USUAL_NAMES[role] if wanted is None else (wanted,)
    for name in names:
        if name in table.columns:
            return name
    raise DataError(
        f"{path.name} should have a column of {role}s called {' or '.join(names)}; found {', '.join(table.columns)}",
        hint=f"name it with --{role} COLUMN",
    )


def _refuse_nulls(table: polars.DataFrame, path: Path, columns: dict[str, str]) -> None:
    for role, column in columns.items():
        missing = table[column].null_count()
        if missing:
            raise DataError(f"every row of {path.name} should have a {role} in {column!r}; {missing} rows have none")


def _ids(column: polars.Series) -> NDArray[Any]:
    return column.to_numpy() if column.dtype.is_integer() else column.cast(str).to_numpy().astype(np.str_)


def _moments(column: polars.Series, path: Path) -> NDArray[np.int64]:
    import polars

    try:
        if column.dtype == polars.String:
            column = column.str.to_datetime()
        if column.dtype.is_temporal():
            return column.cast(polars.Datetime("us")).dt.epoch("s").to_numpy().astype(np.int64)
        return column.cast(polars.Float64).cast(polars.Int64).to_numpy().astype(np.int64)
    except polars.exceptions.PolarsError as error:
        raise DataError(
            f"column {column.name!r} of {path.name} should hold seconds, dates or a running number;"
            f" found {column.dtype}",
            hint="name another column with --time COLUMN",
        ) from error
