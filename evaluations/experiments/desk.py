"""One experiment judged on one day: from the ledger's cohorts to a decision for each challenger.

Knows nothing of platforms, queues or journals; the same ledger and the same trial give the same decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evaluations.experiments.budget import Season
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.ledger import Ledger
from evaluations.experiments.moments import Moments, theta_of
from evaluations.experiments.rules import Plan, decide
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
    seen = {
        name: ledger.moments(trial.experiment, name, trial.shares) for name in (trial.north_star, *trial.guardrails)
    }
    return {
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


class Desk:
    """Implements `evolve.contracts.Experimenter`: a ledger, a season's budget of error, and one plan for all."""

    def __init__(self, season: Season, plan: Plan) -> None:
        self._season, self._plan, self._ledger = season, plan, Ledger()
        self._trials: dict[str, Trial] = {}

    def open(self, experiment: str, control: str, shares: Mapping[str, float]) -> None:
        trial = Trial(experiment=experiment, control=control, shares=dict(shares), plan=self._plan)
        self._trials.setdefault(experiment, trial)

    def tell(self, reports: Sequence[CohortReport]) -> None:
        self._ledger.add(reports)

    def decide(self, experiment: str, promotions: int, ended: bool) -> Mapping[str, Decision]:
        found = judge(self._ledger, self._trials[experiment], self._season.alpha(promotions))
        if not ended:
            return found
        entered = self._ledger.entered(experiment)
        return {arm: _last_word(decision, len(entered)) for arm, decision in found.items()}

    def close(self, experiment: str, decision: Decision) -> None:
        """Nothing is learned from it yet."""


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
