"""Every operator, searched without a model at a budget of 50, against the strongest of eager torch, torch.compile and a
naive C loop.

The figure is the geometric mean, over operators, of the champion's speed in a fresh process: medians of 31 interleaved
rounds a case, before any fall-back; its interval resamples rounds. Beside it each operator's cases, its share of the
roofline, and whether the operator, written plainly, is right on every backend at hand and every adversarial input.

Takes some ten minutes an operator on a machine that does nothing else. What was measured of one is kept as data with
its commit and machine, `results/kernels/OP.json`, and is measured again where its specification is another, or where
the file was taken away: a search that got better does not change the file by itself.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import RESULTS, Result, commit, machine, main, progress
from benchmarks.runs import finished, reopened
from evaluations.kernels.backends import backends
from evolve.contracts import Scored
from sandbox.choose import choose
from search_spaces.kernel_space import METRIC, load
from search_spaces.kernel_spec import operators
from tests.attacks.corpus.kernels import arena

GOAL, DISPATCHED, ROOFLINE, AT_ROOFLINE, BUDGET, RESAMPLED = 1.5, 0.97, 0.8, 3, 50, 2000
PARTS = RESULTS / "kernels"
PATIENCE_S = 300.0
"""Triton's interpreter takes half a minute for a large case of attention."""
Rounds = dict[str, NDArray[np.float64]]


def kept(operator: str) -> tuple[Rounds, dict[str, Any]]:
    """What is measured of an operator, or was before."""
    path, digest = PARTS / f"{operator}.json", load(f"kernel:{operator}").digest
    part: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    if part.get("digest") != digest:
        made = {"machine": machine(), "commit": commit()}
        rounds, row = searched(operator)
        row = {"correct": right_everywhere(operator), **row, **made}
        part = {"digest": digest, "row": row, "rounds": {name: found.tolist() for name, found in rounds.items()}}
        PARTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(part, indent=1) + "\n")
    return {name: np.array(found) for name, found in part["rounds"].items()}, part["row"]


def searched(operator: str) -> tuple[Rounds, dict[str, Any]]:
    """Binary logarithms of the champion's speed by case and round, and what else is worth a column."""
    name = f"kernel:{operator}"
    folder, archive, timing = finished(name, 0, budget=BUDGET)
    champion = archive.champion
    assert champion is not None
    with reopened(name, 0, folder) as run:
        final = run.judge.tested(champion, archive.seed)["champion"].measurements[-1]
    rounds = {
        case.name: final.metrics[f"{METRIC}_{case.name}"][np.isfinite(final.metrics[f"{METRIC}_{case.name}"])]
        for case in load(name).spec.timed
    }
    scored = sum(isinstance(attempt.outcome, Scored) for attempt in archive.attempts)
    return rounds, {"ended": archive.ended, "wall_s": timing.whole_s, "champion": champion.number,
                    "candidates": archive.counted, "scored": scored,
                    "roofline": final.observables["roofline"], "observables": dict(final.observables)}  # fmt: skip


def resampled(rounds: Rounds, rng: np.random.Generator, *, fall_back: bool) -> NDArray[np.float64]:
    """An operator's mean over cases of the medians, resampled; with `fall_back` no case is slower than the baseline
    by more than it seems to be."""
    found = []
    for values in rounds.values():
        medians = np.median(rng.choice(values, (RESAMPLED, len(values))), axis=1)
        kept = np.zeros(RESAMPLED) if fall_back and np.median(values) < 0 else medians
        found.append(kept)
    return np.mean(found, axis=0)


def right_everywhere(operator: str) -> dict[str, str]:
    """By backend: `right`, what is wrong, or why it was skipped."""
    space, found = load(f"kernel:{operator}"), dict[str, str]()
    with closing(choose("auto")) as box, arena(box, operator, patience_s=PATIENCE_S) as judged:
        for name, backend in backends().items():
            if missing := backend.missing():
                found[name] = f"skipped: {missing}"
                continue
            found[name] = judged.wrong(space.plain[name]) or "right"
    return found


def measure(quick: bool) -> Result:
    """Quick: seeds of two operators against the naive loop alone."""
    rng, table, speeds, dispatched = np.random.default_rng(0), dict[str, Any](), list[Any](), list[Any]()
    for operator in operators()[:2] if quick else operators():
        if quick:
            rounds, more = {"seed": np.zeros(3)}, {"roofline": 0.0, "correct": right_everywhere(operator)}
        else:
            rounds, more = kept(operator)
        speeds.append(resampled(rounds, rng, fall_back=False))
        dispatched.append(resampled(rounds, rng, fall_back=True))
        row = {"speed": round(2 ** float(np.mean([np.median(v) for v in rounds.values()])), 3), **more}
        row["cases"] = {name: round(2 ** float(np.median(values)), 3) for name, values in rounds.items()}
        table[operator] = row
        progress(f"{operator}: {row}")
    low, middle, high = (float(2**q) for q in np.quantile(np.mean(speeds, axis=0), [0.025, 0.5, 0.975]))
    after = float(2 ** np.quantile(np.mean(dispatched, axis=0), 0.025))
    won = sum(float(np.quantile(speed, 0.025)) > 0 for speed in speeds)
    near = sum(row["roofline"] >= ROOFLINE for row in table.values())
    correct = all(
        word == "right" or word.startswith("skipped") for row in table.values() for word in row["correct"].values()
    )
    return Result(
        figure=round(middle, 3),
        unit="x the strongest baseline's speed, geometric mean over operators",
        interval=(round(low, 3), round(high, 3)),
        goal=f"{GOAL} x; {DISPATCHED} after dispatch; {AT_ROOFLINE} operators at {ROOFLINE:.0%} of the roofline",
        holds=correct and middle >= GOAL and after >= DISPATCHED and near >= AT_ROOFLINE,
        details={"won": won, "of": len(table), "after_dispatch_low": round(after, 3), "near_roofline": near,
                 "all_correct": correct, "budget": BUDGET, "table": table},
    )  # fmt: skip


if __name__ == "__main__":
    main("kernels", measure, __doc__ or "")
