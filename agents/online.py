"""The online agent: one simulated (or real) day at a time it ranks, launches, observes, decides and writes back.

Knows no statistics, no world and no file: platform, experimenter and journal come as Protocols. Everything that it does
is written first and done afterwards, by the one function that also folds an old journal. So an agent that was killed is
an agent that read its records again: no exposure is counted twice and no decision is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from agents.online_state import (
    TWIN,
    Kind,
    OnlineSettings,
    OnlineState,
    Running,
    decision_from_json,
    decision_to_json,
    report_from_json,
    report_to_json,
)
from evolve.contracts import Action, Decision, Experimenter, Platform
from evolve.errors import RunError, UsageError

Write = Callable[[str, Mapping[str, Any]], object]
Rank = Callable[[Sequence[str]], Sequence[tuple[str, str]]]
"""Puts waiting challengers in the order in which they are launched, each with the reason for its place."""

KINDS = frozenset({"queued", "launched", "ramped", "reported", "decided", "day_ended", "champion_rolled_back"})
"""The records that an online agent writes and reads."""


def as_they_came(waiting: Sequence[str]) -> Sequence[tuple[str, str]]:
    """The order of no knowledge."""
    return [(challenger, "first come, first served") for challenger in waiting]


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
        settings: OnlineSettings,
        write: Write,
        rank: Rank = as_they_came,
    ) -> None:
        self._platform, self._experimenter, self._settings = platform, experimenter, settings
        self._write, self._rank = write, rank
        self._order: list[tuple[str, str]] = []
        self.state = OnlineState(champion=champion)
        self._graph = _graph(self)

    def enqueue(self, challenger: str, reason: str, **about: float) -> None:
        """Lets a challenger wait for a free slot; one that ever waited is not taken again. `about` is kept with it."""
        if challenger not in self.state.seen:
            body = {"challenger": challenger, "kind": "challenge", "reason": reason, "day": self.state.day + 1}
            self._do("queued", {**body, **about})

    def enqueue_a_a(self) -> None:
        """Lets the champion wait for an experiment against itself, where none does."""
        twin = self.state.champion + TWIN
        if twin not in self.state.waiting:
            reason = "an A/A experiment, asked for: a difference would be the platform's"
            self._do("queued", {"challenger": twin, "kind": "a/a", "reason": reason, "day": self.state.day + 1})

    def roll_back(self, reason: str) -> None:
        """Gives production back to the champion of before, at once. Raises UsageError where there is none."""
        former = self.state.champion
        if not self.state.before:
            raise UsageError(f"{former} serves, and no champion was before it", hint="See `evolve experiments`.")
        body = {"day": self.state.day + 1, "champion": self.state.before[-1], "former": former, "reason": reason}
        self._do("champion_rolled_back", body)

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing can be launched."""
        left = self.state.tests < self._settings.tests
        waits = left and bool(self.state.waiting)
        return not (self.state.running or waits or self.state.held_back or "a/a" in self.state.waiting.values())

    def tick(self) -> None:
        """Lives the next day, or the rest of the day in which a killed agent stopped."""
        self._graph.invoke({"day": self.state.day + 1})

    # --- the day's steps ---------------------------------------------------------------------

    def rank(self, tick: _Tick) -> _Tick:
        """Orders who waits; the order is a matter of this process and is decided anew each day."""
        self._order = list(self._rank(tuple(self.state.waiting)))
        return tick

    def launch(self, tick: _Tick) -> _Tick:
        """Fills free slots: an experiment is in its slot while it enrols. A day that was observed has had its launches:
        a slot that is free now was freed by a decision, and is filled tomorrow."""
        day, settings = tick["day"], self._settings
        if self.state.observed >= day:
            return tick
        if self.state.held_back:
            reason = f"the champion of before keeps {settings.holdback / 2:.1%} of the free users"
            self._launch("holdback", self.state.champion, self.state.held_back, settings.holdback, day, reason)
        for challenger, reason in self._order:
            kind = self.state.waiting.get(challenger)
            if kind is None or (kind == "challenge" and self.state.tests >= settings.tests):
                continue
            if len(self._enrolling(day)) >= settings.slots:
                break
            self._launch(kind, challenger, self.state.champion, settings.traffic(0), day, reason)
        for experiment, one in list(self.state.running.items()):
            now = settings.traffic(day - one.begun)
            if one.kind == "holdback" and now:
                now = settings.holdback
            if now != one.traffic:
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
        for experiment, one in list(self.state.running.items()):
            if self.state.decided.get(experiment, -1) == day:
                continue
            ended = day - one.begun >= self._settings.enrol + self._settings.mature
            found = self._experimenter.decide(experiment, self.state.promotions, ended)[one.challenger]
            decision = self._within_its_kind(one, found, ended=ended)
            body = {"experiment": experiment, "challenger": one.challenger, "day": day}
            self._do("decided", {**body, "decision": decision_to_json(decision)})
        return tick

    def write_back(self, tick: _Tick) -> _Tick:
        """The day is over."""
        self._do("day_ended", {"day": tick["day"], "champion": self.state.champion})
        return tick

    # --- records -------------------------------------------------------------------------------

    def _do(self, kind: str, body: Mapping[str, Any]) -> None:
        self._write(kind, body)
        self.apply(kind, body)

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        """Does what a record says; for a new record and for an old one alike. Raises RunError for an unknown kind."""
        state = self.state
        if kind == "queued":
            state.waiting[body["challenger"]] = body["kind"]
            state.seen.add(body["challenger"])
        elif kind == "launched":
            self._apply_launch(body)
        elif kind == "ramped":
            one = state.running[body["experiment"]]
            state.running[body["experiment"]] = replace(one, traffic=body["traffic"])
            self._platform.ramp(body["experiment"], body["traffic"])
        elif kind == "reported":
            self._platform.observe(body["day"])
            state.observed = body["day"]
            self._experimenter.tell([report_from_json(report) for report in body["reports"]])
        elif kind == "decided":
            self._apply_decision(body["experiment"], body["day"], decision_from_json(body["decision"]))
        elif kind == "day_ended":
            state.day = body["day"]
        elif kind == "champion_rolled_back":
            self._back_to(body["champion"])
        else:
            raise RunError(f"the online agent knows no record of the kind `{kind}`")

    def _apply_launch(self, body: Mapping[str, Any]) -> None:
        state, experiment, kind = self.state, body["experiment"], body["kind"]
        state.waiting.pop(body["challenger"], None)
        state.running[experiment] = Running(
            kind=kind,
            begun=body["day"],
            challenger=body["challenger"],
            control=body["control"],
            traffic=body["traffic"],
        )
        state.launched += 1
        state.tests += kind == "challenge"
        if kind == "holdback":
            state.held_back = ""
        self._experimenter.open(experiment, body["control"], body["shares"])
        self._platform.launch(experiment, body["shares"], body["traffic"])

    def _apply_decision(self, experiment: str, day: int, decision: Decision) -> None:
        state, one = self.state, self.state.running[experiment]
        state.decided[experiment] = day
        if decision.action is Action.EXTEND:
            return
        if decision.action is Action.PROMOTE:
            state.before.append(state.champion)
            state.champion, state.promotions = one.challenger, state.promotions + 1
            state.held_back = one.control if self._settings.holdback else ""
            self._platform.promote(one.challenger)
        elif decision.action is Action.ROLL_BACK and one.kind == "holdback":
            self._back_to(one.control)
        elif decision.action is Action.RESTART:
            state.waiting[one.challenger] = one.kind
        del state.running[experiment]
        self._experimenter.close(experiment, decision)
        self._platform.stop(experiment)

    def _back_to(self, champion: str) -> None:
        self.state.before.pop()
        self.state.champion, self.state.held_back = champion, ""
        self._platform.promote(champion)

    # --- small parts -----------------------------------------------------------------------------

    def _launch(self, kind: Kind, challenger: str, control: str, traffic: float, day: int, reason: str) -> None:
        body = {"experiment": f"experiment {self.state.launched + 1}", "kind": kind, "challenger": challenger}
        body |= {"control": control, "shares": {control: 0.5, challenger: 0.5}, "traffic": traffic}
        self._do("launched", {**body, "day": day, "reason": reason})

    def _within_its_kind(self, one: Running, decision: Decision, *, ended: bool) -> Decision:
        """What the evidence means for this kind of experiment: only a challenger of today's champion is promoted."""
        action, champion = decision.action, self.state.champion
        if one.kind == "holdback":
            return self._held_back(one, decision, ended=ended)
        if one.kind == "challenge" and one.control != champion and action is not Action.ROLL_BACK:
            said = f"{one.control} is no longer the champion: {one.challenger} is tried again, against {champion}"
            return replace(decision, action=Action.RESTART, reason=said)
        if one.kind == "a/a" and action is Action.PROMOTE:
            said = "an A/A experiment shows a difference: the platform splits or counts users wrongly, or it is chance"
            return replace(decision, action=Action.QUARANTINE, reason=f"{said} at level {decision.alpha:.2g}")
        return decision

    def _held_back(self, one: Running, decision: Decision, *, ended: bool) -> Decision:
        """A holdback goes on to its end, for the final figure; only harm or trouble ends it before."""
        if one.challenger != self.state.champion:
            return replace(decision, action=Action.DROP, reason=f"{one.challenger} is no longer the champion")
        if decision.action in (Action.ROLL_BACK, Action.QUARANTINE):
            return decision
        if ended:
            return replace(decision, action=Action.KEEP, reason="the new champion did not lose to the one before it")
        return replace(decision, action=Action.EXTEND, reason="the champion of before is held back to the end")

    def _enrolling(self, day: int) -> list[str]:
        running = self.state.running.items()
        return [name for name, one in running if one.kind != "holdback" and day - one.begun < self._settings.enrol]


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
