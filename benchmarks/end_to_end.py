"""The whole campaign against known truth: 100 worlds of each family, our rules beside a scripted engineer.

Candidates' true effects were lived in small worlds of each family (`benchmarks.lived`); a season of 365 days on 50 of
them is `benchmarks.seasons`. A world here is a draw of candidates and of all its experiments' users from its family's
pool: 96 candidates from four generated worlds. The figure is the share of aligned worlds whose champion is truly
better than the seed when the season ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bounds import lower, upper
from benchmarks.common import Result, main, progress
from benchmarks.lived import RATE, Pool, pool
from benchmarks.seasons import DAYS, Engineer, Ours, Play, Played
from evaluations.experiments.lesson_table import NORTH_STAR
from evaluations.production_truth import Kind

REPLICATES, WORLDS, EACH, USERS, TINY_USERS = 100, 4, 24, 1_000, 6_000
IMPROVES, BEATS, REGRET = 0.90, 0.73, 0.5


def season(lived: Pool, seed: int, rule: type[Play]) -> tuple[Play, Played]:
    play = rule(lived, np.random.default_rng([12, seed]))
    return play, play.run()


def regret(play: Play, played: Played) -> float:
    """Sum over days of what the best candidate would have been worth more."""
    return float((max(float(play.truth.max()), 0.0) - np.array(played.values)).sum())


def baits(play: Play, played: Played) -> int:
    """Promotions that gain clicks and lose people."""
    rate, truth = play.pool.column(RATE), play.truth
    return sum(bool(rate[one] > 0 and truth[one] < 0) for one in played.promoted)


def family(lived: Pool, count: int) -> dict[str, Any]:
    """Both rules in every world of a family; the same candidates, other luck in the experiments."""
    runs = {rule: [season(lived, seed, rule) for seed in range(count)] for rule in (Ours, Engineer)}
    ends = {rule: np.array([played.values[-1] for _, played in some]) for rule, some in runs.items()}
    both_regrets = {rule: np.array([regret(*one) for one in some]) for rule, some in runs.items()}
    mine, theirs = ends[Ours], ends[Engineer]
    wins = int((both_regrets[Ours] < both_regrets[Engineer]).sum())
    promotions = {rule: sum(len(played.promoted) for _, played in some) for rule, some in runs.items()}
    bait = {rule: sum(baits(*one) for one in some) for rule, some in runs.items()}
    return {
        "worlds": count, "improved": int((mine > 0).sum()), "worse": int((mine < 0).sum()),
        "promotions": promotions[Ours], "false promotions": sum(p.false for _, p in runs[Ours]),
        "bait": bait[Ours], "bait_upper": round(upper(bait[Ours], max(promotions[Ours], 1)), 4),
        "value": round(float(mine.mean()), 5), "lower regret than the engineer": wins,
        "lower regret_lower": round(lower(wins, count), 4),
        "gain a week": round(float(mine.mean()) / DAYS * 7, 6), "regret": round(float(both_regrets[Ours].mean()), 4),
        "true effects": [round(float(x), 5) for x in np.quantile(lived.column(NORTH_STAR), [0.05, 0.5, 0.95])],
        "engineer": {
            "improved": int((theirs > 0).sum()), "worse": int((theirs < 0).sum()), "promotions": promotions[Engineer],
            "false promotions": sum(p.false for _, p in runs[Engineer]), "bait": bait[Engineer],
            "value": round(float(theirs.mean()), 5), "gain a week": round(float(theirs.mean()) / DAYS * 7, 6),
            "regret": round(float(both_regrets[Engineer].mean()), 4),
        },
    }  # fmt: skip


def lived_of(kind: Kind, quick: bool) -> Pool:
    users = TINY_USERS if kind is Kind.TINY else USERS
    return pool(kind, 3, 30, 300) if quick else pool(kind, WORLDS, EACH, users)


def measure(quick: bool) -> Result:
    """All families."""
    kinds = (Kind.NULL, Kind.ALIGNED) if quick else tuple(Kind)
    rows = {}
    for kind in kinds:
        rows[str(kind)] = family(lived_of(kind, quick), 3 if quick else REPLICATES)
        progress(f"{kind}: {rows[str(kind)]}")
    aligned, count = rows["aligned"], rows["aligned"]["worlds"]
    holds = not quick and _holds(rows)
    return Result(
        figure=round(aligned["improved"] / count, 4),
        unit="share of aligned worlds whose champion is truly better than the seed after 365 days",
        interval=(
            round(lower(aligned["improved"], count, 0.975), 4),
            round(upper(aligned["improved"], count, 0.975), 4),
        ),
        goal="at least .90; no null world below the seed; no click bait promoted in Goodhart worlds; tiny effects stay "
        "undecided; lower regret than the engineer in at least .73 of aligned worlds (lower bound above .5), and at "
        "most half of the engineer's",
        holds=holds,
        details=rows,
    )


def _holds(rows: dict[str, dict[str, Any]]) -> bool:
    aligned, count = rows["aligned"], rows["aligned"]["worlds"]
    better = aligned["lower regret than the engineer"] >= BEATS * count and aligned["lower regret_lower"] > 0.5
    honest = rows["null"]["worse"] == 0 and rows["goodhart"]["bait"] == 0 and rows["tiny"]["promotions"] == 0
    halved = aligned["regret"] <= REGRET * aligned["engineer"]["regret"]
    return bool(aligned["improved"] >= IMPROVES * count and better and honest and halved)


if __name__ == "__main__":
    main("end_to_end", measure, __doc__ or "")
