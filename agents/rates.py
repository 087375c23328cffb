"""Three rates of a model's answers, kept apart: do they land, do they do what they say, do they pay.

An answer that asks for a tool is none of them. Knows the verdicts that the agent notes and the outcomes of a history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evolve.contracts import Attempt, Scored

VETO = "the declared observable"
"""How the reason of a verdict begins where the mechanism was not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares, and the counts they are made of. A rate of nothing is None.

    `landing`: answers whose candidate ran, of all answers. `semantic_failure`: candidates whose declared mechanism
    was absent or that cheated, of those that ran. `effective`: answers whose candidate gained more than twice its
    standard error over the seed by the mechanism it declared, of all answers.
    """

    answers: int
    landed: int
    landing: float | None
    semantic_failure: float | None
    effective: float | None
    refused: dict[str, int]


def rates(attempts: Sequence[Attempt], verdicts: Iterable[str], models: frozenset[str]) -> Rates:
    """The rates of a run. `verdicts` are those of its answers; `models` the names that proposals of models bear."""
    refused = Counter(verdict for verdict in verdicts if not verdict.startswith("tool "))
    accepted = refused.pop("accepted", 0)
    answers = accepted + refused.total()
    mine = [attempt for attempt in attempts if attempt.proposal.proposer in models]
    ran = [a for a in mine if isinstance(a.outcome, Scored) or a.outcome.kind == "cheated"]
    absent = [a for a in ran if not _meant_what_it_said(a)]
    paid = [a for a in ran if _meant_what_it_said(a) and _gained(a)]
    return Rates(
        answers=answers,
        landed=len(ran),
        landing=len(ran) / answers if answers else None,
        semantic_failure=len(absent) / len(ran) if ran else None,
        effective=len(paid) / answers if answers else None,
        refused=dict(sorted(refused.items())),
    )


def _meant_what_it_said(attempt: Attempt) -> bool:
    outcome = attempt.outcome
    if not isinstance(outcome, Scored):
        return False
    return outcome.verdict is None or not outcome.verdict.reason.startswith(VETO)


def _gained(attempt: Attempt) -> bool:
    outcome = attempt.outcome
    return isinstance(outcome, Scored) and outcome.gain > 2 * max(0.0, outcome.standard_error)
