"""Gains found per 1,000 days when a surrogate, learned on the way, chooses what is tested next.

A service with 40,000 users a day takes candidates as in `benchmarks.campaigns`: one in twenty a gain of .5 to 3 %, one
in ten a loss of as much. The north star of a user is known 57 days after they enter, so an experiment enrols for 28
days, is judged when its cohorts mature, and frees its slot after enrolment. Four ways to spend the same 1,000 days:

- `ranked`: a fifth of the traffic probes candidates for a week (ten at a time, 800 users a day each); their early
  metrics come eight days later. Four slots, a shared control and the learned surrogate take the rest. It knows the 100
  experiments of the time before. After 14 days it ends an enrolment where a candidate that waits promises more a day
  than the rest of this one. The bet is what was forecast before the experiment.
- `ranked, cold`: the same, knowing nothing at first: its first experiments are drawn at random from what was probed.
- `unranked`: the whole traffic tests candidates in the order in which they come, with the same statistics.
- `fixed horizon`: the same, each candidate at a one-sided level of .05 after its 28 days (nothing controls the
  campaign).

Early metrics foretell imperfectly: true effects of watch time, early activity and clicks correlate .5, .4 and .2 with
the true north star (.6 together); errors are drawn independently. Gains count when they are known within the 1,000
days.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.common import Result, main, progress
from evaluations.experiments.budget import Season
from evaluations.experiments.estimates import Estimate
from evaluations.experiments.evidence import Bet
from evaluations.experiments.lesson_table import Lesson, Reading
from evaluations.experiments.queueing import Traffic, gain_per_day
from evaluations.experiments.rules import Plan, promising
from evaluations.experiments.surrogate import Surrogate, learn
from evolve.contracts import Floats

DAYS, CANDIDATES, SLOTS, ENROL, MATURES, EARLY = 1_000, 1_400, 4, 28, 57, 8
TRAFFIC, PROBE_SHARE, PROBES, PROBE_DAYS, CHECK = 40_000, 0.2, 10, 7, 14
RELATIVE_SD, SHRUNK_BY_PAST = 0.7**0.5 / 0.3**0.5, 0.75
"""One user's north star in units of its mean, and the share of its variance that the days before leave."""
CORRELATIONS = {"watch_s": 0.5, "early_active": 0.4, "clicks": 0.2}
SPREAD, EARLY_SD = 0.05, 1.0
"""Deviations of true early effects and of one user, relative, as lived in the generated world."""
LEVEL, SMALLEST, REPLICATES, EXPLORE, TAUGHT, PAST = 0.05, 0.005, 24, 0.1, 12, 100


PROBED = TRAFFIC * PROBE_SHARE / PROBES * PROBE_DAYS


@dataclass(slots=True, kw_only=True)
class Test:
    """An experiment: when it began, until when it enrols, and its whole path of looks."""

    number: int
    begun: int
    until: int
    estimate: Estimate
    bet: Bet


@dataclass(slots=True, kw_only=True)
class Service:
    """Candidates as they come: true effects and the true effects of their early metrics, in one replicate."""

    rng: np.random.Generator
    truth: Floats
    early: dict[str, Floats]
    won: list[int] = field(default_factory=list[int])
    false: int = 0
    tests: int = 0


def service(seed: int) -> Service:
    """Early metrics are the north star's gain, diluted by gains of their own to the stated correlation."""
    rng = np.random.default_rng([31, seed])
    kind, size = rng.random(CANDIDATES), rng.uniform(0.005, 0.03, CANDIDATES)
    truth = np.where(kind < 0.05, size, np.where(kind < 0.15, -size, 0.0))
    sd = float(np.sqrt(0.15 * (0.0175**2 + 0.025**2 / 12)))
    early = {
        name: SPREAD * (r * truth / sd + (1 - r**2) ** 0.5 * rng.standard_normal(CANDIDATES))
        for name, r in CORRELATIONS.items()
    }
    return Service(rng=rng, truth=truth, early=early)


def path(found: Service, number: int, users: float, days: int) -> Estimate:
    """Looks at the north star of one experiment; a control that four challengers share costs nothing extra."""
    step = users / 2 / RELATIVE_SD**2 / SHRUNK_BY_PAST
    information = step * np.arange(1.0, days + 1)
    score = np.cumsum(found.truth[number] * step + found.rng.standard_normal(days) * step**0.5)
    return Estimate(effect=score / information, information=information, users=2 * users * np.arange(1.0, days + 1))


