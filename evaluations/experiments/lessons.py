"""A finished experiment as a lesson: effects of its early metrics and of its north star, and the error they share.

Knows nothing of what lessons teach. The same users make early metrics and north star, so that their errors move
together; how much is seen from cohort to cohort, in which each arm's true effect is nearly the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from evaluations.experiments.desk import Trial, effect
from evaluations.experiments.ledger import Ledger
from evaluations.experiments.lesson_table import Lesson, Reading
from evaluations.experiments.moments import Moments
from evolve.contracts import Floats

EARLY = ("early_active", "clicks", "likes", "watch_s")
"""Metrics of a user's first days; an experiment's own early metrics are proxies for the next ones."""
LEAST_COHORTS = 4


def readings(ledger: Ledger, trial: Trial, arm: str, metrics: Sequence[str] = EARLY) -> dict[str, Reading]:
    """The challenger's effect on each metric that has a complete cohort."""
    found = {name: ledger.moments(trial.experiment, name, trial.shares) for name in metrics}
    return {name: _reading(arms, trial.control, arm) for name, arms in found.items() if _complete(arms, arm)}


def lesson_of(
    ledger: Ledger,
    trial: Trial,
    arm: str,
    persona: str,
    offline: Mapping[str, Reading] | None = None,
    metrics: Sequence[str] = EARLY,
) -> Lesson | None:
    """What a finished experiment teaches, with `offline` proxies of the same candidate beside its early metrics;
    nothing where no cohort of the north star is complete."""
    arms = {name: ledger.moments(trial.experiment, name, trial.shares) for name in (*metrics, trial.north_star)}
    if not _complete(arms[trial.north_star], arm):
        return None
    kept = {name: found for name, found in arms.items() if _complete(found, arm)}
    online = {name: _reading(found, trial.control, arm) for name, found in kept.items()}
    north_star = online.pop(trial.north_star)
    return Lesson(
        name=f"{trial.experiment}: {arm}", persona=persona, proxies={**(offline or {}), **online},
        north_star=north_star, shared=_shared(kept, trial.control, arm),
    )  # fmt: skip


def _complete(arms: Mapping[str, Moments], arm: str) -> bool:
    return bool(len(arms[arm].n) and arms[arm].n.sum() > 1)


def _reading(arms: Mapping[str, Moments], control: str, arm: str) -> Reading:
    found = effect(arms, control, arm)
    return Reading(value=float(found.effect[-1]), error=float(found.standard_error[-1]))


def _shared(arms: Mapping[str, Mapping[str, Moments]], control: str, arm: str) -> dict[tuple[str, str], float]:
    """The correlation of two metrics' errors, from the gaps of the cohorts that both have; shrunk for few cohorts."""
    gaps = {name: _gaps(found[arm], found[control]) for name, found in arms.items()}
    found: dict[tuple[str, str], float] = {}
    for one, other in combinations(sorted(gaps), 2):
        count = min(len(gaps[one]), len(gaps[other]))
        if count < LEAST_COHORTS:
            continue
        first, second = (gaps[name][:count] - gaps[name][:count].mean() for name in (one, other))
        size = float(np.sqrt((first @ first) * (second @ second)))
        if size > 0:
            found[one, other] = float(first @ second) / size * count / (count + LEAST_COHORTS)
    return found


def _gaps(challenger: Moments, control: Moments) -> Floats:
    """Each cohort's gap in units in which all vary alike."""
    weight = np.sqrt(challenger.n * control.n / np.maximum(challenger.n + control.n, 1.0))
    return weight * (np.nan_to_num(challenger.mean) - np.nan_to_num(control.mean))
