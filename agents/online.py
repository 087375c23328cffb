"""The online agent: one simulated (or real) day at a time it ranks, launches, observes, decides and writes back.

Knows no statistics, no world and no file: platform, experimenter and journal come as Protocols. Everything that it does
is written first and done afterwards, by the one function that also folds an old journal. So an agent that was killed is
an agent that read its records again: no exposure is counted twice and no decision is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

from evolve.contracts import Action, CohortReport, Decision, Experimenter, Platform
from evolve.errors import RunError

Write = Callable[[str, Mapping[str, Any]], None]
Rank = Callable[[Sequence[str]], Sequence[str]]
"""Puts waiting challengers in the order in which they are launched."""

NUMBERS = ("n", "y", "yy", "x", "xx", "xy")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineSettings:
    """How experiments are run. `stages` are the ramp: from this day of an experiment on, this share of free users.

    Enrolment ends after `enrol` days, and its slot is free then; after `mature` more days everything is reported.
    """

    slots: int = 2
    stages: tuple[tuple[int, float], ...] = ((0, 0.01), (2, 0.05), (5, 0.5))
    enrol: int = 28
    mature: int = 58


@dataclass(slots=True, kw_only=True)
class OnlineState:
    """What the records say. `running` maps an experiment to its day of launch, its challenger and its traffic."""

    day: int = -1
    waiting: list[str] = field(default_factory=list[str])
    running: dict[str, tuple[int, str, float]] = field(default_factory=dict[str, tuple[int, str, float]])
    launched: int = 0
    observed: int = -1
    decided: dict[str, int] = field(default_factory=dict[str, int])
    champion: str = ""
    promotions: int = 0


class _Tick(TypedDict):
    day: int


class OnlineAgent:
    """Drives a platform by an experimenter's decisions. `write` records what is about to be done."""

    def __init__(
        self,
        *,
        platform: Platform,
        experimenter: Experimenter,
        champion: str,
        challengers: Sequence[str],
        settings: OnlineSettings,
        write: Write,
        rank: Rank = lambda waiting: waiting,
    ) -> None:
        self._platform, self._experimenter, self._settings = platform, experimenter, settings
        self._write, self._rank = write, rank
        self.state = OnlineState(waiting=list(challengers), champion=champion)
        self._graph = _graph(self)

    def tick(self) -> None:
        """Lives the next day, or the rest of the day in which a killed agent stopped."""
        self._graph.invoke({"day": self.state.day + 1})

    # --- the day's steps ---------------------------------------------------------------------

    def rank(self, tick: _Tick) -> _Tick:
        """Orders who waits; the order is a matter of this process and is decided anew each day."""
        self.state.waiting = list(self._rank(self.state.waiting))
        return tick

    def launch(self, tick: _Tick) -> _Tick:
        """Fills free slots: an experiment is in its slot while it enrols. A day that was observed has had its launches:
        a slot that is free now was freed by a decision, and is filled tomorrow."""
        day, settings = tick["day"], self._settings
        if self.state.observed >= day:
            return tick
        while self.state.waiting and len(self._enrolling(day)) < settings.slots:
            challenger, traffic = self.state.waiting[0], settings.stages[0][1]
            body = {"experiment": f"experiment {self.state.launched + 1}", "challenger": challenger, "day": day}
            self._do("launched", {**body, "control": self.state.champion, "traffic": traffic})
        for experiment, (begun, _, traffic) in list(self.state.running.items()):
            now = self._traffic(day - begun)
            if now != traffic:
                self._do("ramped", {"experiment": experiment, "traffic": now, "day": day})
        return tick

    def observe(self, tick: _Tick) -> _Tick:
        """Asks the platform for the day's reports and writes them down before anything is made of them."""
        if self.state.observed < tick["day"]:
            reports = [report_to_json(report) for report in self._platform.observe(tick["day"])]
            self._do("reported", {"day": tick["day"], "reports": reports})
        return tick

    def decide(self, tick: _Tick) -> _Tick:
        """One decision a day for each experiment that is not over."""
        day = tick["day"]
        for experiment, (begun, challenger, _) in list(self.state.running.items()):
            if self.state.decided.get(experiment, -1) == day:
                continue
            ended = day - begun >= self._settings.enrol + self._settings.mature
            decision = self._experimenter.decide(experiment, self.state.promotions, ended)[challenger]
            body = {"experiment": experiment, "challenger": challenger, "day": day}
            self._do("decided", {**body, "decision": decision_to_json(decision)})
        return tick

    def write_back(self, tick: _Tick) -> _Tick:
        """The day is over."""
        self._do("day ended", {"day": tick["day"]})
        return tick

    # --- records -------------------------------------------------------------------------------

    def _do(self, kind: str, body: Mapping[str, Any]) -> None:
        self._write(kind, body)
        self.apply(kind, body)

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        """Does what a record says; for a new record and for an old one alike. Raises RunError for an unknown kind."""
        state = self.state
        if kind == "launched":
            self._apply_launch(body)
        elif kind == "ramped":
            begun, challenger, _ = state.running[body["experiment"]]
            state.running[body["experiment"]] = (begun, challenger, body["traffic"])
            self._platform.ramp(body["experiment"], body["traffic"])
        elif kind == "reported":
            self._platform.observe(body["day"])
            state.observed = body["day"]
            self._experimenter.tell([report_from_json(report) for report in body["reports"]])
        elif kind == "decided":
            self._apply_decision(body)
        elif kind == "day ended":
            state.day = body["day"]
        else:
            raise RunError(f"the online agent knows no record of the kind `{kind}`")

    def _apply_launch(self, body: Mapping[str, Any]) -> None:
        experiment, challenger = body["experiment"], body["challenger"]
        shares = {body["control"]: 0.5, challenger: 0.5}
        self.state.waiting.remove(challenger)
        self.state.running[experiment] = (body["day"], challenger, body["traffic"])
        self.state.launched += 1
        self._experimenter.open(experiment, body["control"], shares)
        self._platform.launch(experiment, shares, body["traffic"])

    def _apply_decision(self, body: Mapping[str, Any]) -> None:
        experiment, action = body["experiment"], Action(body["decision"]["action"])
        self.state.decided[experiment] = body["day"]
        if action is Action.EXTEND:
            return
        if action is Action.PROMOTE:
            self.state.champion = body["challenger"]
            self.state.promotions += 1
            self._platform.promote(body["challenger"])
        del self.state.running[experiment]
        self._platform.stop(experiment)

    # --- small parts -----------------------------------------------------------------------------

    def _enrolling(self, day: int) -> list[str]:
        return [name for name, (begun, _, _) in self.state.running.items() if day - begun < self._settings.enrol]

    def _traffic(self, age: int) -> float:
        if age >= self._settings.enrol:
            return 0.0
        return [share for begin, share in self._settings.stages if age >= begin][-1]


def _graph(agent: OnlineAgent) -> Any:
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(_Tick)
    steps = {"rank": agent.rank, "launch": agent.launch, "observe": agent.observe, "decide": agent.decide}
    names = [START]
    for name, step in {**steps, "write back": agent.write_back}.items():
        graph.add_node(name, step)
        graph.add_edge(names[-1], name)
        names.append(name)
    graph.add_edge(names[-1], END)
    return graph.compile()


def report_to_json(report: CohortReport) -> dict[str, Any]:
    """Plain values; JSON has no NaN, so what is no finite number becomes a word."""
    body = asdict(report)
    return {name: _plain(value) if name in NUMBERS else value for name, value in body.items()}


def report_from_json(body: Mapping[str, Any]) -> CohortReport:
    """The report of a record."""
    numbers: dict[str, Any] = {name: float(body[name]) for name in NUMBERS}
    return CohortReport(**{**body, **numbers})


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """Plain values; an interval without ends has words for them."""
    return {name: _plain(value) for name, value in asdict(decision).items()}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