def measured(found: Service, number: int, users: float, control: float) -> dict[str, Reading]:
    """Early metrics of a candidate with so many users, against a control of so many."""
    error = EARLY_SD * (1.0 / users + 1.0 / control) ** 0.5
    return {n: Reading(value=float(e[number] + error * found.rng.standard_normal()), error=error)
            for n, e in found.early.items()}  # fmt: skip


def judged(found: Service, test: Test, season: Season, *, fixed: bool) -> None:
    """What became of an experiment, once all its cohorts are mature."""
    estimate = test.estimate
    if fixed:
        promoted = bool(estimate.effect[-1] > 1.645 * estimate.standard_error[-1])
    else:
        plan = Plan(bet=test.bet, most_cohorts=ENROL)
        promoted = bool(promising(estimate, plan, season.alpha(len(found.won) + found.false))[-1])
    if promoted and found.truth[test.number] > 0:
        found.won.append(test.number)
    elif promoted:
        found.false += 1


def plain(seed: int, *, fixed: bool) -> Service:
    """In the order in which they come, on the whole traffic."""
    found, users = service(seed), TRAFFIC / (SLOTS + 1)
    season = Season(level=LEVEL, tests=SLOTS * DAYS // ENROL)
    for day in range(0, DAYS - ENROL - MATURES, ENROL):
        for _ in range(SLOTS):
            test = Test(number=found.tests, begun=day, until=day + ENROL,
                        estimate=path(found, found.tests, users, ENROL), bet=Bet(mean=0.01, sd=0.01))  # fmt: skip
            judged(found, test, season, fixed=fixed)
            found.tests += 1
    return found


class Ranked:
    """The learned queue, day by day."""

    def __init__(self, seed: int, past: int = PAST) -> None:
        self.found = service(seed)
        self.users = TRAFFIC * (1 - PROBE_SHARE) / (SLOTS + 1)
        self.season = Season(level=LEVEL, tests=300)
        self.probed: dict[int, dict[str, Reading]] = {}
        self.running: list[Test] = []
        self.maturing: list[Test] = []
        before = service(10_000 + seed)
        self.lessons = [
            self.lesson(before, number, path(before, number, self.users, ENROL), "before") for number in range(past)
        ]
        self.model: Surrogate = learn(self.lessons)
        self.worth: dict[int, float] = {}
        information = self.users / 2 / RELATIVE_SD**2 / SHRUNK_BY_PAST
        self.traffic = Traffic(information=information, alpha=LEVEL / 100, smallest=SMALLEST, most_days=ENROL)

    def run(self) -> Service:
        """All days."""
        for day in range(DAYS):
            self._probe(day)
            self._finish(day)
            self._cut(day)
            while len(self.running) < SLOTS and self.probed and day + ENROL + MATURES <= DAYS:
                self._launch(day)
        return self.found

    def _probe(self, day: int) -> None:
        """Each probe is known a week and the early delay after it began; ten run at a time."""
        due = day - PROBE_DAYS - EARLY
        if due >= 0 and due % PROBE_DAYS == 0:
            first = due // PROBE_DAYS * PROBES
            for number in range(first, min(first + PROBES, CANDIDATES)):
                self.probed[number] = measured(self.found, number, PROBED, TRAFFIC * PROBE_DAYS / SLOTS)
                self.worth[number] = self._worth(number)

    def _worth(self, number: int) -> float:
        return gain_per_day(self.model.forecast("any", self.probed[number]), self.traffic)

    def _launch(self, day: int) -> None:
        explore = len(self.lessons) < TAUGHT or self.found.rng.random() < EXPLORE
        waiting = sorted(self.probed)
        number = waiting[self.found.rng.integers(len(waiting))] if explore else max(waiting, key=self.worth.__getitem__)
        belief = self.model.forecast("any", self.probed.pop(number))
        del self.worth[number]
        bet = Bet(mean=max(belief.mean, SMALLEST), sd=max(belief.sd, SMALLEST))
        estimate = path(self.found, number, self.users, ENROL)
        self.running.append(Test(number=number, begun=day, until=day + ENROL, estimate=estimate, bet=bet))
        self.found.tests += 1

    def _cut(self, day: int) -> None:
        """Enrolment ends early where the first week's metrics of those who entered leave a gain no chance."""
        for test in self.running:
            if day - test.begun == CHECK and len(self.lessons) >= TAUGHT:
                users = self.users * (CHECK - EARLY)
                belief = self.model.forecast("any", measured(self.found, test.number, users, users))
                if gain_per_day(belief, self.traffic) * ENROL / (ENROL - CHECK) < max(self.worth.values(), default=0.0):
                    test.until = day
                    test.estimate = Estimate(**{n: getattr(test.estimate, n)[:CHECK] for n in Estimate.__slots__})
        self.maturing += [test for test in self.running if test.until <= day]
        self.running = [test for test in self.running if test.until > day]

    def _finish(self, day: int) -> None:
        done = [test for test in self.maturing if test.until + MATURES <= day]
        self.maturing = [test for test in self.maturing if test.until + MATURES > day]
        for test in done:
            judged(self.found, test, self.season, fixed=False)
            self.lessons.append(self.lesson(self.found, test.number, test.estimate, "this time"))
        if done:
            self.model = learn(self.lessons)
            self.worth = {number: self._worth(number) for number in self.probed}

    def lesson(self, found: Service, number: int, estimate: Estimate, when: str) -> Lesson:
        """What an experiment that is over teaches."""
        users = self.users * len(estimate.effect)
        seen = measured(found, number, users, users)
        north_star = Reading(value=float(estimate.effect[-1]), error=float(estimate.standard_error[-1]))
        return Lesson(name=f"{when} {number:05}", persona="any", proxies=seen, north_star=north_star)


def figures(found: list[Service]) -> dict[str, Any]:
    """Of all replicates of one way."""
    won = np.array([len(one.won) for one in found])
    false = np.array([one.false / max(one.false + len(one.won), 1) for one in found])
    gains = [float(one.truth[one.won].sum()) for one in found]
    return {
        "gains": round(float(won.mean()), 2), "gains_error": round(float(won.std(ddof=1)) / len(won) ** 0.5, 3),
        "false_discovery": round(float(false.mean()), 4),
        "tests": round(float(np.mean([one.tests for one in found])), 1),
        "sum_of_gains": round(float(np.mean(gains)), 4),
    }  # fmt: skip


def ratio(one: list[Service], other: list[Service]) -> tuple[float, float, float]:
    """Of gains found, with its 95 % bootstrap interval; replicates are paired by their candidates."""
    counts = np.array([[len(a.won), len(b.won)] for a, b in zip(one, other, strict=True)])
    draws = np.random.default_rng(0).integers(0, len(counts), (2_000, len(counts)))
    sums = counts[draws].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / np.maximum(sums[:, 1], 1), [0.025, 0.975])
    return tuple(round(float(x), 3) for x in (counts[:, 0].sum() / max(counts[:, 1].sum(), 1), low, high))


