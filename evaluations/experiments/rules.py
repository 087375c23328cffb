"""When an experiment ends, and how: the rules, the same for one experiment and for ten thousand.

Knows nothing of platforms, queues or journals. Promotion looks only at complete cohorts of the north star; harm may
look at a metric that matures sooner; what is promoted has passed every guardrail. All levels are fixed beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluations.experiments.estimates import Estimate
from evaluations.experiments.evidence import Bet, best_precision, ever, interval, log_evidence
from evolve.contracts import Action, Decision, Floats

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is fixed before an experiment starts. Effects are shares of the metric's baseline; days are cohorts.

    `smallest` is the gain below which nobody cares; `margins` are the losses that a guardrail may not be shown to
    exclude, by name; `information` is what the experiment is expected to gather, and only sets where intervals are
    narrowest.
    """

    bet: Bet
    harm_bet: Bet = field(default_factory=lambda: Bet(mean=0.01, sd=0.01))
    harm_alpha: float = 0.005
    mismatch_alpha: float = 0.001
    smallest: float = 0.005
    least_cohorts: int = 3
    least_users: int = 200
    futile_from: int = 7
    futile_z: float = 1.28
    most_cohorts: int = 28
    information: float = 60_000.0
    margins: Mapping[str, float] = field(default_factory=dict[str, float])


def counted(estimate: Estimate, plan: Plan) -> Flags:
    """Looks that may decide: enough cohorts and users for the score to be normal."""
    looks = np.arange(1, estimate.effect.shape[-1] + 1)
    return (looks >= plan.least_cohorts) & (estimate.users >= plan.least_users) & (estimate.information > 0)


def evidence(estimate: Estimate, bet: Bet, plan: Plan) -> Floats:
    """The log of the e-value at each look that may decide; minus infinity at the others."""
    return np.where(counted(estimate, plan), log_evidence(estimate, bet), -np.inf)


def promising(estimate: Estimate, plan: Plan, alpha: float | Floats) -> Flags:
    """Whether the north star's evidence has reached its level by each look."""
    return ever(evidence(estimate, plan.bet, plan), alpha)


def harmful(guardrail: Estimate, plan: Plan, share: float = 1.0) -> Flags:
    """Whether the evidence that the guardrail got worse has reached its `share` of `harm_alpha` by each look; from the
    first cohort, since a harm must not wait, and normal enough with `least_users`."""
    enough = (guardrail.users >= plan.least_users) & (guardrail.information > 0)
    return ever(np.where(enough, log_evidence(guardrail.mirrored(), plan.harm_bet), -np.inf), plan.harm_alpha * share)


def futile(estimate: Estimate, plan: Plan) -> Flags:
    """Whether a gain of `smallest` is out of sight by each look; needs no level, since it never promotes."""
    late = np.arange(1, estimate.effect.shape[-1] + 1) >= plan.futile_from
    seen = estimate.effect + plan.futile_z * estimate.standard_error < plan.smallest
    return np.logical_or.accumulate(late & seen, axis=-1)


def safe(guardrail: Estimate, margin: float, plan: Plan, alpha: float = 0.05) -> Flags:
    """Whether the guardrail is shown, at each look, to lose less than `margin`: its confidence sequence at one-sided
    `alpha` lies above -`margin` (non-inferiority; each guardrail must pass, so none needs a correction)."""
    low, _ = interval(guardrail, 2 * alpha, best_precision(plan.information, 2 * alpha))
    return low > -margin


def decide(
    north_star: Estimate,
    guardrails: Mapping[str, Estimate],
    log_mismatch: float,
    plan: Plan,
    alpha: float,
    trouble: str = "",
) -> Decision:
    """The decision of today. `north_star` has shape (looks,), one look a complete cohort; so has each guardrail.
    `trouble` says what was wrong with the platform's reports: then nothing is decided on them."""
    action, reason = _action(north_star, guardrails, log_mismatch, plan, alpha)
    if trouble:
        action, reason = Action.QUARANTINE, f"the platform's reports can't be trusted: {trouble}"
    precision = best_precision(plan.information, alpha)
    looks = north_star.effect.shape[-1]
    if not looks or north_star.information[-1] <= 0:
        return Decision(
            action=action, reason=reason, effect=0.0, low=-np.inf, high=np.inf, log_e=0.0, alpha=alpha,
            cohorts=looks, users=0,
        )  # fmt: skip
    low, high = interval(north_star, alpha, precision)
    return Decision(
        action=action, reason=reason, effect=float(north_star.effect[-1]), low=float(low[-1]), high=float(high[-1]),
        log_e=float(log_evidence(north_star, plan.bet)[-1]), alpha=alpha, cohorts=looks,
        users=int(north_star.users[-1]),
    )  # fmt: skip


def _action(
    north_star: Estimate, guardrails: Mapping[str, Estimate], log_mismatch: float, plan: Plan, alpha: float
) -> tuple[Action, str]:
    if log_mismatch >= -np.log(plan.mismatch_alpha):
        return Action.QUARANTINE, f"users are not split as asked: evidence e^{log_mismatch:.1f} of a mismatch"
    reported = {name: guardrail for name, guardrail in guardrails.items() if guardrail.effect.shape[-1]}
    level = plan.harm_alpha / max(len(reported), 1)
    harmed = [name for name, one in reported.items() if _last(harmful(one, plan, 1.0 / len(reported)))]
    if harmed:
        changed = ", ".join(f"{name} by {float(reported[name].effect[-1]):+.2%}" for name in harmed)
        return Action.ROLL_BACK, f"changed for the worse: {changed}; evidence of harm at level {level:.2g}"
    late = north_star.effect.shape[-1] >= plan.most_cohorts
    if _last(promising(north_star, plan, alpha)):
        return _guarded(guardrails, plan, alpha, late)
    if _last(futile(north_star, plan)):
        return Action.DROP, f"a gain of {plan.smallest:.2%} is out of sight"
    return (
        (Action.DROP, f"undecided after {plan.most_cohorts} cohorts") if late else (Action.EXTEND, "undecided so far")
    )


def _guarded(guardrails: Mapping[str, Estimate], plan: Plan, alpha: float, late: bool) -> tuple[Action, str]:
    """What becomes of a north star that is up: every guardrail must be shown to be safe."""
    unsafe = [name for name, margin in plan.margins.items() if not _last(safe(guardrails[name], margin, plan))]
    if not unsafe:
        return Action.PROMOTE, f"the north star is up: evidence reached 1 / {alpha:.2g}, every guardrail is safe"
    reason = f"the north star is up, but it is not shown that {', '.join(unsafe)} lost less than the margin"
    return (Action.DROP if late else Action.EXTEND), reason


def _last(flags: Flags) -> bool:
    return bool(flags.shape[-1] and flags[-1])
