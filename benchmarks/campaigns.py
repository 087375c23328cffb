"""Campaigns of a thousand candidates on simulated traffic: what `campaign` and `effects` measure.

Four challengers at a time share one control; 8,000 new users a day and arm; a covariate that correlates .5. One in
twenty candidates is a gain of .5 to 3 %, one in ten a loss of as much, the others do nothing. A slot is free again on
the day after its experiment ends. Maturation adds a constant lag to every experiment and no slot time, and is left
out. Three rules can be run on the same traffic: ours, daily peeking and a fixed horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks import outcomes
from evaluations.experiments.budget import Season
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.evidence import Bet, best_precision, half_width
from evaluations.experiments.moments import Moments
from evaluations.experiments.rules import Plan, evidence, futile, harmful
from evaluations.experiments.shrinkage import Effects, vague
from evolve.contracts import Floats

CANDIDATES, SLOTS, USERS, CORRELATION = 1_000, 4, 8_000, 0.5
MEAN, SD = 0.3, (0.3 * 0.7) ** 0.5
LEVEL, LEARN_EVERY = 0.05, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One experiment's end. `alpha` is the level that it was held to, `shrunk`, `low` and `high` what was reported on
    that day: the posterior mean and its 95 % interval from what was learned so far; `half` is half the confidence
    sequence's width at the spent level."""

    number: int
    truth: float
    day: int
    promoted: bool
    alpha: float
    effect: float
    information: float
    half: float
    shrunk: float
    low: float
    high: float


@dataclass(slots=True)
class Running:
    """An experiment in a slot: its whole future path, read one day at a time."""

    number: int
    begun: int
    estimate: Estimate
    logs: Floats
    ends: int


Rule = Callable[[Estimate, int, "Campaign"], tuple[Floats, int]]
"""The path of log evidence and the cohort at which the experiment ends without a promotion."""


def truths(rng: np.random.Generator, *, null: bool) -> Floats:
    """True relative effects of the candidates, in the order in which they come."""
    kind, size = rng.random(CANDIDATES), rng.uniform(0.005, 0.03, CANDIDATES)
    effects = np.where(kind < 0.05, size, np.where(kind < 0.15, -size, 0.0))
    return np.zeros(CANDIDATES) if null else effects


class Campaign:
    """One replicate; `run` gives every finished experiment in the order of their ends."""

    def __init__(self, rng: np.random.Generator, rule: Rule, most_cohorts: int, *, null: bool = False) -> None:
        self.truth = truths(rng, null=null)
        self.most, self.rule, self.season = most_cohorts, rule, Season(level=LEVEL, tests=CANDIDATES)
        self.learned: Effects = vague()
        self.bet = Bet(mean=0.01, sd=0.01)
        self.finished: list[Finished] = []
        self.promotions = 0
        shape = (CANDIDATES, most_cohorts)
        mean = MEAN * (1.0 + self.truth[:, None])
        self._challengers = outcomes.with_past(rng, shape, USERS, mean, SD, CORRELATION).adjusted(CORRELATION * SD)
        days = (1, CANDIDATES * most_cohorts // SLOTS + most_cohorts + 1)
        self._control = outcomes.with_past(rng, days, USERS, MEAN, SD, CORRELATION).adjusted(CORRELATION * SD)

    def run(self) -> list[Finished]:
        """Day by day until the last candidate is decided."""
        running: list[Running] = []
        waiting, day = 0, 0
        while waiting < CANDIDATES or running:
            while waiting < CANDIDATES and len(running) < SLOTS:
                running.append(self._launch(waiting, day))
                waiting += 1
            day += 1
            running = [one for one in running if not self._ended(one, day)]
        return self.finished

    def _launch(self, number: int, day: int) -> Running:
        estimate = difference(_rows(self._challengers, number, 0, self.most), _rows(self._control, 0, day, self.most))
        relative = estimate.relative(MEAN)
        logs, ends = self.rule(relative, self.most, self)
        return Running(number=number, begun=day, estimate=relative, logs=logs, ends=ends)

    def _ended(self, one: Running, day: int) -> bool:
        look, alpha = day - one.begun - 1, self.alpha()
        promoted = bool(one.logs[look] >= -np.log(alpha))
        if not promoted and look + 1 < one.ends:
            return False
        self.promotions += promoted
        self.finished.append(self._report(one, look, day, promoted, alpha))
        if len(self.finished) % LEARN_EVERY == 0:
            self._learn()
        return True

    def alpha(self) -> float:
        """The level of today's looks."""
        return self.season.alpha(self.promotions)

    def _report(self, one: Running, look: int, day: int, promoted: bool, alpha: float) -> Finished:
        seen = one.estimate.at(look)
        precision = best_precision(float(one.estimate.information[-1]), alpha)
        low, high = self.learned.interval(seen)
        return Finished(
            number=one.number, truth=float(self.truth[one.number]), day=day, promoted=promoted, alpha=alpha,
            effect=float(seen.effect[0]), information=float(seen.information[0]),
            half=float(half_width(seen.information, alpha, precision)[0]),
            shrunk=float(self.learned.mean(seen)[0]), low=float(low[0]), high=float(high[0]),
        )  # fmt: skip

    def _learn(self) -> None:
        """Every finished experiment teaches the distribution of effects, and it the next bets."""
        effect = np.array([one.effect for one in self.finished])
        information = np.array([one.information for one in self.finished])
        self.learned = vague().learned(Estimate(effect=effect, information=information, users=information))
        self.bet = self.learned.bet(0.005)


def ours(estimate: Estimate, most: int, campaign: Campaign) -> tuple[Floats, int]:
    """Evidence with the learned bet; futility and harm end an experiment early."""
    plan = Plan(bet=campaign.bet, most_cohorts=most, harm_alpha=0.01)
    stopped = futile(estimate, plan) | harmful(estimate, plan)
    return evidence(estimate, plan.bet, plan), int(stopped.argmax()) + 1 if stopped.any() else most


def peeking(estimate: Estimate, most: int, campaign: Campaign) -> tuple[Floats, int]:
    """z above 1.645 at any day's look promotes, whatever was promoted before."""
    return np.where(estimate.effect > 1.645 * estimate.standard_error, np.inf, -np.inf), most


def fixed_horizon(estimate: Estimate, most: int, campaign: Campaign) -> tuple[Floats, int]:
    """One look at the last day, each candidate at one-sided .05."""
    logs = np.full(most, -np.inf)
    if estimate.effect[-1] > 1.645 * estimate.standard_error[-1]:
        logs[-1] = np.inf
    return logs, most


def _rows(moments: Moments, row: int, begin: int, count: int) -> Moments:
    return Moments(**{name: getattr(moments, name)[row, begin : begin + count] for name in Moments.__slots__})
