"""A season of 365 days over 50 candidates whose effects were lived: our rules and a scripted engineer on one clock.

40,000 users a day, four slots with a shared control; an experiment enrols for 28 days, then its slot is free. A user's
early metrics are known 8 days after they enter, their north star 57 days after. Before the season each candidate had a
week's probe of 5,600 users, which both read. A promotion replaces the champion where it is believed to be worth more.

Ours: the queue by the surrogate, learned from the 40 experiments of the season before (other candidates of the same
family) and from each that ends; e-processes at the season's level on mature cohorts every day; stops for harm. The
engineer: the queue by the probe's click rate, then one t-test at one-sided .05 after 28 days of enrolment.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.lived import METRICS, RATE, Pool, lessons
from evaluations.experiments.budget import Season
from evaluations.experiments.estimates import Estimate
from evaluations.experiments.evidence import Bet
from evaluations.experiments.lesson_table import NORTH_STAR, Lesson, Reading
from evaluations.experiments.queueing import Traffic, ordered
from evaluations.experiments.rules import Plan, evidence, harmful
from evaluations.experiments.shrinkage import Effects, vague
from evaluations.experiments.surrogate import Forecast, Surrogate, learn
from evolve.contracts import Floats

CANDIDATES, DAYS, SLOTS, ENROL, MATURES, EARLY = 50, 365, 4, 28, 57, 8
USERS = 40_000 / (SLOTS + 1)
PROBE, LEVEL, T, PAST = 5_600, 0.05, 1.645, 40
GUARDRAIL = METRICS.index("early_active")


@dataclass(slots=True, kw_only=True)
class Test:
    """An experiment of one candidate: how many looks each metric has by a day is a matter of its age."""

    candidate: int
    begun: int
    control: float
    believed: float
    """What its control truly is, and was believed to be, over the seed when it began."""
    seen: Floats
    logs: Floats
    """The evidence at each look."""
    harmed: int
    """The first look at the guardrail that stops it; beyond the last where none does."""


@dataclass(slots=True, kw_only=True)
class Played:
    """What one rule did in one world: the champion's true value day by day, and what it promoted."""

    values: list[float] = field(default_factory=list[float])
    promoted: list[int] = field(default_factory=list[int])
    false: int = 0
    """Promotions that are truly no better than the control that they were tested against."""


class Play:
    """One season. Subclasses say in which order candidates wait, and when one is promoted or stopped."""

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        rows = rng.permutation(len(pool.effects))
        self.past = lessons(pool, rng, rows[CANDIDATES : CANDIDATES + PAST], USERS * ENROL)
        rows = rows[:CANDIDATES]
        self.pool = Pool(effects=pool.effects[rows], noise=pool.noise)
        self.truth = self.pool.column(NORTH_STAR)
        self.probes = lessons(self.pool, rng, np.arange(CANDIDATES), PROBE)
        self.rng, self.waiting = rng, list(range(CANDIDATES))
        self.running: list[Test] = []
        self.champion, self.believed, self.played = 0.0, 0.0, Played()
        self.step = USERS / 2 / float(pool.noise[-1, -1])
        self.early_step = USERS / 2 / float(pool.noise[GUARDRAIL, GUARDRAIL])

    def run(self) -> Played:
        """Day by day; every rule is looked at daily."""
        for day in range(DAYS):
            enrolling = sum(day - test.begun < ENROL for test in self.running)
            for _ in range(min(SLOTS - enrolling, len(self.waiting))):
                self.launch(day)
            self.running = [test for test in self.running if not self.over(test, day)]
            self.played.values.append(self.champion)
        return self.played

    def launch(self, day: int) -> None:
        """The whole future of an experiment is drawn at once, and read as it becomes known."""
        number = self.next()
        self.waiting.remove(number)
        truth = (1.0 + self.pool.effects[number]) / (1.0 + self.champion) - 1.0
        truth = np.where(np.arange(len(METRICS)) == len(METRICS) - 1, truth, self.pool.effects[number])
        daily = self.rng.multivariate_normal(truth, self.pool.errors(USERS), ENROL, method="eigh")
        seen = np.cumsum(daily, axis=0) / np.arange(1.0, ENROL + 1)[:, None]
        plan = Plan(bet=self.bet(number), most_cohorts=ENROL)
        test = Test(candidate=number, begun=day, control=self.champion, believed=self.believed, seen=seen,
                    logs=np.zeros(0), harmed=ENROL + 1)  # fmt: skip
        test.logs = evidence(self.estimate(test, len(METRICS) - 1, ENROL), plan.bet, plan)
        harms = harmful(self.estimate(test, GUARDRAIL, ENROL), plan)
        if harms.any():
            test.harmed = int(harms.argmax()) + 1
        self.running.append(test)

    def estimate(self, test: Test, metric: int, looks: int) -> Estimate:
        """The first looks at a metric."""
        step = self.step if metric != GUARDRAIL else self.early_step
        counts = np.arange(1.0, looks + 1)
        return Estimate(effect=test.seen[:looks, metric], information=step * counts, users=2 * USERS * counts)

    def over(self, test: Test, day: int) -> bool:
        looks = min(day - test.begun - MATURES + 1, ENROL)
        early = min(day - test.begun - EARLY + 1, ENROL)
        if early >= 1 and self.stopped(test, early):
            return True
        if looks >= 1 and self.wins(test, looks):
            self.promote(test, looks)
            return True
        if looks == ENROL:
            self.finished(test)
        return looks == ENROL

    def promote(self, test: Test, looks: int) -> None:
        """Where two won against the same control, the one that is believed to be better stays."""
        worth = self.worth(test, looks)
        self.finished(test)
        if worth <= self.believed:
            return
        truth = float(self.truth[test.candidate])
        self.played.false += truth <= test.control
        self.played.promoted.append(test.candidate)
        self.champion, self.believed = truth, worth

    def next(self) -> int:
        raise NotImplementedError

    def wins(self, test: Test, looks: int) -> bool:
        raise NotImplementedError

    def worth(self, test: Test, looks: int) -> float:
        """The believed value over the seed of what an experiment found over its control."""
        return float((1.0 + test.believed) * (1.0 + test.seen[looks - 1, -1]) - 1.0)

    def stopped(self, test: Test, looks: int) -> bool:
        return False

    def finished(self, test: Test) -> None:
        """Whatever is to be learned from it."""

    def bet(self, number: int) -> Bet:
        return Bet(mean=0.01, sd=0.01)


