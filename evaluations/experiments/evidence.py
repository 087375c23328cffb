"""Evidence that may be looked at every day: e-processes and confidence sequences on an effect's score.

Knows nothing of cohorts, campaigns or decisions. An e-value is a bet against "no gain" that starts at 1 and can't be
expected to grow where there is none; by Ville's inequality it ever reaches 1 / alpha with chance at most alpha. The
score's Brownian motion makes these statements asymptotic in users (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
2021, arXiv 2103.06476).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluations.experiments.estimates import Estimate
from evolve.contracts import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Bet:
    """Which gains are bet on: a normal prior of the effect with this mean and deviation, cut to above zero.

    It must be fixed before the experiment starts (past experiments may have taught it). A wrong prior costs power and
    never the guarantee. Mean 0 is the half-normal bet.
    """

    mean: float
    sd: float


def log_evidence(estimate: Estimate, bet: Bet) -> Floats:
    """The log of the e-value against "the effect is 0 or below", at each look.

    The likelihood ratio exp(d S - d^2 I / 2) averaged over d of the bet (Robbins 1970; with mean 0 the one-sided
    normal mixture of Howard, Ramdas, McAuliffe and Sekhon 2021, proposition 6). For a true effect below zero each
    ratio is a supermartingale, so the bet is sound for the whole null.
    """
    from scipy.special import log_ndtr

    own = bet.sd**-2
    precision = estimate.information + own
    centre = (estimate.score + bet.mean * own) / precision
    gain = 0.5 * (precision * centre**2 - bet.mean**2 * own) - 0.5 * np.log(precision / own)
    return gain + log_ndtr(centre * np.sqrt(precision)) - float(log_ndtr(bet.mean / bet.sd))


def log_two_sided(estimate: Estimate, precision: float) -> Floats:
    """The log of the e-value against "the effect is exactly 0", with a normal prior of this precision around 0
    (the mixture sequential ratio test: Robbins 1970; Johari, Koomen, Pekelis and Walsh 2022, equation 5)."""
    whole = estimate.information + precision
    return 0.5 * estimate.score**2 / whole - 0.5 * np.log(whole / precision)


def half_width(information: Floats, alpha: float | Floats, precision: float) -> Floats:
    """Half the width of the confidence sequence that holds the effect at all looks with chance 1 - `alpha`.

    The effects that `log_two_sided` does not refuse (arXiv 2103.06476, equation 9). Infinite without information.
    """
    whole = information + precision
    with np.errstate(divide="ignore"):
        return np.sqrt(whole * np.log(whole / (precision * np.square(alpha)))) / information


def best_precision(information: float, alpha: float) -> float:
    """The mixture's precision that makes the sequence narrowest at this information.

    With r = 1 + information / precision the width is least where r - log r = 1 - 2 log alpha, which Lambert's W
    solves (arXiv 2103.06476, equation 161, gives an approximation).
    """
    from scipy.special import lambertw

    r = -float(lambertw(-np.exp(-1.0) * alpha**2, -1).real)
    return information / (r - 1.0)


def interval(estimate: Estimate, alpha: float | Floats, precision: float) -> tuple[Floats, Floats]:
    """The confidence sequence at each look: lower and upper ends."""
    half = half_width(estimate.information, alpha, precision)
    return estimate.effect - half, estimate.effect + half


def log_mismatch(counts: Floats, shares: Floats, concentration: float = 1000.0) -> Floats:
    """The log of the e-value against "users are assigned in these shares"; shape (..., looks).

    `counts` are users so far, shape (..., looks, arms); `shares` sum to 1, shape (arms,). A Dirichlet prior around
    the shares against the shares themselves (Lindon and Malek 2022, "Anytime-valid inference for multinomial count
    data"). The concentration fits deviations of a few points of a hundred; within one stage of a ramp only.
    """
    from scipy.special import gammaln

    own, n = concentration * shares, counts.sum(axis=-1)
    by_arm = gammaln(own + counts) - gammaln(own) - counts * np.log(shares)
    return gammaln(concentration) - gammaln(concentration + n) + by_arm.sum(axis=-1)


def ever(log_values: Floats, alpha: float | Floats) -> NDArray[np.bool_]:
    """Whether the level was reached by each look; once reached, for ever."""
    reached: NDArray[np.bool_] = np.logical_or.accumulate(log_values >= -np.log(alpha), axis=-1)
    return reached
