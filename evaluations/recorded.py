"""What a run's store already holds, compared without running anything. Opens no sandbox and no labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluations.statistics import SeedVariance, pair, verdict
from evaluations.store import Store, seed_of, walk_key
from evolve.contracts import Floats, Measurement, Verdict


def confirmed_metrics(
    folder: Path, settings: Mapping[str, Any], challenger: str, champion: str, look: Verdict
) -> dict[str, Verdict] | None:
    """Every metric of a look at the confirmation users, paired by user, at the look's own level.

    Args:
        folder: the run's measurements.
        settings: the body of the run's first record.
        challenger: fingerprint of the candidate that was confirmed.
        champion: fingerprint of what it was confirmed against.
        look: the recorded verdict on the primary metric.

    Returns None where the measurements are not all there. Metrics beside the primary one are for reading: the run's
    error budget does not cover them.
    """
    measured = _measured(folder, settings, challenger, champion, look)
    if measured is None:
        return None
    new, old = measured
    compared = {
        metric: verdict(pair(new, old, metric, SeedVariance()), metric, look.alpha, 0.0)
        for metric in new[0].metrics
        if metric != look.metric
    }
    return {look.metric: look, **compared}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some of the users: the mean of their paired differences, and half of its 95 % interval."""

    name: str
    users: int
    effect: float
    half: float


def by_slice(
    folder: Path, settings: Mapping[str, Any], challenger: str, champion: str, look: Verdict
) -> list[Slice] | None:
    """The look's metric by thirds of users, as the champion served them under one seed; compared under the others.

    A cut on the champion's own score makes the worst served gain a little by itself, so this is for reading only.
    Returns None where the measurements are not all there, or there is one seed alone.
    """
    measured = _measured(folder, settings, challenger, champion, look)
    if measured is None or look.seeds < 2:
        return None
    new, old = ([m.metrics[look.metric] for m in side] for side in measured)
    served = old[0]
    difference = np.mean([n - o for n, o in zip(new[1:], old[1:], strict=True)], axis=0)
    known = np.isfinite(served) & np.isfinite(difference)
    low, high = np.quantile(served[known], [1 / 3, 2 / 3])
    cuts = {"worst served third": served <= low, "middle third": (served > low) & (served <= high)}
    cuts |= {"best served third": served > high, "all": known}
    return [_slice(name, difference[known & inside]) for name, inside in cuts.items()]


def _slice(name: str, values: Floats) -> Slice:
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return Slice(name=name, users=len(values), effect=float(np.mean(values)), half=1.96 * error)


def _measured(
    folder: Path, settings: Mapping[str, Any], challenger: str, champion: str, look: Verdict
) -> tuple[list[Measurement], list[Measurement]] | None:
    """What both scored at the confirmation users, seed by seed; None where anything is missing."""
    store, found = Store(folder), dict[str, list[Measurement]]()
    for who in (challenger, champion):
        for k in range(look.seeds):
            seed = seed_of(settings["seed"], "confirm", k)
            key = walk_key(settings["space_digest"], settings["task_digest"], who, "confirm", ("full",), seed)
            walk = store.find(key)
            measured = walk.at("full") if walk else None
            if measured is None:
                return None
            found.setdefault(who, []).append(measured)
    return found[challenger], found[champion]
