"""What users whose north star is not known yet add to an experiment, and that it invents nothing.

Users of the generated world under its champion: their active days of the first week and of days 29 to 56. Experiments
of 28 cohorts are drawn from them by assigning each user to an arm at random, so that nothing differs: 10,000 A/A
experiments under 28 daily looks at level .05. At the first look three cohorts are mature and all 28 have their early
metric. The figure is the gain in information at that look over the north star alone; beside it, what the days before
give, and what both give together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bounds import upper
from benchmarks.common import Result, main, progress
from benchmarks.lived import SMALL
from evaluations.experiments.augmentation import augmented
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.evidence import Bet
from evaluations.experiments.moments import Moments, moments_of
from evaluations.experiments.rules import Plan, promising
from evaluations.production_truth import CHAMPION, live
from evolve.contracts import Floats

USERS, COHORTS, COHORT, LEAD, FIRST, EXPERIMENTS, LEVEL, LEAST = 12_000, 28, 1_000, 25, 3, 10_000, 0.05, 1.4


def lived(users: int) -> Floats:
    """Early days, north star and the days before of exposed users; shape (3, users)."""
    found = live(SMALL, users, CHAMPION)
    exposed = np.isfinite(found.before)
    return np.array([found.early_active[exposed], found.north_star[exposed], found.before[exposed]])


def without(values: Floats, covariate: Floats) -> Floats:
    """Values with their part that the covariate tells taken out."""
    centred = covariate - covariate.mean()
    return values - (values @ centred) / (centred @ centred) * centred


def arms(values: Floats, rng: np.random.Generator, count: int) -> tuple[Moments, Moments, Moments, Moments]:
    """Early and mature moments of challenger and control: users drawn with replacement; shape (count, cohorts)."""
    both = []
    for _ in range(2):
        who = rng.integers(0, values.shape[1], (count, COHORTS, COHORT))
        early, late = values[0][who], values[1][who]
        both.append((moments_of(early), moments_of(late, early)))
    return both[0][0], both[1][0], both[0][1], both[1][1]


def looked(values: Floats, seed: int, count: int) -> tuple[Estimate, Estimate]:
    """Augmented and plain estimates of A/A experiments, relative to the north star's mean."""
    early_a, early_b, late_a, late_b = arms(values, np.random.default_rng([21, seed]), count)
    found = augmented((early_a, early_b), (late_a, late_b), COHORTS, LEAD)
    return found, difference(late_a, late_b)


def measure(quick: bool) -> Result:
    """The gain, and its own A/A."""
    users = lived(2_000 if quick else USERS)
    baseline = float(users[1].mean())
    adjusted = np.array([without(users[0], users[2]), without(users[1], users[2]), users[2]])
    plan, batch, count = Plan(bet=Bet(mean=0.01, sd=0.01)), 50, 200 if quick else EXPERIMENTS
    rows: dict[str, Any] = {}
    for name, values in (("plain", users), ("adjusted by the days before", adjusted)):
        gains, wrong = [], 0
        for seed in range(count // batch):
            found, plain = looked(values, seed, batch)
            gains.append(found.information[:, FIRST - 1] / plain.information[:, FIRST - 1])
            wrong += int(promising(found.relative(baseline), plan, LEVEL)[:, -1].sum())
        rows[name] = {
            "gain": round(float(np.mean(gains)), 4), "promoted": wrong, "of": count,
            "upper": round(upper(wrong, count), 5), "correlation": round(float(np.corrcoef(values[:2])[0, 1]), 4),
        }  # fmt: skip
        progress(f"{name}: {rows[name]}")
    before = float(users[1].var() / adjusted[1].var())
    gain = rows["plain"]["gain"]
    return Result(
        figure=gain,
        unit="information at the first look over that of the north star alone",
        interval=None,
        goal=f"at least {LEAST}; false promotions of its own A/A at most {LEVEL} (upper bounds)",
        holds=gain >= LEAST and all(row["upper"] <= LEVEL for row in rows.values()),
        details={
            **rows, "gain of the days before": round(before, 4),
            "gain of both": round(before * rows["adjusted by the days before"]["gain"], 4),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main("early_information", measure, __doc__ or "")
