"""Outcomes of experiments as sums over users, drawn fast: what the statistical benchmarks feed the rules with.

Each draw is exact for its distribution of users; only the sums that the statistics need are kept. Nothing here knows a
rule. Shapes are (experiments, cohorts); one call makes one arm.
"""

from __future__ import annotations

import numpy as np

from evaluations.experiments.moments import Moments
from evolve.contracts import Floats

Shape = tuple[int, int]


def binary(rng: np.random.Generator, shape: Shape, users: int, rate: float) -> Moments:
    """Users who do it or not."""
    hits = rng.binomial(users, rate, shape).astype(float)
    return _plain(users, hits, hits)


def counts(rng: np.random.Generator, shape: Shape, users: int, mean: float) -> Moments:
    """Active days and the like: a Poisson count whose mean differs from user to user (negative binomial, shape 1.5),
    cut at 28."""
    from scipy import stats

    values = np.arange(29.0)
    chances = stats.nbinom.pmf(values, 1.5, 1.5 / (1.5 + mean))
    chances[-1] += 1.0 - chances.sum()
    seen = rng.multinomial(users, chances, shape)
    return _plain(users, seen @ values, seen @ values**2)


def heavy_tail(rng: np.random.Generator, shape: Shape, users: int, payers: float, sigma: float) -> Moments:
    """Revenue and the like: few pay, and what they pay is lognormal."""
    paying = rng.binomial(users, payers, shape).astype(np.int64)
    ends = np.cumsum(paying.ravel())
    paid = np.exp(sigma * rng.standard_normal(int(ends[-1]), dtype=np.float32)).astype(float)

    def by_cohort(values: Floats) -> Floats:
        whole = np.concatenate([[0.0], np.cumsum(values)])
        return np.diff(whole[np.concatenate([[0], ends])]).reshape(shape)

    return _plain(users, by_cohort(paid), by_cohort(paid**2))


def ratio(rng: np.random.Generator, shape: Shape, users: int, rate: float) -> Moments:
    """Clicks (y) over impressions (x): a user's visits of 1 to 8 slates of ten, and a click rate of the user's own."""
    population = 4096
    own = np.random.default_rng(0)
    shown = 10.0 * own.integers(1, 9, population)
    clicked = own.binomial(shown.astype(int), own.beta(2.0, 2.0 / rate - 2.0, population)).astype(float)
    table = np.stack([clicked, clicked**2, shown, shown**2, clicked * shown], axis=1)
    sums = np.empty((*shape, 5))
    for row in range(shape[0]):
        who = rng.integers(0, population, (shape[1], users), dtype=np.uint16)
        sums[row] = [np.bincount(day, minlength=population) @ table for day in who]
    y, yy, x, xx, xy = np.moveaxis(sums, -1, 0)
    return Moments(n=np.full(shape, float(users)), y=y, yy=yy, x=x, xx=xx, xy=xy)


def with_past(rng: np.random.Generator, shape: Shape, users: Floats | int, mean: Floats | float, sd: float,
              correlation: float) -> Moments:  # fmt: skip
    """Normal users with a covariate of this correlation (mean 0, deviation 1) from before the experiment.

    Means and squared deviations of normal users are independent, and the latter follow Wishart's law, drawn by
    Bartlett's decomposition (1933): exact for any number of users. `mean` and `users` may have the given shape.
    """
    n = np.broadcast_to(np.asarray(users, dtype=float), shape)
    first, second = rng.standard_normal((2, *shape)) / np.sqrt(n)
    rest = np.sqrt(1.0 - correlation**2)
    x, y = first, mean + sd * (correlation * first + rest * second)
    a, c = rng.chisquare(n - 1.0), rng.chisquare(n - 2.0)
    b = rng.standard_normal(shape)
    xx = a
    xy = sd * (correlation * a + rest * np.sqrt(a) * b)
    yy = sd**2 * (correlation**2 * a + 2 * correlation * rest * np.sqrt(a) * b + rest**2 * (b**2 + c))
    return Moments(n=n, y=n * y, yy=yy + n * y**2, x=n * x, xx=xx + n * x**2, xy=xy + n * x * y)


def delayed(rng: np.random.Generator, shape: Shape, users: int, rate: float, window: int, scale: float) -> Floats:
    """Conversions by age: shape (experiments, cohorts, window). A user converts with `rate`, after an exponential delay
    of mean `scale` days that is cut at the window's end; what happened on day a of a cohort is known from then on."""
    edges = 1.0 - np.exp(-np.arange(window + 1) / scale)
    chances = rate * np.diff(edges) / edges[-1]
    return rng.multinomial(users, np.append(chances, 1.0 - rate), shape)[..., :window].astype(float)


def _plain(users: int, y: Floats, yy: Floats) -> Moments:
    zero = np.zeros_like(y)
    return Moments(n=np.full(y.shape, float(users)), y=y, yy=yy, x=zero, xx=zero, xy=zero)
