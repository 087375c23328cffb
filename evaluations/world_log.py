"""The world's past: its log as flat columns, and a cache of it on disk.

Knows nothing of features or splits.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluations.world import Day, LoggingPolicy, World, WorldConfig
from evolve.errors import DataError
from evolve.syntax import undisturbed

Columns = dict[str, NDArray[Any]]

WORLD_VERSION = 2
"""Grows with every change that gives other numbers; part of every digest."""

_CONTEXT = ("user", "item", "slate", "position", "propensity", "hour", "device")
_IMPRESSION = (*_CONTEXT, "click", "watch_s", "like", "share", "skip")
_ITEM = ("born", "topic", "creator", "duration_s", "rating")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """`impressions`: columns of shape (impressions,) in time order, with `day` and `returned` (whether the
    user came back on the next day). `items`: what a service knows of each item, shape (items,)."""

    config: WorldConfig
    impressions: Mapping[str, NDArray[Any]]
    items: Mapping[str, NDArray[Any]]


def digest_of(config: WorldConfig) -> str:
    """sha256 over all that decides the log."""
    return hashlib.sha256(repr((WORLD_VERSION, sorted(asdict(config).items()))).encode()).hexdigest()


def world_after_log(config: WorldConfig) -> tuple[World, LoggingPolicy, list[Day]]:
    """A world at the start of day 0, its former ranker, and the days that were lived."""
    world = World(config)
    policy = LoggingPolicy(world)
    return world, policy, [world.step(policy) for _ in range(config.log_days)]


def generate_log(config: WorldConfig) -> Log:
    """Lives days -log_days to -1 and writes them down."""
    world, _, days = world_after_log(config)
    impressions: Columns = {name: np.concatenate([getattr(day, name) for day in days]) for name in _IMPRESSION}
    impressions["day"] = np.concatenate([np.full(len(day.user), day.day, dtype=np.int64) for day in days])
    visits = [np.unique(day.user) for day in days[1:]] + [world.active()]
    impressions["returned"] = np.concatenate(
        [np.isin(day.user, tomorrow) for day, tomorrow in zip(days, visits, strict=True)]
    )
    items: Columns = {name: getattr(world.items, name) for name in _ITEM}
    return Log(config=config, impressions=impressions, items=items)


@undisturbed
def load_log(config: WorldConfig, cache: Path) -> Log:
    """The log from `cache`, generated at the first use. Raises DataError when the folder can't be written."""
    folder = stored(cache / "worlds" / digest_of(config)[:16], lambda: _flat(generate_log(config)))
    columns = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
    split = {
        kind: {name.removeprefix(kind): value for name, value in columns.items() if name.startswith(kind)}
        for kind in ("impression_", "item_")
    }
    return Log(config=config, impressions=split["impression_"], items=split["item_"])


def _flat(log: Log) -> Columns:
    return {f"impression_{name}": value for name, value in log.impressions.items()} | {
        f"item_{name}": value for name, value in log.items.items()
    }


def stored(folder: Path, make: Callable[[], Mapping[str, NDArray[Any]]]) -> Path:
    """`folder` with one .npy a column, made when it is not there. The folder appears whole or not at all;
    of two makers at once the first wins. Raises DataError."""
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            for name, column in make().items():
                np.save(draft / f"{name}.npy", column, allow_pickle=False)
            draft.chmod(0o755)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        if folder.is_dir():
            return folder
        raise DataError(
            f"expected to write the generated world under {folder.parent}, found: {error}",
            hint="Free some disk space or name another cache folder.",
        ) from error
    return folder
