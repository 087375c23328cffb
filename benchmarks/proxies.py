"""How well a proxy learned from past experiments ranks new ones, and what happens when a proxy is gamed or turns.

True effects come from 160 candidates that were lived in four aligned worlds (`benchmarks.lived`), scaled so that one
experiment of 15,000 users an arm sees the north star with a signal-to-noise ratio of 1.6. In each of 200 replicates
half of them are finished experiments, the other half new ones of which only the first week is known, and, as in a run,
the offline proxy: the AUC of the candidate's scores for long watches in its world's log, against the champion's. The
figure is the correlation of the learned forecast with the true north star of the new ones; beside it what the first
week alone teaches, the most that any linear forecast could make of it, and the click rate. Harmful is the share of
candidates with a true loss in a ranking's top 20. A turn: after 40 experiments the north star does the opposite of what
all proxies promise; the first alarm counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.bounds import both, upper
from benchmarks.common import Result, main, progress
from benchmarks.lived import METRICS, RATE, SMALL, Pool, lessons, pool
from evaluations.experiments.estimates import Estimate
from evaluations.experiments.evidence import Bet
from evaluations.experiments.goodhart import watch
from evaluations.experiments.lesson_table import NORTH_STAR, Lesson, Reading
from evaluations.experiments.rules import Plan, promising
from evaluations.experiments.surrogate import learn
from evaluations.production import ExportedPolicy, Production, Visits
from evaluations.production_truth import CHAMPION, FAMILIES, Kind, candidates
from evaluations.ranking_metrics import auc_by_user, ranks_within
from evaluations.video_ranking_features import long_watch
from evaluations.world_log import generate_log
from evaluations.world_population import Ids
from evolve.contracts import Floats

WORLDS, EACH, USERS, REPLICATES, ARM, SNR, TOP = 4, 40, 3_000, 200, 15_000, 1.6, 20
LEAST_CORRELATION, MOST_HARMFUL, MOST_WAIT, LEVEL = 0.70, 0.10, 12, 0.05
BEFORE, AFTER = 40, 60
OFFLINE = "long watch AUC (offline)"
FREE = tuple(name for name in METRICS if name not in (RATE, NORTH_STAR))
"""The click rate has no noise of its own beside the two metrics that it is made of."""
EARLY = (RATE, *FREE)
GAMED, LOOKS = 10_000, 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Lived candidates with what was known of each offline: `offline` (candidates, 2), the gain of its AUC over the
    champion's and the error of that. `scale` is what all of it is multiplied by."""

    lived: Pool
    offline: Floats
    scale: float

    @property
    def truth(self) -> Floats:
        return self.lived.column(NORTH_STAR) * self.scale

    def lessons(self, rng: np.random.Generator, rows: Ids) -> list[Lesson]:
        """One experiment for each row."""
        found = lessons(self.lived, rng, rows, ARM, self.scale)
        offline = [Reading(value=gain, error=error) for gain, error in (self.offline[rows] * self.scale).tolist()]
        return [replace(one, proxies={**one.proxies, OFFLINE: read}) for one, read in zip(found, offline, strict=True)]


def lived_candidates(worlds: int, each: int, users: int) -> Candidates:
    """Lives the candidates, and scores them on the logs of their worlds."""
    lived = pool(Kind.ALIGNED, worlds, each, users)
    error = float(np.sqrt(lived.errors(ARM)[-1, -1]))
    offline = np.concatenate([offline_gains(seed, each) for seed in range(worlds)])
    return Candidates(lived=lived, offline=offline, scale=SNR * error / float(lived.column(NORTH_STAR).std()))


def offline_gains(seed: int, each: int) -> Floats:
    """Gain and error of the mean over users, shape (each, 2)."""
    config = replace(SMALL, family=FAMILIES[Kind.ALIGNED], seed=seed)
    log, production = generate_log(config), Production(config, config.users)
    shown, long = log.impressions, long_watch(log)

    days = [(int(day), np.flatnonzero(shown["day"] == day)) for day in np.unique(shown["day"])]

    def by_user(ranker: ExportedPolicy) -> Floats:
        scores = np.zeros(len(long))
        for day, rows in days:
            user, hour, device, item = (shown[name][rows] for name in ("user", "hour", "device", "item"))
            visits = Visits(day=day, user=user, hour=hour, device=device, items=item[:, None])
            scores[rows] = ranker.scores(production, visits)[:, 0]
        return auc_by_user(shown["user"], config.users, ranks_within(shown["user"], scores), long)

    usual = by_user(CHAMPION)
    gaps = [by_user(one) - usual for one in candidates(Kind.ALIGNED, each, seed)]
    return np.array([(np.nanmean(gap), np.nanstd(gap) / np.isfinite(gap).sum() ** 0.5) for gap in gaps])


