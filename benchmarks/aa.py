"""False promotions where nothing differs: A/A experiments that are looked at every day.

Six kinds of metric, 28 and 60 daily looks, levels .05 and .01; the naive rule (z above 1.96 at any look) beside ours.
The figure is the worst cell's upper bound of false promotions (95 %, Clopper-Pearson) as a share of its level.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import outcomes
from benchmarks.bounds import upper
from benchmarks.common import Result, main, progress
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.evidence import Bet, best_precision
from evaluations.experiments.moments import Moments, theta_of
from evaluations.experiments.rules import Plan, promising

EXPERIMENTS, CHUNK = 10_000, 500
USERS = 1_000
"""New users a day and arm."""
LOOKS = (28, 60)
LEVELS = (0.05, 0.01)
WINDOW = 14
"""Days until a cohort of the delayed metric is complete."""
CPU_S = 120.0

Draw = Callable[[np.random.Generator, outcomes.Shape], Moments]
Seen = tuple[Estimate, Estimate]
"""What our rule looks at, and what the naive one does."""


def plain(draw: Draw) -> Callable[[np.random.Generator, outcomes.Shape], Seen]:
    """Both rules look at the same complete cohorts."""

    def seen(rng: np.random.Generator, shape: outcomes.Shape) -> Seen:
        estimate = difference(draw(rng, shape), draw(rng, shape))
        return estimate, estimate

    return seen


def ratio(rng: np.random.Generator, shape: outcomes.Shape) -> Seen:
    past = outcomes.ratio(np.random.default_rng(1), (1, 60), USERS, 0.1).total()
    rate, shown = float(past.y.sum() / past.x.sum()), float(past.x.sum() / past.n.sum())
    return plain(lambda rng, shape: outcomes.ratio(rng, shape, USERS, 0.1).linearised(rate, shown))(rng, shape)


def adjusted(rng: np.random.Generator, shape: outcomes.Shape) -> Seen:
    theta = theta_of(outcomes.with_past(np.random.default_rng(1), (1, 60), USERS, 3.0, 2.0, 0.7))
    return plain(lambda rng, shape: outcomes.with_past(rng, shape, USERS, 3.0, 2.0, 0.7).adjusted(theta))(rng, shape)


def delayed(rng: np.random.Generator, shape: outcomes.Shape) -> Seen:
    """Ours looks at complete cohorts; the naive rule, on the same days, at all that has been reported so far."""
    days = shape[1] + WINDOW
    arms = [outcomes.delayed(rng, (shape[0], days), USERS, 0.3, WINDOW, 5.0) for _ in range(2)]
    ages = np.arange(days)[:, None] + np.arange(WINDOW)[None, :]

    def reported(arm: np.ndarray) -> np.ndarray:
        by_day = np.stack([arm[:, ages == day].sum(axis=1) for day in range(WINDOW, days)], axis=1)
        return arm[:, ages < WINDOW].sum(axis=1)[:, None] + np.cumsum(by_day, axis=1)

    complete = [arm[:, : shape[1]].sum(axis=2) for arm in arms]
    full = [Moments(n=np.full(shape, float(USERS)), y=y, yy=y, x=0 * y, xx=0 * y, xy=0 * y) for y in complete]
    users = USERS * np.arange(WINDOW + 1.0, days + 1)
    shares = [reported(arm) / users for arm in arms]
    variance = sum(share * (1 - share) / users for share in shares)
    return difference(*full), Estimate(effect=shares[0] - shares[1], information=1 / variance, users=2 * users)


CELLS: dict[str, Callable[[np.random.Generator, outcomes.Shape], Seen]] = {
    "binary": plain(lambda rng, shape: outcomes.binary(rng, shape, USERS, 0.3)),
    "count": plain(lambda rng, shape: outcomes.counts(rng, shape, USERS, 6.0)),
    "heavy tail": plain(lambda rng, shape: outcomes.heavy_tail(rng, shape, USERS, 0.1, 1.5)),
    "ratio": ratio,
    "pre-period-adjusted": adjusted,
    "delayed": delayed,
}


def plan_for(estimate: Estimate, looks: int) -> Plan:
    """A half-normal bet that is sharpest halfway through: the hardest one for the level, since it is bold enough."""
    information = float(np.median(estimate.information[:, looks // 2]))
    return Plan(bet=Bet(mean=0.0, sd=best_precision(information, 0.1) ** -0.5))


def promoted(cell: str, number: int, experiments: int) -> Iterator[tuple[str, int, float, int]]:
    """Per looks and level: how many experiments are promoted by ours, and (level 0) by the naive rule."""
    rng = np.random.default_rng([2026, number])
    for begin in range(0, experiments, CHUNK):
        ours, naive = CELLS[cell](rng, (min(CHUNK, experiments - begin), LOOKS[-1]))
        peeks = naive.effect > 1.96 * naive.standard_error
        for looks in LOOKS:
            plan = plan_for(ours, looks)
            for level in LEVELS:
                yield cell, looks, level, int(promising(ours, plan, level)[:, looks - 1].sum())
            yield cell, looks, 0.0, int(peeks[:, :looks].any(axis=1).sum())


def table(experiments: int) -> list[dict[str, Any]]:
    """One row a cell, with bounds."""
    totals: dict[tuple[str, int, float], int] = {}
    for number, cell in enumerate(CELLS):
        for name, looks, level, found in promoted(cell, number, experiments):
            totals[name, looks, level] = totals.get((name, looks, level), 0) + found
    rows: list[dict[str, Any]] = []
    for cell in CELLS:
        for looks in LOOKS:
            row: dict[str, Any] = {"metric": cell, "looks": looks}
            for level in LEVELS:
                found = totals[cell, looks, level]
                row |= {f"at {level}": found / experiments, f"upper at {level}": upper(found, experiments)}
            rows.append({**row, "naive": totals[cell, looks, 0.0] / experiments})
    return [{k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def measure(quick: bool) -> Result:
    """The whole table."""
    experiments, begun = 500 if quick else EXPERIMENTS, time.process_time()
    rows = table(experiments)
    cpu_s = time.process_time() - begun
    for row in rows:
        progress("  ".join(f"{name} {value}" for name, value in row.items()))
    worst = max(row[f"upper at {level}"] / level for row in rows for level in LEVELS)
    return Result(
        figure=round(worst, 3),
        unit="upper 95 % bound of false promotions as a share of the level, in the worst cell",
        interval=None,
        goal=f"at most 1 in every cell, within {CPU_S:.0f} CPU seconds",
        holds=worst <= 1.0 and cpu_s <= CPU_S,
        details={"experiments a cell": experiments, "cpu_s": round(cpu_s, 1), "table": rows},
    )


if __name__ == "__main__":
    main("aa", measure, __doc__ or "")
