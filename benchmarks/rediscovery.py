"""Which of YouTube's five kinds of change a run of budget 50 on `video_ranking` finds again as confirmed gains.

A kind counts where a step of the run brought it, and that step's candidate beats the same candidate less that technique
(leave-one-out, so that a step of several techniques credits each with its own part) on users whom the search never saw,
under fresh training seeds, at .05 shared by the five kinds. Of a kind's steps the one that gained most over its own
parent in the search is taken. The same in worlds in which no ranking is better than another (family `noise`): there
nothing may be found.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents import edits
from benchmarks.common import Result, main, progress
from benchmarks.runs import PLACE, QUICK_BUDGET, finished, reopened
from evolve.archive import Archive
from evolve.contracts import Attempt, Candidate, Scored, Technique
from evolve.fingerprint import fingerprint

SPACE, BUDGET, RUN_SEEDS, NULL_WORLD = "video_ranking", 50, (0, 1, 2), "noise"
KINDS: Mapping[str, tuple[str, ...]] = {
    "RMSprop": ("rmsprop",),
    "gated path": ("gated_path", "gelu_norm_gate"),
    "reward synthesis": (
        "engaged_reward", "multi_signal_reward", "watch_share_reward", "return_reward", "skip_penalty",
    ),
    "FTRL": ("ftrl",),
    "Wide & Deep": ("wide_and_deep",),
}  # fmt: skip
ALPHA = 0.05 / len(KINDS)
REPLICATES = 8
"""Training seeds of a comparison: with the 3 of a run's own confirmations, their spread hides steps below .005."""
LEAST_KINDS, LEAST_RUNS = 3, 2


def best_step(archive: Archive, names: tuple[str, ...]) -> Attempt | None:
    """Of the steps that brought a technique of the kind, the one that gained most over its own parent."""
    steps = [
        attempt
        for attempt in archive.attempts
        if set(attempt.proposal.technique.split("+")) & set(names) and isinstance(attempt.outcome, Scored)
    ]
    return max(steps, key=lambda step: gain_over_parent(archive, step), default=None)


def gain_over_parent(archive: Archive, attempt: Attempt) -> float:
    """What the search says the whole step gave."""
    parent = archive.outcome(archive.by_commit[attempt.proposal.parents[0]].number)
    assert isinstance(attempt.outcome, Scored)
    return attempt.outcome.gain - (parent.gain if isinstance(parent, Scored) else 0.0)


def without(step: Attempt, parent: Candidate, names: tuple[str, ...], cards: Mapping[str, Technique]) -> Candidate:
    """The step's candidate less the kind: the parent with the step's other techniques, in their order."""
    tree = parent.tree
    for name in step.proposal.technique.split("+"):
        if name not in names:
            tree = edits.apply(tree, cards[name]) or tree
    if tree == parent.tree:
        return parent
    return replace(step.candidate, tree=tree, fingerprint=fingerprint(tree), commit="")


def rediscovered(seed: int, world: str, budget: int, place: Path) -> dict[str, Any]:
    """One run: for each kind what the search and the confirmation say."""
    folder, archive, _ = finished(SPACE, seed, budget=budget, world=world, place=place)
    assert archive.floor is not None and archive.champion is not None
    found: dict[str, Any] = {}
    with reopened(SPACE, seed, folder, world) as run:
        run.judge.resume_from(archive.seed, archive.floor)
        cards = {technique.name: technique for technique in run.space.techniques}
        for kind, names in KINDS.items():
            tried = sum(bool(set(a.proposal.technique.split("+")) & set(names)) for a in archive.attempts)
            step = best_step(archive, names)
            found[kind] = {"tried": tried, "confirmed": False}
            if step is not None and gain_over_parent(archive, step) > 0:
                less = without(step, archive.by_commit[step.proposal.parents[0]], names, cards)
                verdict = run.judge.confirm(step.candidate, less, ALPHA, REPLICATES)
                found[kind] |= {
                    "step": f"#{step.candidate.number} {step.proposal.technique}",
                    "search": round(gain_over_parent(archive, step), 4),
                    "effect": round(verdict.effect, 4),
                    "interval": (round(verdict.low, 4), round(verdict.high, 4)),
                    "confirmed": verdict.decision == "better",
                }
    kinds = [kind for kind, row in found.items() if row["confirmed"]]
    promoted = [archive.attempts[c.number - 1].proposal.technique for c in archive.confirmations if c.promoted]
    progress(f"{world}, run seed {seed}: {', '.join(kinds) or 'none'}; promoted: {', '.join(promoted) or 'none'}")
    return {"confirmed": kinds, "promoted": promoted, "looks": len(archive.confirmations), "kinds": found}


def measure(quick: bool) -> Result:
    """Three runs in the world and three where nothing can be better."""
    seeds, budget = ((0,), QUICK_BUDGET) if quick else (RUN_SEEDS, BUDGET)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) if quick else PLACE
        worlds = ("aligned",) if quick else ("aligned", NULL_WORLD)
        rows = {world: [rediscovered(seed, world, budget, place) for seed in seeds] for world in worlds}
    counts = sorted(len(row["confirmed"]) for row in rows["aligned"])
    false = [len(row["confirmed"]) + len(row["promoted"]) for row in rows.get(NULL_WORLD, [])]
    return Result(
        figure=counts[len(counts) // 2],
        unit="kinds of five that a run confirms, median over run seeds",
        interval=(counts[0], counts[-1]),
        goal=f"at least {LEAST_KINDS} in at least {LEAST_RUNS} of {len(RUN_SEEDS)} runs, and none in a null world",
        holds=sum(count >= LEAST_KINDS for count in counts) >= LEAST_RUNS and not sum(false),
        details=rows,
    )


if __name__ == "__main__":
    main("rediscovery", measure, __doc__ or "")
