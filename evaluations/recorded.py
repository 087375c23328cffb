"""What a run's store already holds, compared without running anything. Opens no sandbox and no labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluations.statistics import SeedVariance, pair, verdict
from evaluations.store import Store, seed_of, walk_key
from evolve.contracts import Measurement, Verdict


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
    new, old = found[challenger], found[champion]
    compared = {
        metric: verdict(pair(new, old, metric, SeedVariance()), metric, look.alpha, 0.0)
        for metric in new[0].metrics
        if metric != look.metric
    }
    return {look.metric: look, **compared}
