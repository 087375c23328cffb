"""What another policy would have earned, from a log whose propensities are known: IPS, SNIPS and doubly robust.

Pure functions of arrays; knows no world and no model. An estimate is one more proxy: it may order a queue and it never
promotes. Horvitz and Thompson 1952; Swaminathan and Joachims 2015 (self-normalised); Dudik, Langford and Li 2011
(doubly robust). The unit is the round: one context, one action that was shown, one reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evolve.contracts import Floats
from evolve.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Logged rounds, all of shape (n,): the reward, the true chance with which the logging policy showed what it
    showed, and the chance with which the new policy would have. `predicted` is a model's reward of what was shown and
    `expected` its mean reward under the new policy; zeros where there is no model."""

    reward: Floats
    propensity: Floats
    target: Floats
    predicted: Floats
    expected: Floats

    def __post_init__(self) -> None:
        if len({len(getattr(self, name)) for name in Rounds.__slots__}) != 1 or not len(self.reward):
            raise UsageError("rounds must be one number each of reward, propensity, target, predicted and expected")
        if not (np.all(self.propensity > 0) and np.all(self.propensity <= 1)):
            raise UsageError(
                f"a propensity must be above 0 and at most 1; found {self.propensity.min()} to {self.propensity.max()}",
                hint="Only rounds that the logging policy could have shown can say anything of another policy.",
            )

    @property
    def weight(self) -> Floats:
        """How much more often the new policy would have shown it."""
        return self.target / self.propensity

    @property
    def effective(self) -> float:
        """How many rounds of the new policy's own this log is worth (Kish 1965)."""
        return float(self.weight.sum() ** 2 / np.maximum((self.weight**2).sum(), 1e-300))


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """The mean reward of a round under the new policy, with its standard error."""

    value: float
    error: float

    def interval(self, z: float = 1.959963984540054) -> tuple[float, float]:
        """Normal, at 95 % unless told otherwise."""
        return self.value - z * self.error, self.value + z * self.error


def ips(rounds: Rounds) -> Value:
    """Inverse propensity scoring: unbiased, and wide where policies differ."""
    return _mean(rounds.weight * rounds.reward)


def snips(rounds: Rounds) -> Value:
    """Self-normalised: a little biased, never beyond the rewards that were seen; its error by linearisation."""
    weight = rounds.weight
    if not weight.sum():
        return Value(value=0.0, error=float("inf"))
    value = float(weight @ rounds.reward / weight.sum())
    terms = weight * (rounds.reward - value) / weight.mean()
    return Value(value=value, error=float(terms.std()) / len(terms) ** 0.5)


def doubly_robust(rounds: Rounds) -> Value:
    """The model's mean under the new policy, mended by what it got wrong: unbiased whatever the model."""
    return _mean(rounds.expected + rounds.weight * (rounds.reward - rounds.predicted))


def chances(scores: Floats) -> Floats:
    """With which a policy that samples in proportion to exp(score) shows each of (..., actions) first."""
    mass = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return mass / mass.sum(axis=-1, keepdims=True)


def estimates(rounds: Rounds) -> Mapping[str, Value]:
    """All three, by name."""
    return {"ips": ips(rounds), "snips": snips(rounds), "doubly robust": doubly_robust(rounds)}


def _mean(terms: Floats) -> Value:
    return Value(value=float(terms.mean()), error=float(terms.std()) / len(terms) ** 0.5)
