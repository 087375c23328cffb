"""One experiment judged on one day: from the ledger's cohorts to a decision for each challenger.

Knows nothing of platforms, queues or journals; the same ledger and the same trial give the same decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaluations.experiments.budget import Season
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.ledger import Ledger
from evaluations.experiments.moments import Moments, theta_of
from evaluations.experiments.rules import Plan, decide
from evaluations.experiments.shrinkage import Effects, vague
from evolve.contracts import Action, CohortReport, Decision

GUARDRAILS = (
    "early_active", "crash_free", "diversity", "revenue",
    "early_active/phone", "early_active/computer", "early_active/television",
)  # fmt: skip
"""More is better of each; what comes after a slash is a slice of users, which must not be harmed while all others gain.
A platform that does not report one of them loses nothing but its guard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is fixed when an experiment starts: its arms' shares (the control among them), metrics and plan."""

    experiment: str
    control: str
    shares: Mapping[str, float]
    plan: Plan
    north_star: str = "north_star"
    guardrails: tuple[str, ...] = GUARDRAILS

    @property
    def challengers(self) -> tuple[str, ...]:
        """All arms but the control."""
        return tuple(arm for arm in self.shares if arm != self.control)


def effect(arms: Mapping[str, Moments], control: str, challenger: str) -> Estimate:
    """The challenger's relative effect, adjusted by what users did before.

    Slope and baseline come from the control's users: both converge, and neither knows how the arms differ.
    """
    if not arms[control].n.sum():
        return difference(arms[challenger], arms[control])
    theta, whole = theta_of(arms[control]), arms[control].total()
    estimate = difference(arms[challenger].adjusted(theta), arms[control].adjusted(theta))
    baseline = abs(float(whole.y[0] / whole.n[0]))
    return estimate.relative(baseline) if baseline > 0 else estimate


def judge(ledger: Ledger, trial: Trial, alpha: float) -> dict[str, Decision]:
    """Today's decision for each challenger at the level that the season allows."""
    trouble = ledger.trouble(trial.experiment)
    mismatch = ledger.log_mismatch(trial.experiment, trial.shares)
    names = (trial.north_star, *trial.guardrails)
    seen = {name: ledger.moments(trial.experiment, name, trial.shares) for name in names}
    held_back = {name: ledger.missing(trial.experiment, name, trial.shares) for name in names}
    found = {
        arm: decide(
            effect(seen[trial.north_star], trial.control, arm),
            {name: effect(seen[name], trial.control, arm) for name in trial.guardrails},
            mismatch,
            trial.plan,
            alpha,
            trouble,
        )
        for arm in trial.challengers
    }
    return {arm: _with_missing(decision, held_back) for arm, decision in found.items()}


def _with_missing(decision: Decision, held_back: Mapping[str, Sequence[int]]) -> Decision:
    """Says what an experiment that goes on waits for, where a platform has left it out."""
    said = [
        f"{name} of {len(days)} day{'s' if len(days) > 1 else ''} (the first: {days[0]}) is overdue, later ones wait"
        for name, days in held_back.items()
        if days
    ]
    if decision.action is not Action.EXTEND or not said:
        return decision
    return replace(decision, reason="; ".join([decision.reason, *said]))


class Desk:
    """Implements `evolve.contracts.Experimenter`: a ledger, a season's budget of error, and one plan for all.

    Finished experiments teach the distribution of effects that shrinks what is reported of later ones, from `effects`
    on; what decides stays as the plan fixed it.
    """

    def __init__(self, season: Season, plan: Plan, effects: Effects | None = None) -> None:
        self._season, self._plan, self._ledger = season, plan, Ledger()
        self._believed = effects or vague()
        self._trials: dict[str, Trial] = {}
        self._finished: list[Estimate] = []

    def open(self, experiment: str, control: str, shares: Mapping[str, float]) -> None:
        trial = Trial(experiment=experiment, control=control, shares=dict(shares), plan=self._plan)
        self._trials.setdefault(experiment, trial)

    def tell(self, reports: Sequence[CohortReport]) -> None:
        self._ledger.add(reports)

    def decide(self, experiment: str, promotions: int, ended: bool) -> Mapping[str, Decision]:
        trial = self._trials[experiment]
        found = judge(self._ledger, trial, self._season.alpha(promotions))
        found = {arm: self._shrunk(trial, arm, each) for arm, each in found.items()}
        if not ended:
            return found
        entered = self._ledger.entered(experiment)
        return {arm: _last_word(decision, len(entered)) for arm, decision in found.items()}

    def close(self, experiment: str, decision: Decision) -> None:
        for arm in self._trials[experiment].challengers:
            last = self._last(self._trials[experiment], arm)
            if last is not None:
                self._finished.append(last)

    def _last(self, trial: Trial, arm: str) -> Estimate | None:
        """The north star's estimate over all complete cohorts, if there is any."""
        seen = effect(self._ledger.moments(trial.experiment, trial.north_star, trial.shares), trial.control, arm)
        looks = seen.effect.shape[-1]
        return seen.at(looks - 1) if looks and seen.information[-1] > 0 else None

    def _shrunk(self, trial: Trial, arm: str, decision: Decision) -> Decision:
        last = self._last(trial, arm)
        if last is None:
            return decision
        past = self._finished
        if past:
            joined = Estimate(**{n: np.concatenate([getattr(p, n) for p in past]) for n in Estimate.__slots__})
            return replace(decision, shrunk=float(self._believed.learned(joined).mean(last)[0]))
        return replace(decision, shrunk=float(self._believed.mean(last)[0]))


def _last_word(decision: Decision, entered: int) -> Decision:
    """Nothing more will be reported: what is undecided is dropped, and what never came is said."""
    if decision.action is not Action.EXTEND:
        return decision
    missing = entered - decision.cohorts
    said = f"all {entered} cohorts are reported"
    if not entered:
        said = "the platform never reported anything"
    elif missing:
        said = f"{missing} of {entered} cohorts were never complete in all arms"
    return replace(decision, action=Action.DROP, reason=f"{decision.reason}; {said}")
