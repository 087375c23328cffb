"""How much of the generated world can be learned from its log: the criteria of decision 0004.

Three rankers on the search users' full window: the seed program, a convex reference fitted on the same training
folder, and the truth itself. The figure is the share of the gap between the seed and the truth, in long-watch AUC,
that the reference closes. No technique is measured here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse
from scipy.special import expit

from benchmarks.common import Result, main, progress
from evaluations.sessions import Route, Sessions
from evaluations.video_ranking import CUT, VideoRanking
from evaluations.video_ranking_features import long_watch
from evaluations.world import WorldConfig
from evaluations.world_log import world_after_log
from evolve.contracts import Candidate
from sandbox.local import LocalSandbox
from search_spaces.space import load

LEAST_HEADROOM, LEAST_SHARE = 0.08, 1 / 3
PRECISION = 4.0
"""Of the Gaussian prior on each of the reference's weights."""
METRIC = "long_watch_auc"
WEEK = 7
LEAST_SHOWN = 20
"""Items with fewer impressions in a week are left out of the correlation."""


def crosses(columns: dict[str, NDArray[Any]], hashed: int = 1 << 18) -> sparse.csr_matrix:
    """Ids, pairs of ids and a user's recent items against the shown one, one-hot; shape (n, hashed)."""
    daypart = columns["device"].astype(np.int64) * 4 + columns["hour"] // 6
    user, item, topic, creator = (columns[name].astype(np.int64) for name in ("user", "item", "topic", "creator"))
    fields = [user, item, topic, creator, daypart, user * 50 + topic, user * 500 + creator, daypart * 50 + topic]
    fields += [daypart * 500 + creator]
    if "position" in columns:
        fields.append(columns["position"].astype(np.int64))
    words = np.stack([(field * 1_000_003 + salt * 7_919_003) % (hashed - 1) for salt, field in enumerate(fields)], 1)
    rows = np.repeat(np.arange(len(user)), len(fields))
    return sparse.csr_matrix((np.ones(words.size), (rows, words.ravel())), shape=(len(user), hashed))


def fit(features: sparse.csr_matrix, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of a logistic regression with a Gaussian prior, the intercept last and free."""

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = features @ weights[:-1] + weights[-1]
        gap = expit(logit) - target
        value = float(np.logaddexp(0.0, logit).sum() - target @ logit + PRECISION / 2 * weights[:-1] @ weights[:-1])
        return value, np.append(features.T @ gap + PRECISION * weights[:-1], gap.sum())

    start = np.zeros(features.shape[1] + 1)
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x


def reference(task: VideoRanking) -> list[NDArray[np.float32]]:
    """The convex reference's answers; it knows positions in training and none when it is asked."""
    folder = task.training_folder(final=False)
    names = ("user", "item", "topic", "creator", "device", "hour", "position", "long_watch")
    columns = {name: np.load(folder / f"{name}.npy") for name in names}
    weights = fit(crosses(columns), columns["long_watch"].astype(np.float64))
    batches = task.batches("search", "full")
    return [(crosses(dict(batch.queries)) @ weights[:-1]).astype(np.float32) for batch in batches]


def scored(task: VideoRanking, answers: list[NDArray[np.float32]]) -> float:
    return float(np.nanmean(task.measure("search", "full", answers)[1][METRIC]))


def seed_program(task: VideoRanking, quick: bool) -> float:
    """What the seed scores after its full rung (the smoke rung where the run is quick)."""
    space = load("video_ranking")
    seed = Candidate(number=0, commit="seed", parents=(), tree=space.seed, fingerprint="seed")
    rungs = space.rungs[:1] if quick else (space.rungs[2],)
    sandbox = LocalSandbox(warm_torch=False)
    try:
        walk = Sessions(space, task, sandbox, 1).walk(seed, Route(rungs=rungs, split="search", seed=1))
    finally:
        sandbox.close()
    assert walk.fault is None, walk.fault
    return walk.measurements[-1].mean(METRIC)


def movement(task: VideoRanking) -> tuple[float, float]:
    """Correlation, over items, of the judged week's long-watch rate with the last training week's and the log's."""
    day, item, held = task.log.impressions["day"], task.log.impressions["item"], long_watch(task.log)
    items = len(task.log.items["born"])

    def rate(first: int, last: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        rows = (day >= first) & (day < last)
        shown = np.bincount(item[rows], minlength=items)
        return np.bincount(item[rows], held[rows], minlength=items) / np.maximum(shown, 1), shown

    judged, recent, whole = rate(CUT + 3, CUT + 3 + WEEK), rate(CUT - WEEK, CUT), rate(int(day.min()), CUT)
    often = (judged[1] >= LEAST_SHOWN) & (recent[1] >= LEAST_SHOWN)
    return tuple(float(np.corrcoef(judged[0][often], past[0][often])[0, 1]) for past in (recent, whole))  # type: ignore[return-value]


def measure(quick: bool) -> Result:
    """The share, and whether all three criteria hold."""
    config = WorldConfig(users=300, first_items=150, items_per_day=2) if quick else WorldConfig()
    with tempfile.TemporaryDirectory() as folder:
        task = VideoRanking(Path(folder), config)
        truth = np.concatenate([day.chance for day in world_after_log(config)[2]])[task.asked_rows("search", "full")]
        best = scored(task, [truth.astype(np.float32)])
        convex = scored(task, reference(task))
        seed = seed_program(task, quick)
        recent, whole = movement(task)
    progress(f"{METRIC}: seed {seed:.4f}, convex reference {convex:.4f}, truth {best:.4f}")
    progress(f"an item's next week by its last week: r {recent:.3f}; by the whole log: r {whole:.3f}")
    share = (convex - seed) / (best - seed)
    return Result(
        figure=round(share, 3),
        unit="share of the gap between seed and truth that a convex reference closes",
        interval=None,
        goal=f"headroom at least {LEAST_HEADROOM}, share at least 1/3, and last week says more than the whole log",
        holds=best - seed >= LEAST_HEADROOM and share >= LEAST_SHARE and recent > whole,
        details={
            "seed": round(seed, 4), "reference": round(convex, 4), "truth": round(best, 4),
            "headroom": round(best - seed, 4), "r_last_week": round(recent, 3), "r_whole_log": round(whole, 3),
        },
    )  # fmt: skip


if __name__ == "__main__":
    main("learnability", measure, __doc__ or "")