class Engineer(Play):
    """The best proxy first, then a fixed-horizon t-test."""

    def next(self) -> int:
        return max(self.waiting, key=lambda number: self.probes[number].proxies[RATE].value)

    def wins(self, test: Test, looks: int) -> bool:
        last = self.estimate(test, len(METRICS) - 1, looks)
        return looks == ENROL and bool(last.effect[-1] > T * last.standard_error[-1])


class Ours(Play):
    """What the product does."""

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        super().__init__(pool, rng)
        self.season = Season(level=LEVEL, tests=CANDIDATES)
        self.lessons = [replace(one, name=f"before {one.name}") for one in self.past]
        self.traffic = Traffic(information=self.step, alpha=LEVEL / CANDIDATES)
        self.relearn()

    def next(self) -> int:
        if not self.queue:
            names = {f"{n:05}": self.forecast(n) for n in self.waiting}
            self.queue = [int(name) for name in ordered(names, self.traffic, self.rng)]
        return self.queue.pop(0)

    def forecast(self, number: int) -> Forecast:
        probe = self.probes[number]
        return self.model.forecast(probe.persona, probe.proxies, probe.shared)

    def bet(self, number: int) -> Bet:
        belief = self.forecast(number)
        mean = max((belief.mean - self.believed), 0.005)
        return Bet(mean=mean, sd=max(belief.sd, mean / 2))

    def wins(self, test: Test, looks: int) -> bool:
        return bool(test.logs[:looks].max() >= -np.log(self.season.alpha(len(self.played.promoted))))

    def worth(self, test: Test, looks: int) -> float:
        shrunk = self.shrunk(self.effects, test, looks)
        return (1.0 + test.believed) * (1.0 + shrunk) - 1.0

    def shrunk(self, effects: Effects, test: Test, looks: int) -> float:
        return float(effects.mean(self.estimate(test, len(METRICS) - 1, looks).at(-1))[0])

    def stopped(self, test: Test, looks: int) -> bool:
        return looks >= test.harmed

    def finished(self, test: Test) -> None:
        """An experiment whose north star is known teaches; beside its 28 days the probe's users are few."""
        sizes = np.sqrt(np.diag(self.pool.errors(USERS * ENROL)))
        read = {n: Reading(value=float(v), error=float(e))
                for n, v, e in zip(METRICS, test.seen[-1], sizes, strict=True)}  # fmt: skip
        north_star = read.pop(NORTH_STAR)
        self.lessons.append(
            Lesson(name=f"{test.candidate:05}", persona="any", proxies=read, north_star=north_star,
                   shared=self.probes[0].shared)
        )  # fmt: skip
        self.relearn()

    def relearn(self) -> None:
        """Slopes, effects and the order of the queue."""
        seen = np.array([one.north_star.value for one in self.lessons])
        information = np.full(len(seen), self.step * ENROL)
        self.effects = vague().learned(Estimate(effect=seen, information=information, users=information))
        self.model: Surrogate = learn(self.lessons)
        self.queue: list[int] = []
