"""How well a proxy learned from past experiments ranks new ones, and what happens when a proxy is gamed or turns.

True effects come from 160 candidates that were lived in four aligned worlds (`benchmarks.lived`), scaled so that one
experiment of 15,000 users an arm sees the north star with a signal-to-noise ratio of 1.6. In each of 200 replicates
half of them are finished experiments, the other half new ones of which only the first week is known. The figure is the
correlation of the learned forecast with the true north star of the new ones; the click rate stands beside it. Harmful
is the share of candidates with a true loss in a ranking's top 20. A turn: after 40 experiments the north star does the
opposite of what all proxies promise; the first alarm counts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.bounds import both, upper
from benchmarks.common import Result, main, progress
from benchmarks.lived import METRICS, RATE, Pool, lessons, pool
from evaluations.experiments.estimates import Estimate
from evaluations.experiments.evidence import Bet
from evaluations.experiments.goodhart import watch
from evaluations.experiments.lesson_table import NORTH_STAR, Lesson
from evaluations.experiments.rules import Plan, promising
from evaluations.experiments.surrogate import learn
from evaluations.production_truth import Kind
from evolve.contracts import Floats

WORLDS, EACH, USERS, REPLICATES, ARM, SNR, TOP = 4, 40, 3_000, 200, 15_000, 1.6, 20
LEAST_CORRELATION, MOST_HARMFUL, MOST_WAIT, LEVEL = 0.70, 0.10, 12, 0.05
BEFORE, AFTER = 40, 60
GAMED, LOOKS = 10_000, 28


def scale_of(lived: Pool, snr: float) -> float:
    """What true effects are multiplied by, so that their deviation is `snr` standard errors."""
    error = float(np.sqrt(lived.errors(ARM)[-1, -1]))
    return snr * error / float(lived.column(NORTH_STAR).std())


def held_out(lived: Pool, rng: np.random.Generator, scale: float) -> dict[str, tuple[float, float]]:
    """Correlation with the truth and harmful share of the top, of every ranking, on experiments that taught nothing."""
    order = rng.permutation(len(lived.effects))
    half = len(order) // 2
    past = lessons(lived, rng, order[:half], ARM, scale)
    new = lessons(lived, rng, order[half:], ARM, scale)
    truth = lived.column(NORTH_STAR)[order[half:]]
    model, known = learn(past), [METRICS.index(name) for name in METRICS if name not in (RATE, NORTH_STAR)]
    seen = np.array([[one.proxies[METRICS[k]].value for k in known] for one in new])
    ranked = {
        "learned": np.array([model.forecast(one.persona, one.proxies, one.shared).mean for one in new]),
        RATE: np.array([one.proxies[RATE].value for one in new]),
        "watch time": np.array([one.proxies["watch_s"].value for one in new]),
        "any linear forecast, at best": seen @ best_slopes(lived, scale, known),
        "north star itself, 56 days later": np.array([one.north_star.value for one in new]),
    }
    return {name: _quality(score, truth) for name, score in ranked.items()}


def best_slopes(lived: Pool, scale: float, known: list[int]) -> Floats:
    """Of a forecast that knows all true effects: no linear one does better, however many experiments teach it. The
    click rate is left out; with the two metrics that it is made of it has no noise of its own."""
    true, errors = np.cov(lived.effects.T * scale), lived.errors(ARM)
    return np.linalg.solve((true + errors)[np.ix_(known, known)], true[known, METRICS.index(NORTH_STAR)])


def _quality(score: Floats, truth: Floats) -> tuple[float, float]:
    top = np.argsort(-score)[: min(TOP, len(score) // 4)]
    return float(np.corrcoef(score, truth)[0, 1]), float((truth[top] < 0).mean())


def gamed(rng: np.random.Generator, count: int) -> dict[str, int]:
    """Experiments whose proxy gains ten errors while the north star does nothing: promoted on the north star by the
    rules, and by a fixed test on the proxy."""
    information = np.broadcast_to(np.arange(1.0, LOOKS + 1) * 60_000 / LOOKS, (count, LOOKS))
    steps = rng.standard_normal((count, LOOKS)) * np.sqrt(60_000 / LOOKS)
    estimate = Estimate(effect=np.cumsum(steps, axis=1) / information, information=information, users=information)
    found = promising(estimate, Plan(bet=Bet(mean=0.01, sd=0.01)), LEVEL)[:, -1]
    return {
        "rules": int(found.sum()),
        "test on the proxy": int((rng.normal(10.0, 1.0, count) > 1.645).sum()),
        "of": count,
    }


def waits(lived: Pool, rng: np.random.Generator, scale: float, *, turned: bool) -> int | None:
    """How many experiments after a turn of all slopes' signs the first alarm comes; None where none does."""
    rows = rng.integers(0, len(lived.effects), BEFORE + AFTER)
    history = lessons(lived, rng, rows, ARM, scale)
    if turned:
        history = [*history[:BEFORE], *map(_turned, history[BEFORE:])]
    alarms = watch(history)
    return alarms[0].lesson - BEFORE + 1 if alarms else None


