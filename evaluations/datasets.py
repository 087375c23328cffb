"""Data sets by name: fetched, imported, listed and loaded. Nothing of them is ever part of this project.

Knows where data comes from and where it is kept; knows nothing of splits, candidates or metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evaluations.datasets_files import read_interactions
from evaluations.datasets_movielens import LICENCE, fetch_ratings
from evaluations.datasets_store import DEFAULT_CACHE, Interactions, available, checked_name, interactions, load, save
from evolve.errors import DataError

__all__ = ["DEFAULT_CACHE", "FETCHABLE", "LICENCES", "Interactions", "available", "fetch", "import_file", "load"]

LICENCES = {"ml-100k": LICENCE}
"""Name -> the conditions under which the data set may be used, in short; to be shown whenever it is fetched."""

FETCHABLE = tuple(LICENCES)


def _say_nothing(line: str) -> None:
    del line


def fetch(name: str, cache: Path = DEFAULT_CACHE, *, report: Callable[[str], None] = _say_nothing) -> Interactions:
    """Downloads a data set into the cache, unless it is there already, and gives it.

    MovieLens-100K holds 943 users, 1682 items and 100,000 events. 76 % of its events share their second
    with another event of the same user; these keep the order of the official file's rows, which is arbitrary but
    fixed, and is what published figures use. (Ordering them by item id would make the last event the rarest
    film of its second and move EASE's NDCG@10 from .074 to .041.)

    Args:
        name: one of FETCHABLE.
        cache: the folder to keep it in.
        report: receives lines for people, the licence among them.

    Raises:
        DataError: the name is unknown, no source can be reached, or the content fails its checksum.
    """
    if name not in FETCHABLE:
        raise DataError(
            f"one of {', '.join(FETCHABLE)} was expected, found {name!r}",
            hint="for a file of your own: evolve data import NAME PATH",
        )
    report(LICENCES[name])
    if name in available(cache):
        return load(name, cache)
    ratings = fetch_ratings(report)
    fetched = interactions(name, ratings[:, 0], ratings[:, 1], ratings[:, 3], timed=True)
    report(f"kept in {save(fetched, cache, LICENCES[name])}")
    return fetched


def import_file(
    name: str,
    path: Path,
    cache: Path = DEFAULT_CACHE,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
) -> Interactions:
    """Takes a user's own file into the cache under `name`, and gives it.

    Args:
        name: what to call it; the names of FETCHABLE are taken.
        path: CSV, TSV, Parquet, or RecBole's `.inter`; one row per event.
        cache: the folder to keep it in.
        user: the column of user ids, where it is not called as usual.
        item: the column of item ids, likewise.
        time: the column to order by, likewise. A column called `order` is an order without times.

    Raises:
        DataError: the name is taken or unfit, the file can't be read, or its columns are wrong.
    """
    if checked_name(name) in FETCHABLE:
        raise DataError(f"{name!r} is the name of a published data set", hint=f"choose another name, such as my-{name}")
    imported = read_interactions(name, path, user=user, item=item, time=time)
    save(imported, cache, "the user's own")
    return imported
