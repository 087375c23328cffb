"""The state of the outer loop, folded from a run's journal: experiments, their days, and who serves production.

Decides nothing and knows no platform. Arms are named by candidates' numbers; an A/A's second arm is `N twin`.
The records, with the fields of their bodies:

    online_started  platform, users, slots, stages, enrol, mature, tests, level, holdback, days, champion
    queued          challenger, kind, reason, day; for a challenger also gain (over the seed, in the search)
    launched        experiment, kind, challenger, control, shares, traffic, day, reason
    ramped          experiment, traffic, day
    reported        day, reports (each a `CohortReport`)
    decided         experiment, challenger, day, decision (a `Decision`)
    day_ended       day, champion
    champion_rolled_back  day, champion, former, reason (a drill, or a person)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evolve import records
from evolve.contracts import Action, CohortReport, Decision
from evolve.errors import RunError

OUTER = frozenset(
    {
        "online_started",
        "queued",
        "launched",
        "ramped",
        "reported",
        "decided",
        "day_ended",
        "champion_rolled_back",
    }
)
"""Kinds of records that the outer loop writes; the search decides nothing by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A challenger that waits, or waited, for its experiment. `gain` is the proxy's, over the seed."""

    challenger: str
    kind: str
    reason: str
    day: int
    gain: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was decided of an experiment on one day."""

    day: int
    decision: Decision


@dataclass(slots=True, kw_only=True)
class Experiment:
    """One experiment: `challenge`, `a/a` or `holdback`. `traffic` is each change of its share of free users, by day."""

    number: int
    name: str
    kind: str
    challenger: str
    control: str
    shares: Mapping[str, float]
    begun: int
    reason: str
    traffic: dict[int, float] = field(default_factory=dict[int, float])
    reports: list[CohortReport] = field(default_factory=list[CohortReport])
    looks: list[Look] = field(default_factory=list[Look])

    @property
    def end(self) -> Look | None:
        """The look that ended it; None while it runs."""
        last = self.looks[-1] if self.looks else None
        return last if last and last.decision.action is not Action.EXTEND else None


class Campaign:
    """Every experiment of a run. `apply` is the only way in."""

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}
        self.queue: dict[str, Queued] = {}
        self.experiments: list[Experiment] = []
        self.day = -1
        self.champion = ""
        """The arm that serves production."""

    def __bool__(self) -> bool:
        return bool(self.settings)

    @property
    def promoted(self) -> list[Experiment]:
        """The experiments whose challenger became champion, in the order of their decisions."""
        found = [one for one in self.experiments if one.end and one.end.decision.action is Action.PROMOTE]
        return sorted(found, key=lambda one: (one.end.day if one.end else 0, one.number))

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        """Takes one record. Raises RunError for one that speaks of an experiment that was never launched."""
        takes: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "online_started": self._started,
            "queued": self._queued,
            "launched": self._launched,
            "ramped": self._ramped,
            "reported": self._reported,
            "decided": self._decided,
            "day_ended": self._day_ended,
            "champion_rolled_back": self._rolled_back,
        }
        takes[kind](body)

    def named(self, name: str) -> Experiment:
        """The experiment of that name."""
        found = next((one for one in self.experiments if one.name == name), None)
        if found is None:
            raise RunError(f"the journal speaks of `{name}`, which was never launched")
        return found

    def _started(self, body: Mapping[str, Any]) -> None:
        self.settings = body
        self.champion = self.champion or body["champion"]

    def _queued(self, body: Mapping[str, Any]) -> None:
        self.queue[body["challenger"]] = Queued(
            challenger=body["challenger"],
            kind=body["kind"],
            reason=body["reason"],
            day=body["day"],
            gain=body.get("gain"),
        )

    def _launched(self, body: Mapping[str, Any]) -> None:
        self.experiments.append(
            Experiment(
                number=len(self.experiments) + 1,
                name=body["experiment"],
                kind=body["kind"],
                challenger=body["challenger"],
                control=body["control"],
                shares=body["shares"],
                begun=body["day"],
                reason=body["reason"],
                traffic={body["day"]: body["traffic"]},
            )
        )

    def _ramped(self, body: Mapping[str, Any]) -> None:
        self.named(body["experiment"]).traffic[body["day"]] = body["traffic"]

    def _reported(self, body: Mapping[str, Any]) -> None:
        by_name = {one.name: one for one in self.experiments}
        for report in map(records.report_from_json, body["reports"]):
            if report.experiment in by_name:
                by_name[report.experiment].reports.append(report)

    def _decided(self, body: Mapping[str, Any]) -> None:
        one = self.named(body["experiment"])
        decision = records.decision_from_json(body["decision"])
        one.looks.append(Look(day=body["day"], decision=decision))
        if decision.action is Action.PROMOTE:
            self.champion = one.challenger
        elif decision.action is Action.ROLL_BACK and one.kind == "holdback":
            self.champion = one.control

    def _day_ended(self, body: Mapping[str, Any]) -> None:
        self.day = body["day"]

    def _rolled_back(self, body: Mapping[str, Any]) -> None:
        self.champion = body["champion"]


def candidate_of(arm: str) -> int:
    """The number of the candidate that an arm serves."""
    return int(arm.partition(" ")[0])
