"""The simulated production as a platform: it assigns users to arms, serves them, and reports each metric late.

Knows nothing of levels, evidence or decisions. Its days depend on its seed and on the calls made to it alone, so that
the same calls on the same days give the same reports: a run that was killed replays them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evaluations.production import NEVER, Production, Ranker, crash_rate
from evaluations.world import Day
from evaluations.world_population import TOPICS, Ids
from evolve.contracts import CohortReport, Floats
from evolve.errors import UsageError

WINDOWS = {
    "early_active": (0, 7), "clicks": (0, 7), "likes": (0, 7), "watch_s": (0, 7), "diversity": (0, 7),
    "revenue": (0, 7), "crash_free": (0, 7), "north_star": (28, 56),
}  # fmt: skip
"""Days after the first exposure over which each metric is summed per user: from, up to. Of every metric more is better:
`diversity` counts topics that were clicked, `crash_free` visits without a crash."""
SLICES = ("phone", "computer", "television")
"""Users by the device of their first visit; `early_active/phone` is a metric of its own, and so are its exposures."""
SLICED = "early_active"
SHOWN_PAYS, CLICK_PAYS, MOST_WORTH = 0.01, 0.1, 12.0
"""What an advertiser pays; users' worth has a heavy tail that is cut, so that no single user decides."""
BEFORE = 14
"""Days before the first exposure whose active days are the covariate."""
DELAY = 1
"""Days from the end of a window to its report."""
NOBODY = -1


@dataclass(slots=True, kw_only=True)
class _Experiment:
    name: str
    number: int
    arms: dict[str, float]
    traffic: float
    first_arm: int
    stopped: bool = False
    reports: list[tuple[int, CohortReport]] = field(default_factory=list[tuple[int, CohortReport]])


