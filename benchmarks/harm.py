"""How soon a harmful challenger is stopped, and how seldom a harmless one; how soon an uneven split is found.

The guardrail is a user's active days in the first seven, adjusted by the days before (correlation .7), with 8,000 new
users a day and arm; days count enrolment, and each cohort is complete eight days later. The figure is the median day
at which -2 % is stopped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import outcomes
from benchmarks.bounds import lower, upper
from benchmarks.common import Result, main, progress
from evaluations.experiments.estimates import difference
from evaluations.experiments.evidence import Bet, ever, log_mismatch
from evaluations.experiments.moments import theta_of
from evaluations.experiments.rules import Plan, harmful

SIMULATIONS, DAYS, USERS = 10_000, 28, 8_000
MEAN, SD, CORRELATION = 2.8, 2.2, 0.7
ASSIGNED = 2_000
"""New users a day of both arms together, in the check of the split."""
PLAN = Plan(bet=Bet(mean=0.0, sd=0.01))


def stops(rng: np.random.Generator, count: int, change: float) -> dict[str, Any]:
    """Median day of the stop (one that never comes counts as after the last day), and how many are stopped."""
    theta = theta_of(outcomes.with_past(rng, (1, 60), 2_000, MEAN, SD, CORRELATION))
    arms = [
        outcomes.with_past(rng, (count, DAYS), USERS, mean, SD, CORRELATION).adjusted(theta)
        for mean in (MEAN * (1 + change), MEAN)
    ]
    found = harmful(difference(*arms).relative(MEAN), PLAN)
    days = np.where(found.any(axis=1), found.argmax(axis=1) + 1, DAYS + 1)
    return {"median_day": float(np.median(days)), "stopped": int(found.any(axis=1).sum()), "of": count}


def splits(rng: np.random.Generator, count: int, share: float) -> dict[str, Any]:
    """How many uneven splits are found within a week and within four, and by a daily chi-squared test at .05."""
    treated = np.cumsum(rng.binomial(ASSIGNED, share, (count, DAYS)), axis=1).astype(float)
    total = ASSIGNED * np.arange(1.0, DAYS + 1)
    found = ever(log_mismatch(np.stack([total - treated, treated], axis=-1), np.array([0.5, 0.5])), PLAN.mismatch_alpha)
    peeks = np.abs(treated - total / 2) > 1.96 * np.sqrt(total) / 2
    within = {"week": int(found[:, 6].sum()), "four_weeks": int(found[:, -1].sum())}
    return {**within, "naive": int(peeks.any(axis=1).sum()), "of": count}


def measure(quick: bool) -> Result:
    """All goals together; the rollback itself is a matter of the platform and is tested there."""
    rng, count = np.random.default_rng(2026), 500 if quick else SIMULATIONS
    harms = {f"{change:+.0%}": stops(rng, count, change) for change in (-0.01, -0.02, -0.04, 0.0)}
    uneven = {f"{share:.0%}": splits(rng, count * 2, share) for share in (0.5, 0.51, 0.52)}
    for name, row in {**harms, **uneven}.items():
        progress(f"{name:5} {row}")
    false_stops = upper(harms["+0%"]["stopped"], count)
    false_alarms = upper(uneven["50%"]["four_weeks"], 2 * count)
    found = lower(uneven["52%"]["week"], 2 * count)
    day = harms["-2%"]["median_day"]
    return Result(
        figure=day,
        unit="median enrolment day on which -2 % activity is stopped",
        interval=None,
        goal="at most 4; false stops at most 1 %, false alarms of the split at most .1 % (upper bounds); 52:48 found "
        "within a week in at least half (lower bound)",
        holds=day <= 4 and false_stops <= 0.01 and false_alarms <= 0.001 and found >= 0.5,
        details={
            "changes": harms, "splits": uneven, "false_stops_upper": round(false_stops, 5),
            "false_alarms_upper": round(false_alarms, 6), "found_in_a_week_lower": round(found, 4),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main("harm", measure, __doc__ or "")