def _turned(one: Lesson) -> Lesson:
    shared = {pair: -value if NORTH_STAR in pair else value for pair, value in one.shared.items()}
    return replace(one, north_star=replace(one.north_star, value=-one.north_star.value), shared=shared)


def measure(quick: bool) -> Result:
    """All goals together."""
    lived = pool(Kind.ALIGNED, 1 if quick else WORLDS, 24 if quick else EACH, 600 if quick else USERS)
    scale, count = scale_of(lived, SNR), 10 if quick else REPLICATES
    true = np.corrcoef(lived.effects.T)[-1]
    progress(f"true effects: deviation {lived.column(NORTH_STAR).std():.4f}, scale {scale:.3f}, correlations {true}")
    rows = [held_out(lived, np.random.default_rng([7, seed]), scale) for seed in range(count)]
    table = {name: [round(float(np.mean([row[name][k] for row in rows])), 4) for k in (0, 1)] for name in rows[0]}
    progress(str(table))
    learned = np.array([row["learned"][0] for row in rows])
    games = gamed(np.random.default_rng(8), 1_000 if quick else GAMED)
    found = [waits(lived, np.random.default_rng([9, seed]), scale, turned=True) for seed in range(count)]
    calm = [waits(lived, np.random.default_rng([10, seed]), scale, turned=False) for seed in range(count)]
    late = [one if one is not None and one > 0 else AFTER + 1 for one in found]
    median, false = float(np.median(late)), sum(one is not None for one in calm)
    progress(f"gamed {games}; a turn is found after {median} experiments (median), {false} of {count} false alarms")
    promoted = upper(games["rules"], games["of"])
    correlation, harmful = table["learned"]
    holds = correlation >= LEAST_CORRELATION and harmful <= MOST_HARMFUL and promoted <= LEVEL and median <= MOST_WAIT
    low, high = np.quantile(learned, [0.025, 0.975])
    return Result(
        figure=correlation,
        unit=f"mean correlation of the learned proxy with the true north star on held-out experiments, SNR {SNR}",
        interval=(round(float(low), 4), round(float(high), 4)),
        goal=f"at least {LEAST_CORRELATION}; at most {MOST_HARMFUL:.0%} harmful in the top {TOP}; a gamed proxy is "
        f"promoted in at most {LEVEL:.0%} (upper bound); a turn found in a median of at most {MOST_WAIT} experiments",
        holds=holds,
        details={
            "rankings (correlation, harmful in the top)": table,
            "true correlations": dict(zip(METRICS, [round(float(c), 3) for c in true], strict=True)),
            "harmful share of all": round(float((lived.column(NORTH_STAR) < 0).mean()), 3), "scale": round(scale, 4),
            "gamed": games, "gamed_upper": round(promoted, 5), "turn found after": median,
            "false alarms per 100 experiments": [round(x, 4) for x in both(false, count)],
        },
    )  # fmt: skip


if __name__ == "__main__":
    main("proxies", measure, __doc__ or "")