class SimulatedPlatform:
    """Implements `evolve.contracts.Platform` over one `Production`. `rankers` are the candidates by name."""

    def __init__(self, production: Production, rankers: Mapping[str, Ranker], champion: str) -> None:
        self._production, self._known = production, dict(rankers)
        self._serving: list[Ranker] = [rankers[champion]]
        self.champion = champion
        self._experiments: dict[str, _Experiment] = {}
        users = production.config.users
        self._member = np.full(users, NOBODY, dtype=np.int64)
        self._entered = np.zeros(users, dtype=np.int64)
        self._sums = {name: np.zeros(users) for name in WINDOWS}
        self._before = np.zeros(users)
        self._device = np.zeros(users, dtype=np.int64)
        self._topics = np.zeros((users, TOPICS), dtype=bool)
        self._worth = np.minimum((1.0 - hashed("worth", np.arange(users))) ** -0.6, MOST_WORTH)
        self._lately = np.zeros((BEFORE, users), dtype=bool)

    @property
    def today(self) -> int:
        """The next day to be lived."""
        return self._production.day

    def launch(self, experiment: str, arms: Mapping[str, float], traffic: float) -> None:
        """Raises UsageError for shares that do not sum to 1 and for arms that nobody knows."""
        if experiment in self._experiments:
            return
        if abs(sum(arms.values()) - 1.0) > 1e-9 or min(arms.values()) <= 0 or not 0 <= traffic <= 1:
            raise UsageError(f"the arms' shares are {dict(arms)} and the traffic {traffic}; shares must sum to 1")
        if unknown := sorted(set(arms) - set(self._known)):
            raise UsageError(f"nobody knows {unknown}", hint=f"Known: {', '.join(sorted(self._known))}.")
        number, first = len(self._experiments), len(self._serving)
        self._experiments[experiment] = _Experiment(
            name=experiment, number=number, arms=dict(arms), traffic=traffic, first_arm=first
        )
        self._serving += [self._known[name] for name in arms]

    def ramp(self, experiment: str, traffic: float) -> None:
        self._experiments[experiment].traffic = traffic

    def stop(self, experiment: str) -> None:
        ended = self._experiments[experiment]
        ended.stopped, ended.traffic = True, 0.0
        self._free(self._member == ended.number)

    def promote(self, arm: str) -> None:
        self.champion = arm
        self._serving[0] = self._known[arm]

    def served_by(self, user: int) -> str:
        """The name of the ranker that serves a user today."""
        return self._serving[self._production.arm[user]].name

    def observe(self, day: int) -> Sequence[CohortReport]:
        """Lives up to the end of `day`; asking for an old day gives its reports again."""
        while self.today <= day:
            self._live()
        return [r for e in self._experiments.values() for due, r in e.reports if due == day and not e.stopped]

    # --- one day -------------------------------------------------------------------------------

    def _live(self) -> None:
        production, today = self._production, self._production.day
        self._enrol(today)
        happened = production.live(tuple(self._serving))
        visited = np.bincount(happened.user, minlength=len(self._member)) > 0
        fresh = (self._member != NOBODY) & (self._entered == today)
        device = np.zeros(len(visited), dtype=np.int64)
        device[happened.user] = happened.device
        self._device[fresh] = device[fresh]
        self._count(happened, visited, today - self._entered)
        self._lately[today % BEFORE] = visited
        for experiment in self._experiments.values():
            if not experiment.stopped:
                self._report(experiment, today)
        self._free((self._member != NOBODY) & (today - self._entered >= max(end for _, end in WINDOWS.values()) - 1))

    def _enrol(self, today: int) -> None:
        """Visitors who are in no experiment enter the first whose traffic their hash falls into."""
        free = self._production.active()
        for name, experiment in self._experiments.items():
            free = free[self._member[free] == NOBODY]
            fresh = free[hashed(f"{name}/traffic", free) < experiment.traffic]
            edges = np.cumsum(list(experiment.arms.values()))[:-1]
            self._production.arm[fresh] = experiment.first_arm + np.searchsorted(
                edges, hashed(f"{name}/arm", fresh), side="right"
            )
            self._member[fresh], self._entered[fresh] = experiment.number, today
            self._before[fresh] = self._lately[:, fresh].sum(axis=0)
            self._topics[fresh] = False
            for sums in self._sums.values():
                sums[fresh] = 0.0
            new = np.array([ranker is not self._serving[0] for ranker in self._serving])
            self._production.since[fresh] = np.where(new[self._production.arm[fresh]], today, NEVER)

    def _count(self, happened: Day, visited: NDArray[np.bool_], age: Ids) -> None:
        values = self._values(happened, visited)
        for name, (begin, end) in WINDOWS.items():
            inside = (self._member != NOBODY) & (age >= begin) & (age < end)
            self._sums[name] += np.where(inside, values.get(name, visited), 0.0)

    def _values(self, happened: Day, visited: NDArray[np.bool_]) -> dict[str, Floats]:
        """What each user adds to each metric today; metrics that are not here count active days."""
        users, today = len(visited), self._production.day - 1
        paid = SHOWN_PAYS + CLICK_PAYS * happened.click
        columns = {"clicks": happened.click, "likes": happened.like, "watch_s": happened.watch_s, "revenue": paid}
        found: dict[str, Floats] = {
            name: np.bincount(happened.user, weights=column, minlength=users).astype(float)
            for name, column in columns.items()
        }
        found["revenue"] = found["revenue"] * self._worth
        rates = np.array([crash_rate(ranker) for ranker in self._serving])[self._production.arm]
        found["crash_free"] = (visited & (hashed(f"crash/{today}", np.arange(users)) >= rates)).astype(float)
        seen = self._topics.sum(axis=1)
        who = happened.user[happened.click]
        self._topics[who, self._production.items.topic[happened.item[happened.click]]] = True
        found["diversity"] = (self._topics.sum(axis=1) - seen).astype(float)
        return found

    def _report(self, experiment: _Experiment, today: int) -> None:
        """Exposures are reported a day later, a metric a day after its window's end."""
        for metric, end in (("exposures", 1), *((name, window[1]) for name, window in WINDOWS.items())):
            entered = today - end + 1
            who = np.flatnonzero((self._member == experiment.number) & (self._entered == entered))
            if not len(who):
                continue
            for place, arm in enumerate(experiment.arms):
                users = who[self._production.arm[who] == experiment.first_arm + place]
                experiment.reports.append((today + DELAY, self._sum(experiment, arm, metric, entered, users)))
                if metric in (SLICED, "exposures"):
                    for number, name in enumerate(SLICES):
                        part = users[self._device[users] == number]
                        report = self._sum(experiment, arm, f"{metric}/{name}", entered, part)
                        experiment.reports.append((today + DELAY, report))

    def _sum(self, experiment: _Experiment, arm: str, metric: str, entered: int, users: Ids) -> CohortReport:
        name = experiment.name
        report = CohortReport(experiment=name, arm=arm, entered=entered, metric=metric, users=len(users))
        whole = metric.partition("/")[0]
        if whole == "exposures":
            return report
        y, x = self._sums[whole][users], self._before[users]
        return CohortReport(
            experiment=name, arm=arm, entered=entered, metric=metric, users=len(users), n=float(len(users)),
            y=float(y.sum()), yy=float(y @ y), x=float(x.sum()), xx=float(x @ x), xy=float(x @ y),
        )  # fmt: skip

    def _free(self, who: NDArray[np.bool_]) -> None:
        self._member[who] = NOBODY
        self._production.arm[who] = 0


def hashed(salt: str, users: Ids) -> Floats:
    """A number in [0, 1) for each user, the same for ever: splitmix64 of the user under a salt."""
    key = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        mixed = users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(float) * 2.0**-53
