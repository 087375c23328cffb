"""What a platform has reported, once each: late, repeated and disordered reports change nothing, wrong ones are seen.

Knows nothing of platforms or decisions. A cohort counts when every arm has reported it, and cohorts count in the order
in which they entered: a cohort that is missing holds back the later ones until it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile

import numpy as np

from evaluations.experiments.evidence import log_mismatch
from evaluations.experiments.moments import Moments
from evolve.contracts import CohortReport

Key = tuple[str, str, int, str]
EXPOSURES = "exposures"


class Ledger:
    """Reports by experiment, arm, cohort and metric."""

    def __init__(self) -> None:
        self._reports: dict[Key, CohortReport] = {}
        self._trouble: dict[str, str] = {}

    def add(self, reports: Iterable[CohortReport]) -> None:
        """Takes reports in any order and any number of times. A report that contradicts an earlier one, or that can't
        be true, is kept out and marks its experiment for ever."""
        for report in reports:
            key = (report.experiment, report.arm, report.entered, report.metric)
            if wrong := _wrong(report, self._reports.get(key)):
                self._trouble.setdefault(report.experiment, f"{report.arm}, day {report.entered}: {wrong}")
            else:
                self._reports[key] = report

    def trouble(self, experiment: str) -> str:
        """What was wrong with the first bad report; empty where none was. Users with values of every metric must be
        those that were exposed: else some were lost on the way."""
        if found := self._trouble.get(experiment):
            return found
        for (name, arm, entered, metric), report in self._reports.items():
            exposed = self._reports.get((name, arm, entered, _exposures_of(metric)))
            if name == experiment and exposed and report.users != exposed.users:
                return f"{arm}, day {entered}: {metric} of {report.users} users, but {exposed.users} were exposed"
        return ""

    def entered(self, experiment: str) -> list[int]:
        """The days on which anybody is known to have entered."""
        return sorted({key[2] for key in self._reports if key[0] == experiment})

    def cohorts(self, experiment: str, metric: str, arms: Iterable[str]) -> list[int]:
        """The days of entry whose `metric` is complete in all `arms`, up to the first that is not."""
        return list(takewhile(self._complete(experiment, metric, arms), self.entered(experiment)))

    def moments(self, experiment: str, metric: str, arms: Iterable[str]) -> Mapping[str, Moments]:
        """Of each arm over the complete cohorts; arrays of shape (cohorts,)."""
        names = tuple(arms)
        days = self.cohorts(experiment, metric, names)
        return {
            arm: Moments(**{
                name: np.array([getattr(self._reports[experiment, arm, day, metric], name) for day in days])
                for name in Moments.__slots__
            })
            for arm in names
        }  # fmt: skip

    def missing(self, experiment: str, metric: str, arms: Iterable[str]) -> list[int]:
        """Days of entry whose `metric` has not come from all `arms`, though a later day's has: they hold it back."""
        days = self.entered(experiment)
        come = set(filter(self._complete(experiment, metric, arms), days))
        return [day for day in days if day not in come and day < max(come, default=day)]

    def _complete(self, experiment: str, metric: str, arms: Iterable[str]) -> Callable[[int], bool]:
        """Whether all `arms` have reported those who entered on a day."""
        names = tuple(arms)
        return lambda day: all((experiment, arm, day, metric) in self._reports for arm in names)

    def log_mismatch(self, experiment: str, shares: Mapping[str, float]) -> float:
        """The evidence that users were not assigned in these shares."""
        counts = np.zeros(len(shares))
        for (name, arm, _, metric), report in self._reports.items():
            if name == experiment and metric == EXPOSURES and arm in shares:
                counts[list(shares).index(arm)] += report.users
        return float(log_mismatch(counts, np.array(list(shares.values()))))


def _exposures_of(metric: str) -> str:
    """A slice of users has exposures of its own: those of `early_active/phone` are `exposures/phone`."""
    _, slash, part = metric.partition("/")
    return EXPOSURES + slash + part


def _wrong(report: CohortReport, before: CohortReport | None) -> str:
    numbers = np.array([report.n, report.y, report.yy, report.x, report.xx, report.xy])
    if not np.isfinite(numbers).all():
        return f"{report.metric} is not a number"
    if report.users < 0 or report.n < 0 or report.n > report.users:
        return f"{report.metric} has values of {report.n:g} users of {report.users}"
    if report.metric != _exposures_of(report.metric) and report.n < report.users:
        return f"{report.metric} lacks {report.users - report.n:g} of {report.users} users"
    if report.n > 0 and report.yy * report.n < report.y**2 * (1 - 1e-9):
        return f"{report.metric} has a negative variance"
    if before is not None and before != report:
        return f"{report.metric} was reported again with other numbers"
    return ""
