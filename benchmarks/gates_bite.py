"""Two deliberately wrong tests must fail the gate that the right ones pass: false promotions within the level.

`user-days`: the days of one user are taken as independent (Spotify's "Peeking 2.0": always-valid tests break when the
unit is wrong). `same users`: of twenty candidates that do nothing the best by its first week's early metric goes on
with the same users. Beside each stands its right form: users as the unit, and fresh users after the choice.
"""

from __future__ import annotations

import numpy as np

from benchmarks import outcomes
from benchmarks.bounds import lower, upper
from benchmarks.common import Result, main, progress
from evaluations.experiments.estimates import Estimate, difference
from evaluations.experiments.evidence import Bet, best_precision
from evaluations.experiments.moments import Moments
from evaluations.experiments.rules import Plan, promising
from evolve.contracts import Floats

EXPERIMENTS, CHUNK, LEVEL = 10_000, 500, 0.05
USERS, DAYS = 400, 56
CANDIDATES, WEEK, CORRELATION = 20, 7, 0.75


def promoted(estimate: Estimate) -> int:
    """How many of the experiments are promoted, with a half-normal bet that is sharpest halfway through."""
    information = float(np.median(estimate.information[:, estimate.information.shape[1] // 2]))
    plan = Plan(bet=Bet(mean=0.0, sd=best_precision(information, 2 * LEVEL) ** -0.5))
    return int(promising(estimate, plan, LEVEL)[:, -1].sum())


def user_days(rng: np.random.Generator, count: int) -> dict[str, int]:
    """A panel of 400 users an arm is watched for 56 days; each has a habit of their own. Right: a user enters once."""

    def panel() -> Moments:
        habit = rng.beta(0.8, 0.8, (count, USERS))
        active = np.stack([(rng.random(habit.shape) < habit).sum(axis=1) for _ in range(DAYS)], axis=1).astype(float)
        zero = np.zeros_like(active)
        return Moments(n=zero + USERS, y=active, yy=active, x=zero, xx=zero, xy=zero)

    fresh = [outcomes.binary(rng, (count, DAYS), USERS, 0.5) for _ in range(2)]
    return {"wrong": promoted(difference(panel(), panel())), "right": promoted(difference(*fresh))}


def same_users(rng: np.random.Generator, count: int) -> dict[str, int]:
    """North star and early metric correlate .75 over users; the covariate's place holds the early metric."""

    def arms(shape: outcomes.Shape) -> tuple[Moments, Floats]:
        pair = [outcomes.with_past(rng, shape, USERS, 1.0, 1.0, CORRELATION) for _ in range(2)]
        early = [(arm.x / arm.n)[:, :WEEK].mean(axis=1) for arm in pair]
        plain = [arm.adjusted(0.0) for arm in pair]
        return difference(*plain), early[0] - early[1]  # type: ignore[return-value]

    kept: list[Estimate] = []
    for _ in range(count):
        estimate, early = arms((CANDIDATES, 28))
        kept.append(_row(estimate, int(early.argmax())))
    fresh, _ = arms((count, 28))
    return {"wrong": promoted(_stacked(kept)), "right": promoted(fresh)}  # type: ignore[arg-type]


def _row(estimate: Estimate, row: int) -> Estimate:
    return Estimate(effect=estimate.effect[row], information=estimate.information[row], users=estimate.users[row])


def _stacked(rows: list[Estimate]) -> Estimate:
    names = ("effect", "information", "users")
    return Estimate(**{name: np.stack([getattr(row, name) for row in rows]) for name in names})


def measure(quick: bool) -> Result:
    """The lower bounds of the wrong tests' false promotions must lie above the level; the right ones' upper below."""
    rng, count = np.random.default_rng(2026), 500 if quick else EXPERIMENTS
    totals: dict[str, dict[str, int]] = {}
    for _ in range(0, count, CHUNK):
        for name, found in (("user-days", user_days(rng, CHUNK)), ("same users", same_users(rng, CHUNK))):
            totals[name] = {kind: totals.get(name, {}).get(kind, 0) + n for kind, n in found.items()}
    for name, found in totals.items():
        progress(f"{name:10} wrong {found['wrong'] / count:.4f}  right {found['right'] / count:.4f}")
    bites = min(lower(found["wrong"], count) for found in totals.values())
    passes = max(upper(found["right"], count) for found in totals.values())
    return Result(
        figure=round(bites, 4),
        unit=f"lower 95 % bound of false promotions at level {LEVEL}, of the wrong test that is caught least",
        interval=None,
        goal=f"above {LEVEL}, so that the gate refuses both; the right tests' upper bounds below it",
        holds=bites > LEVEL and passes <= LEVEL,
        details={"experiments": count, "promoted": totals, "right_upper": round(passes, 4)},
    )


if __name__ == "__main__":
    main("gates_bite", measure, __doc__ or "")
