"""A finished experiment becomes a lesson: effects of early metrics and the north star, and the error they share."""

from __future__ import annotations

import numpy as np
import pytest

from evaluations.experiments.desk import Trial
from evaluations.experiments.evidence import Bet
from evaluations.experiments.ledger import Ledger
from evaluations.experiments.lesson_table import NORTH_STAR, Reading
from evaluations.experiments.lessons import lesson_of, readings
from evaluations.experiments.rules import Plan
from evolve.contracts import CohortReport

SHARES = {"champion": 0.5, "challenger": 0.5}
TRIAL = Trial(experiment="e", control="champion", shares=SHARES, plan=Plan(bet=Bet(mean=0.01, sd=0.01)))


def reported(cohorts: int, shared: float, gain: float = 0.0, metrics=("clicks", NORTH_STAR), seed: int = 0) -> Ledger:
    """Users whose clicks and north star correlate by `shared`, in both arms."""
    rng, reports = np.random.default_rng(seed), []
    for day in range(cohorts):
        for arm in SHARES:
            both = rng.multivariate_normal([5.0, 5.0], [[1.0, shared], [shared, 1.0]], 400)
            both += gain * (arm == "challenger")
            for name, y in zip(("clicks", NORTH_STAR), both.T, strict=True):
                if name in metrics:
                    reports.append(
                        CohortReport(
                            experiment="e", arm=arm, entered=day, metric=name, users=400, n=400.0,
                            y=float(y.sum()), yy=float(y @ y),
                        )
                    )  # fmt: skip
    ledger = Ledger()
    ledger.add(reports)
    return ledger


def test_effects_are_those_of_the_experiment_and_offline_proxies_stand_beside_them():
    lesson = lesson_of(reported(20, 0.3, gain=0.5), TRIAL, "challenger", "reward", {"auc": Reading(value=1, error=0.1)})
    assert lesson is not None and set(lesson.proxies) == {"auc", "clicks"}
    assert lesson.proxies["clicks"].value == pytest.approx(0.1, abs=4 * lesson.proxies["clicks"].error)
    assert lesson.north_star.value == pytest.approx(0.1, abs=4 * lesson.north_star.error)


@pytest.mark.parametrize("shared", [-0.8, 0.0, 0.8])
def test_the_shared_error_is_seen_from_cohort_to_cohort(shared):
    found = [
        lesson_of(reported(28, shared, seed=seed), TRIAL, "challenger", "any").shared["clicks", NORTH_STAR]
        for seed in range(10)
    ]
    assert np.mean(found) == pytest.approx(shared * 28 / 32, abs=0.12)


def test_an_experiment_whose_north_star_never_came_teaches_nothing_but_has_readings():
    ledger = reported(5, 0.0, metrics=("clicks",))
    assert lesson_of(ledger, TRIAL, "challenger", "any") is None
    assert set(readings(ledger, TRIAL, "challenger")) == {"clicks"}
