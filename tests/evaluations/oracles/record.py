"""Writes down what independent libraries answer, for `test_experiments_agree.py`.

They can't share one environment (gbstats asks for numpy 1, the others for numpy 2), so each interpreter adds what it
has: `pip install online-fdr==1.0.0 statsmodels==0.15.0 ville==0.1.0`, `pip install gbstats==0.8.0` and
`pip install spotify-confidence==4.1.0`, each in an environment of its own, then `python record.py` in all three.
"""

from __future__ import annotations

import json
from importlib import metadata, util
from pathlib import Path

import numpy as np

PLACE = Path(__file__).parent / "recorded.json"


def inputs() -> dict:
    """Two arms of 400 users with a covariate and a denominator, a stream of 150 normals, and 60 e-values."""
    rng = np.random.default_rng(20261124)
    x = rng.gamma(2.0, 3.0, (2, 400))
    y = 0.8 * x + rng.normal(0, 2.0, (2, 400)) + np.array([[0.0], [0.4]])
    visits = rng.integers(1, 9, (2, 400)).astype(float)
    stream = rng.normal(0.15, 1.0, 150)
    e_values = np.exp(rng.normal(-1, 2, 60) + np.where(rng.random(60) < 0.2, 9.0, 0.0))
    drawn = {"x": x, "y": y, "visits": visits, "stream": stream, "e_values": e_values}
    return {name: np.round(values, 6).tolist() for name, values in drawn.items()}


def statsmodels(given: dict) -> dict:
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    y, x = np.array(given["y"]), np.array(given["x"])
    welch = CompareMeans(DescrStatsW(y[1]), DescrStatsW(y[0])).tconfint_diff(usevar="unequal")
    slope = OLS(y.ravel(), np.column_stack([np.ones(y.size), x.ravel()])).fit().params[1]
    return {"middle": float(np.mean(welch)), "theta": float(slope)}


def ville(given: dict) -> dict:
    import ville as library
    from ville._boundaries import normal_mixture
    from ville.evalues import ebh

    tested = library.MSPRT(sigma=1.0, tau=0.3).fit(np.array(given["stream"]))
    whole = library.GaussianMixtureCS(sigma=1.0, alpha=0.05, t_opt=100, intersect=False).fit(np.array(given["stream"]))
    times = np.array([10.0, 50.0, 100.0, 150.0])
    return {
        "log_e": tested.log_e_values_.tolist(),
        "half_width": (np.asarray(whole.upper_) - np.asarray(whole.estimate_)).tolist(),
        "precision": whole.rho_,
        "one_sided_boundary": normal_mixture(times, 0.01, 25.0, one_sided=True).tolist(),
        "times": times.tolist(),
        "together": ebh(np.array(given["e_values"]), 0.1).tolist(),
    }


def online_fdr(given: dict) -> dict:
    from online_fdr.e_values import ELond, e_bh

    season = ELond(alpha=0.1)
    found = [bool(season.test_one(value)) for value in given["e_values"]]
    weights = [season._calc_gamma(k) for k in range(1, len(found) + 1)]
    return {"found": found, "weights": weights, "together": list(e_bh(given["e_values"], 0.1))}


def gbstats(given: dict) -> dict:
    from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
    from gbstats.models.statistics import (
        RatioStatistic,
        RegressionAdjustedStatistic,
        SampleMeanStatistic,
        compute_theta,
    )

    def plain(values: np.ndarray) -> SampleMeanStatistic:
        return SampleMeanStatistic(n=len(values), sum=values.sum(), sum_squares=(values**2).sum())

    def tested(arms: list) -> dict:
        config = SequentialConfig(difference_type="absolute", sequential_tuning_parameter=5000)
        test = SequentialTwoSidedTTest(arms[0], arms[1], config)
        interval = test.confidence_interval
        return {
            "effect": test.point_estimate, "variance": test.variance, "low": interval[0], "high": interval[1],
            "p": test.p_value, "rho": float(test.rho),
        }  # fmt: skip

    y, x, visits = (np.array(given[name]) for name in ("y", "x", "visits"))
    arms = [
        RegressionAdjustedStatistic(
            n=400, post_statistic=plain(y[k]), pre_statistic=plain(x[k]), post_pre_sum_of_products=(y[k] * x[k]).sum(),
            theta=0,
        )
        for k in range(2)
    ]  # fmt: skip
    theta = compute_theta(*arms)
    for arm in arms:
        arm.theta = theta
    ratios = [
        RatioStatistic(
            n=400, m_statistic=plain(y[k]), d_statistic=plain(visits[k]), m_d_sum_of_products=(y[k] * visits[k]).sum()
        )
        for k in range(2)
    ]
    return {
        "plain": tested([plain(arm) for arm in y]), "adjusted": tested(arms), "theta": theta,
        "ratio_variances": [arm.variance for arm in ratios],
    }  # fmt: skip


def spotify_confidence(given: dict) -> dict:
    import pandas as pd
    from spotify_confidence import ZTest

    y = np.array(given["y"])
    rows = [{"arm": str(k), "y": y[k].sum(), "yy": (y[k] ** 2).sum(), "n": 400} for k in range(2)]
    test = ZTest(pd.DataFrame(rows), "y", "yy", "n", categorical_group_columns="arm")
    row = test.difference("0", "1").iloc[0]
    margin = test.difference("0", "1", non_inferiority_margins=(0.05, "increase")).iloc[0]
    return {
        "effect": row["difference"], "low": row["ci_lower"], "high": row["ci_upper"],
        "not_worse_by_5_percent": bool(margin["is_significant"]),
    }  # fmt: skip


def main() -> None:
    known = json.loads(PLACE.read_text()) if PLACE.exists() else {}
    known["inputs"] = inputs()
    for ask in (statsmodels, ville, online_fdr, gbstats, spotify_confidence):
        if util.find_spec(ask.__name__):
            version = metadata.version(ask.__name__.replace("_", "-"))
            known[ask.__name__] = {"version": version, **ask(known["inputs"])}
    PLACE.write_text(json.dumps(known, indent=0) + "\n")


if __name__ == "__main__":
    main()
