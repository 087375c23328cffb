"""Days to a decision for a gain of 1 %, and whether it is found: daily looks with a learned bet, beside other rules.

10,000 new users a day and arm, a covariate that correlates .5, at most 47 enrolment days, level .05. The bet is learned
from 1,000 past experiments of the same service, whose estimates are noisy and whose truth is not told: one in ten is a
gain of 1 % on average (deviation .5 %). What the same rule does after a history of larger gains, or with no history,
stands beside it. In the simulated production, the variance of the north star that is left after adjustment by the 14
days before is measured too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import outcomes
from benchmarks.bounds import both
from benchmarks.common import Result, main, progress
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.evidence import Bet, best_precision, half_width
from evaluations.experiments.moments import moments_of, theta_of
from evaluations.experiments.rules import Plan, promising
from evaluations.experiments.shrinkage import vague
from evaluations.production_truth import CHAMPION, live
from evaluations.world import WorldConfig
from evolve.contracts import Floats

SIMULATIONS, USERS, MOST_DAYS = 20_000, 10_000, 47
RATE, LIFT, CORRELATION, ALPHA = 0.3, 0.01, 0.5, 0.05
SD = (RATE * (1 - RATE)) ** 0.5
LEAST_POWER, MOST_MEAN_DAYS, MOST_VARIANCE_LEFT = 0.87, 23.5, 0.5
PAST = 1_000


def experiments(rng: np.random.Generator, count: int, days: int, lift: Floats | float, adjusted: bool) -> Estimate:
    """Relative effects of experiments whose challenger has this true lift, one cohort a day."""
    theta = theta_of(outcomes.with_past(rng, (1, 60), 2_000, RATE, SD, CORRELATION)) if adjusted else 0.0
    gained = RATE * (1.0 + np.reshape(lift, (-1, 1)))
    arms = [
        outcomes.with_past(rng, (count, days), USERS, mean, SD, CORRELATION).adjusted(theta) for mean in (gained, RATE)
    ]
    return difference(*arms).relative(RATE)


def learned_bet(rng: np.random.Generator, gains: Floats) -> Bet:
    """The bet that past experiments teach: mean and deviation of the learned effects above half a percent."""
    past = experiments(rng, len(gains), 14, gains, True).at(-1)
    flat = Estimate(effect=past.effect[:, 0], information=past.information[:, 0], users=past.users[:, 0])
    return vague().learned(flat).bet(0.005)


def histories(rng: np.random.Generator) -> dict[str, Bet]:
    """The bets after three histories."""
    gains = {
        "learned": np.maximum(rng.normal(0.01, 0.005, PAST), 0.0),
        "learned from larger gains": rng.uniform(0.005, 0.03, PAST),
    }
    none = rng.random(PAST) > 0.1
    bets = {name: learned_bet(rng, np.where(none, 0.0, gain)) for name, gain in gains.items()}
    return {**bets, "no history": Bet(mean=0.0, sd=0.01)}


def summary(found: Floats) -> dict[str, float]:
    """Power and mean enrolment days of flags of shape (simulations, days)."""
    days = np.where(found.any(axis=1), found.argmax(axis=1) + 1, MOST_DAYS)
    return {"power": round(float(found.any(axis=1).mean()), 4), "mean_days": round(float(days.mean()), 2)}


def fixed_horizon(estimate: Estimate) -> dict[str, float]:
    """One look on the day when a fixed one-sided test would have 80 % power."""
    needed = ((1.645 + 0.842) / LIFT) ** 2
    day = min(int(np.searchsorted(np.median(estimate.information, axis=0), needed)), MOST_DAYS - 1)
    power = float((estimate.effect[:, day] > 1.645 * estimate.standard_error[:, day]).mean())
    return {"power": round(power, 4), "mean_days": float(day + 1)}


def compared(estimate: Estimate, bets: dict[str, Bet]) -> dict[str, dict[str, float]]:
    """Every rule on the same experiments."""
    rows = {name: summary(promising(estimate, Plan(bet=bet), ALPHA)) for name, bet in bets.items()}
    precision = best_precision(float(estimate.information[:, -1].mean()) / 2, ALPHA)
    sequence = estimate.effect > half_width(estimate.information, ALPHA, precision)
    return {**rows, "two-sided sequence": summary(sequence), "fixed horizon": fixed_horizon(estimate)}


def variance_left(users: int) -> float:
    """Of the north star in the generated world under its champion, once the days before are taken out."""
    lived = live(WorldConfig(), users, CHAMPION)
    exposed = np.isfinite(lived.before)
    y, x = lived.north_star[exposed], lived.before[exposed]
    plain, theta = moments_of(y[None], x[None]), theta_of(moments_of(y[None], x[None]))
    return float(plain.adjusted(theta).squares[0] / plain.squares[0])


def measure(quick: bool) -> Result:
    """Power with its interval; mean days beside it."""
    left = variance_left(2_000 if quick else 20_000)
    progress(f"variance left in the simulated production after adjustment: {left:.3f}")
    rng, count = np.random.default_rng(2026), 500 if quick else SIMULATIONS
    bets = histories(rng)
    rows: dict[str, Any] = {}
    for name, adjusted in (("correlation .5", True), ("not adjusted", False)):
        rows[name] = compared(experiments(rng, count, MOST_DAYS, LIFT, adjusted), bets)
    for setting, rules in rows.items():
        for rule, row in rules.items():
            progress(f"{setting:15} {rule:26} power {row['power']:.3f}  mean days {row['mean_days']:.1f}")
    ours = rows["correlation .5"]["learned"]
    low, high = both(round(ours["power"] * count), count)
    return Result(
        figure=ours["power"],
        unit=f"power at a lift of 1 %, in {ours['mean_days']} enrolment days on average",
        interval=(round(low, 4), round(high, 4)),
        goal=f"at least {LEAST_POWER}, in at most {MOST_MEAN_DAYS} days on average; adjustment halves the variance "
        "in the simulated production",
        holds=ours["power"] >= LEAST_POWER and ours["mean_days"] <= MOST_MEAN_DAYS and left <= MOST_VARIANCE_LEFT,
        details={
            "variance_left_in_production": round(left, 4),
            "simulations": count,
            "bets": {n: [round(b.mean, 4), round(b.sd, 4)] for n, b in bets.items()},
            **rows,
        },
    )


if __name__ == "__main__":
    main("power", measure, __doc__ or "")