def held_out(among: Candidates, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Correlation with the truth and harmful share of the top, of every ranking, on experiments that taught nothing."""
    order = rng.permutation(len(among.truth))
    half = len(order) // 2
    past, new = among.lessons(rng, order[:half]), among.lessons(rng, order[half:])
    truth = among.truth[order[half:]]

    def forecasts(only: Sequence[str]) -> Floats:
        model = learn(past, only=only)
        return np.array([model.forecast(one.persona, one.proxies, one.shared).mean for one in new])

    def measured(name: str) -> Floats:
        return np.array([one.proxies[name].value for one in new])

    ranked = {
        "learned": forecasts((*EARLY, OFFLINE)),
        "learned from the first week": forecasts(EARLY),
        "any linear forecast of the first week, at best": np.array([measured(n) for n in FREE]).T @ best_slopes(among),
        OFFLINE: measured(OFFLINE),
        RATE: measured(RATE),
        "watch time": measured("watch_s"),
        "north star itself, 56 days later": np.array([one.north_star.value for one in new]),
    }
    return {name: _quality(score, truth) for name, score in ranked.items()}


def best_slopes(among: Candidates) -> Floats:
    """Of a forecast from `FREE` that knows all true effects: no linear one does better, whatever teaches it."""
    places = [METRICS.index(name) for name in FREE]
    true, errors = np.cov(among.lived.effects.T * among.scale), among.lived.errors(ARM)
    return np.linalg.solve((true + errors)[np.ix_(places, places)], true[places, METRICS.index(NORTH_STAR)])


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


def waits(among: Candidates, rng: np.random.Generator, *, turned: bool) -> int | None:
    """How many experiments after a turn of all slopes' signs the first alarm comes; None where none does."""
    history = among.lessons(rng, rng.integers(0, len(among.truth), BEFORE + AFTER))
    if turned:
        history = [*history[:BEFORE], *map(_turned, history[BEFORE:])]
    alarms = watch(history)
    return alarms[0].lesson - BEFORE + 1 if alarms else None


def _turned(one: Lesson) -> Lesson:
    shared = {pair: -value if NORTH_STAR in pair else value for pair, value in one.shared.items()}
    return replace(one, north_star=replace(one.north_star, value=-one.north_star.value), shared=shared)


def measure(quick: bool) -> Result:
    """All goals together."""
    among = lived_candidates(*((1, 24, 600) if quick else (WORLDS, EACH, USERS)))
    count = 10 if quick else REPLICATES
    true = np.corrcoef(among.lived.effects.T, among.offline[:, 0])[-2]
    progress(f"true effects: deviation {among.truth.std():.4f}, scale {among.scale:.3f}, correlations {true}")
    rows = [held_out(among, np.random.default_rng([7, seed])) for seed in range(count)]
    table = {name: [round(float(np.mean([row[name][k] for row in rows])), 4) for k in (0, 1)] for name in rows[0]}
    progress(str(table))
    learned = np.array([row["learned"][0] for row in rows])
    games = gamed(np.random.default_rng(8), 1_000 if quick else GAMED)
    found = [waits(among, np.random.default_rng([9, seed]), turned=True) for seed in range(count)]
    calm = [waits(among, np.random.default_rng([10, seed]), turned=False) for seed in range(count)]
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
            "true correlations": dict(zip((*METRICS, OFFLINE), [round(float(c), 3) for c in true], strict=True)),
            "harmful share of all": round(float((among.truth < 0).mean()), 3), "scale": round(among.scale, 4),
            "gamed": games, "gamed_upper": round(promoted, 5), "turn found after": median,
            "false alarms per 100 experiments": [round(x, 4) for x in both(false, count)],
        },
    )  # fmt: skip


if __name__ == "__main__":
    main("proxies", measure, __doc__ or "")
