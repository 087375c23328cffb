"""What a run's finished experiments teach, read from its archive: lessons in the order in which experiments ended.

Decides nothing. The same archive gives the same lessons, so that a queue that they order is the same after a resume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evolve.archive import Archive
from evolve.campaign import Experiment, candidate_of
from evolve.contracts import Action, Scored

if TYPE_CHECKING:
    from evaluations.experiments.lesson_table import Lesson, Reading

UNTRUSTED = (Action.QUARANTINE,)
"""Ends that teach nothing of a candidate; a challenger that is tried again has taught something already."""


def lessons(archive: Archive) -> list[Lesson]:
    """One for each challenge that ended with complete cohorts of the north star."""
    ended = [one for one in archive.campaign.experiments if one.kind == "challenge" and one.end]
    ended.sort(key=lambda one: (one.end.day if one.end else 0, one.number))
    return [found for one in ended if (found := _lesson(archive, one))]


def taught(archive: Archive) -> list[str]:
    """Lines for the offline agent: each ended experiment, then which proxies can't be trusted."""
    from evaluations.experiments.calibration import calibrate

    learned = lessons(archive)
    said = [
        f"candidate {candidate_of(one.challenger)} against {candidate_of(one.control)}: {one.end.decision.action}, "
        f"active days {one.end.decision.effect:+.1%} [{one.end.decision.low:+.1%}, {one.end.decision.high:+.1%}]"
        for one in archive.campaign.experiments
        if one.kind == "challenge" and one.end and one.end.decision.users
    ]
    return [*said, *(calibrate(learned).lines if learned else ())]


def offline_reading(archive: Archive, challenger: str, control: str) -> dict[str, Reading]:
    """How much better the challenger's primary proxy is than the control's, in the search."""
    from evaluations.experiments.lesson_table import Reading

    new, old = (_gain(archive, candidate_of(arm)) for arm in (challenger, control))
    name = f"{archive.settings['metric']} (offline)"
    return {name: Reading(value=new[0] - old[0], error=max((new[1] ** 2 + old[1] ** 2) ** 0.5, 1e-6))}


def persona_of(archive: Archive, arm: str) -> str:
    """Whose proposal the arm is; nothing for the seed."""
    number = candidate_of(arm)
    found = (a.proposal.persona for a in archive.attempts if a.candidate.number == number)
    return str(next(found, ""))


def idea_of(archive: Archive, arm: str) -> str:
    """What the arm's candidate is, in its proposer's words; nothing for the seed."""
    number = candidate_of(arm)
    return next((a.proposal.hypothesis for a in archive.attempts if a.candidate.number == number), "")


def _lesson(archive: Archive, one: Experiment) -> Lesson | None:
    from evaluations.experiments.desk import Trial
    from evaluations.experiments.evidence import Bet
    from evaluations.experiments.ledger import Ledger
    from evaluations.experiments.lessons import lesson_of
    from evaluations.experiments.rules import Plan

    if one.end is None or one.end.decision.action in UNTRUSTED:
        return None
    ledger = Ledger()
    ledger.add(one.reports)
    plan = Plan(bet=Bet(mean=0.01, sd=0.01))  # a lesson is what was measured; no plan changes it
    trial = Trial(experiment=one.name, control=one.control, shares=one.shares, plan=plan)
    offline = offline_reading(archive, one.challenger, one.control)
    return lesson_of(ledger, trial, one.challenger, persona_of(archive, one.challenger), offline)


def _gain(archive: Archive, number: int) -> tuple[float, float]:
    outcome = archive.outcome(number)
    return (outcome.gain, outcome.standard_error) if isinstance(outcome, Scored) else (0.0, 0.0)
