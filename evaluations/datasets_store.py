"""Interactions of users with items, and the cache folder that keeps them; knows no source, no split and no metric."""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolve.errors import DataError
from evolve.syntax import undisturbed

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

DEFAULT_CACHE = Path("~/.cache/evolve/data")
"""Where data sets are kept; `~` is the user's home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """Who met what, in which order. All arrays have shape (events,), sorted by user and then by order.

    Users and items are numbered from 0 without gaps, in the order of their original ids (numeric ids as
    numbers). `order` counts a user's events from 0. `times` are seconds since the epoch, or None where
    the source gave nothing but an order.
    """

    name: str
    users: Int32s
    items: Int32s
    order: Int32s
    times: Int64s | None
    user_count: int
    item_count: int
    digest: str
    """sha256 over the arrays: equal for equal content, whatever file it came from."""

    @property
    def offsets(self) -> Int64s:
        """Shape (users + 1,): user u's events are those from offsets[u] up to offsets[u + 1]."""
        counts = np.bincount(self.users, minlength=self.user_count)
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def interactions(
    name: str, users: NDArray[Any], items: NDArray[Any], moments: NDArray[Any], *, timed: bool
) -> Interactions:
    """Sorts and renumbers raw events.

    Args:
        name: what the data set is called.
        users: original user ids, shape (events,), integers or strings.
        items: original item ids, likewise.
        moments: integers to order a user's events by; equal moments keep the order of the rows.
        timed: whether the moments are seconds since the epoch.
    """
    user_ids, user_numbers = np.unique(users, return_inverse=True)
    item_ids, item_numbers = np.unique(items, return_inverse=True)
    ranks = np.lexsort((moments, user_numbers))
    sorted_users = user_numbers[ranks].astype(np.int32)
    sorted_items = item_numbers[ranks].astype(np.int32)
    times = moments[ranks].astype(np.int64) if timed else None
    return _assemble(name, sorted_users, sorted_items, times, user_count=len(user_ids), item_count=len(item_ids))


def _assemble(
    name: str, users: Int32s, items: Int32s, times: Int64s | None, *, user_count: int, item_count: int
) -> Interactions:
    counts = np.bincount(users, minlength=user_count)
    starts = np.cumsum(counts) - counts
    order = (np.arange(len(users)) - np.repeat(starts, counts)).astype(np.int32)
    return Interactions(
        name=name,
        users=users,
        items=items,
        order=order,
        times=times,
        user_count=user_count,
        item_count=item_count,
        digest=_digest(users, items, times),
    )


def _digest(users: Int32s, items: Int32s, times: Int64s | None) -> str:
    content = hashlib.sha256()
    for values in (users, items) if times is None else (users, items, times):
        content.update(np.ascontiguousarray(values, "<i8").tobytes())
    return content.hexdigest()


def checked_name(name: str) -> str:
    """The name itself. Raises DataError for a name that would not be a plain file name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise DataError(
            "a data set's name holds small letters, digits, '.', '_' and '-', and begins with a letter or digit;"
            f" found {name!r}",
            hint="choose a name such as my-shop",
        )
    return name


def save(kept: Interactions, cache: Path, licence: str) -> Path:
    """Writes the data set into the cache, whole or not at all, and gives its path. Raises DataError."""
    folder = cache.expanduser()
    path = folder / f"{checked_name(kept.name)}.npz"
    times = np.zeros(0, np.int64) if kept.times is None else kept.times
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as scratch:
            part = Path(scratch) / path.name
            np.savez_compressed(
                part,
                users=kept.users,
                items=kept.items,
                times=times,
                timed=np.array(kept.times is not None),
                digest=np.array(kept.digest),
                licence=np.array(licence),
                counts=np.array([kept.user_count, kept.item_count], np.int64),
            )
            part.replace(path)
    except OSError as error:
        raise DataError(
            f"data set {kept.name!r} should be kept in {folder}, but it can't be written: {error}",
            hint="free some space, or name another folder",
        ) from error
    return path


def available(cache: Path = DEFAULT_CACHE) -> tuple[str, ...]:
    """The names of the data sets in the cache, sorted."""
    return tuple(sorted(path.stem for path in cache.expanduser().glob("[a-z0-9]*.npz")))


@undisturbed
def load(name: str, cache: Path = DEFAULT_CACHE) -> Interactions:
    """Reads a data set from the cache. Raises DataError where it is missing or damaged."""
    path = cache.expanduser() / f"{checked_name(name)}.npz"
    if not path.is_file():
        raise DataError(f"data set {name!r} was expected at {path}; nothing is there", hint=_how_to_get(name))
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as stored:
            times = stored["times"] if bool(stored["timed"]) else None
            user_count, item_count = (int(count) for count in stored["counts"])
            found = _assemble(
                name, stored["users"], stored["items"], times, user_count=user_count, item_count=item_count
            )
            expected = str(stored["digest"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} should hold data set {name!r}, but it can't be read: {error}", hint=_how_to_get(name)
        ) from error
    if found.digest != expected:
        raise DataError(
            f"{path} should have the digest {expected[:12]}, found {found.digest[:12]}: the file is damaged",
            hint=_how_to_get(name),
        )
    return found


def _how_to_get(name: str) -> str:
    return f"evolve data get {name}" if name == "ml-100k" else f"evolve data import {name} PATH"