def measure(quick: bool) -> Result:
    """Ranked against both others on the same candidates."""
    seeds = range(3 if quick else REPLICATES)
    ways = {"unranked": [plain(seed, fixed=False) for seed in seeds],
            "fixed horizon": [plain(seed, fixed=True) for seed in seeds]}  # fmt: skip
    for name, past in (("ranked", PAST), ("ranked, cold", 0)):
        ways[name] = []
        for seed in seeds:
            ways[name].append(Ranked(seed, past).run())
            progress(f"{name} {seed}: {len(ways[name][-1].won)} of {ways[name][-1].tests} tests are gains")
    rows = {name: figures(found) for name, found in ways.items()}
    over_unranked, over_fixed = (ratio(ways["ranked"], ways[name]) for name in ("unranked", "fixed horizon"))
    progress(f"{rows}\n{over_unranked} {over_fixed}")
    low, high = (rows["ranked"]["gains"] + k * 1.96 * rows["ranked"]["gains_error"] for k in (-1, 1))
    return Result(
        figure=rows["ranked"]["gains"],
        unit="gains found in 1,000 days, probes and maturation included",
        interval=(round(low, 2), round(high, 2)),
        goal="at least 2 x unranked and 3 x fixed horizon on the same clock",
        holds=over_unranked[0] >= 2 and over_fixed[0] >= 3,
        details={"ways": rows, "over unranked": over_unranked, "over fixed horizon": over_fixed},
    )


if __name__ == "__main__":
    main("ranking", measure, __doc__ or "")
