"""A campaign of 1,000 candidates, one in twenty a gain: false discoveries, power and harm, beside naive rules.

See `benchmarks.campaigns` for the traffic. The figure is the mean share of promotions that are no gains (false
discovery rate) at a cap of 28 days; 200 replicates of each campaign, 500 of the one in which no candidate helps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bounds import upper
from benchmarks.campaigns import LEVEL, Campaign, Finished, Rule, fixed_horizon, ours, peeking
from benchmarks.common import Result, main, progress

REPLICATES, NULL_REPLICATES, NAIVE_REPLICATES = 200, 500, 40
HARM = -0.005
LEAST_POWER = {28: 0.55, 56: 0.74}


def figures(replicates: list[list[Finished]]) -> dict[str, Any]:
    """What one rule did in all its replicates."""
    promoted = [[one for one in run if one.promoted] for run in replicates]
    false = np.array([sum(one.truth <= 0 for one in some) / max(len(some), 1) for some in promoted])
    right = sum(one.truth > 0 for some in promoted for one in some)
    gains = sum(one.truth > 0 for run in replicates for one in run)
    total = sum(map(len, promoted))
    harmful = sum(one.truth < HARM for some in promoted for one in some)
    days = float(np.mean([run[-1].day for run in replicates]))
    return {
        "replicates": len(replicates),
        "false_discovery": round(float(false.mean()), 5),
        "false_discovery_upper": round(float(false.mean() + 1.645 * false.std(ddof=1) / len(false) ** 0.5), 5),
        "power": round(right / max(gains, 1), 4),
        "promotions": round(total / len(replicates), 2),
        "harmful": harmful,
        "harmful_upper": round(upper(harmful, total), 5) if total else 1.0,
        "replicates_that_promote": sum(len(some) > 0 for some in promoted),
        "days": round(days, 1),
        "gains_per_1000_days": round(1000 * right / len(replicates) / days, 2),
    }


def rows(quick: bool) -> dict[str, dict[str, Any]]:
    """Every rule and campaign; each replicate has a seed of its own, the same for all rules."""

    def run(name: str, rule: Rule, cap: int, count: int, *, null: bool = False) -> None:
        seeds = range(2 if quick else count)
        found[name] = figures([Campaign(np.random.default_rng([2026, s]), rule, cap, null=null).run() for s in seeds])
        progress(f"{name}: {found[name]}")

    found: dict[str, dict[str, Any]] = {}
    run("ours, 28 days", ours, 28, REPLICATES)
    run("ours, 56 days", ours, 56, REPLICATES)
    run("ours, nothing helps", ours, 28, NULL_REPLICATES, null=True)
    run("daily peeking, 28 days", peeking, 28, NAIVE_REPLICATES)
    run("fixed horizon, 28 days", fixed_horizon, 28, NAIVE_REPLICATES)
    run("daily peeking, nothing helps", peeking, 28, NAIVE_REPLICATES // 2, null=True)
    return found


def measure(quick: bool) -> Result:
    """All goals of the campaign together."""
    found = rows(quick)
    both = [found[f"ours, {cap} days"] for cap in LEAST_POWER]
    null = found["ours, nothing helps"]
    any_upper = upper(null["replicates_that_promote"], null["replicates"])
    holds = all(row["false_discovery_upper"] <= LEVEL and row["harmful_upper"] <= 0.005 for row in both)
    holds = holds and all(row["power"] >= least for row, least in zip(both, LEAST_POWER.values(), strict=True))
    return Result(
        figure=both[0]["false_discovery"],
        unit="false discovery rate at a cap of 28 days",
        interval=(0.0, both[0]["false_discovery_upper"]),
        goal="upper bounds: false discoveries at most 5 %, harmful promotions at most .5 %, replicates that promote "
        "anything where nothing helps at most 5 %; power at least 55 % (28 days) and 74 % (56 days)",
        holds=holds and any_upper <= LEVEL,
        details={"rows": found, "any_promotion_where_nothing_helps_upper": round(any_upper, 4)},
    )


if __name__ == "__main__":
    main("campaign", measure, __doc__ or "")
