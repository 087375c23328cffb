"""Whether the effect that is reported at a launch is true: its interval's coverage and its mean against the truth.

Promotions of 200 campaigns of 1,000 candidates (`benchmarks.campaigns`). The effect is shrunk by a distribution that is
learned within the campaign from finished experiments; its interval is the confidence sequence at the level that the
promotion spent. Beside them: the raw estimate, a fixed 95 % interval, and the posterior's own 95 % interval.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bounds import both
from benchmarks.campaigns import Campaign, Finished, ours
from benchmarks.common import Result, main, progress

REPLICATES, COVERED, BAND = 200, 0.95, (0.95, 1.05)


def table(promoted: list[Finished]) -> dict[str, Any]:
    """Coverage of three intervals, and sums of estimates over sums of truths."""
    effect, truth = (np.array([getattr(one, name) for one in promoted]) for name in ("effect", "truth"))
    shrunk, half = (np.array([getattr(one, name) for one in promoted]) for name in ("shrunk", "half"))
    fixed = 1.96 / np.sqrt(np.array([one.information for one in promoted]))
    posterior = np.array([one.low <= one.truth <= one.high for one in promoted])
    return {
        "promotions": len(promoted),
        "covered": int((np.abs(effect - truth) <= half).sum()),
        "fixed_95_covers": round(float((np.abs(effect - truth) <= fixed).mean()), 4),
        "posterior_95_covers": round(float(posterior.mean()), 4),
        "raw_over_truth": round(float(effect.sum() / truth.sum()), 4),
        "mean_half_width": round(float(half.mean()), 5),
        "mean_truth": round(float(truth.mean()), 5),
        "shrunk_over_truth": round(float(shrunk.sum() / truth.sum()), 4),
    }


def spread(runs: list[list[Finished]]) -> tuple[float, float]:
    """The 95 % bootstrap interval of shrunk over truth; the unit is the campaign."""
    sums = np.array([[sum(one.shrunk for one in run), sum(one.truth for one in run)] for run in runs])
    draws = np.random.default_rng(0).integers(0, len(sums), (2000, len(sums)))
    low, high = np.quantile(sums[draws, 0].sum(axis=1) / sums[draws, 1].sum(axis=1), [0.025, 0.975])
    return round(float(low), 4), round(float(high), 4)


def measure(quick: bool) -> Result:
    """The ratio of reported to true effects, and the coverage beside it."""
    runs: list[list[Finished]] = []
    for seed in range(4 if quick else REPLICATES):
        finished = Campaign(np.random.default_rng([4052, seed]), ours, 28).run()
        runs.append([one for one in finished if one.promoted])
    found = table([one for run in runs for one in run])
    progress(str(found))
    covered = both(found["covered"], found["promotions"])
    ratio = found["shrunk_over_truth"]
    return Result(
        figure=ratio,
        unit="sum of reported (shrunk) effects over the sum of true ones, among the promoted",
        interval=spread(runs),
        goal="between .95 and 1.05; the reported interval covers the truth at least 95 % of the time (lower bound)",
        holds=BAND[0] <= ratio <= BAND[1] and covered[0] >= COVERED,
        details={**found, "coverage_interval": [round(end, 5) for end in covered]},
    )


if __name__ == "__main__":
    main("effects", measure, __doc__ or "")
