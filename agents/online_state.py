"""What the records of experiments say: who waits, who runs, who serves. And how reports and decisions are written.

Knows no platform and no statistics; folding the same records gives the same state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from evolve.contracts import Action, CohortReport, Decision

Kind = Literal["challenge", "a/a", "holdback"]
"""A challenger against the champion; the champion against itself; a new champion against the one before it."""
NUMBERS = ("n", "y", "yy", "x", "xx", "xy")
TWIN = " twin"
"""Ends the name of an arm that is served by the same candidate as the arm without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineSettings:
    """How experiments are run. `stages` are the ramp: from this day of an experiment on, this share of free users.

    Enrolment ends after `enrol` days, and its slot is free then; after `mature` more days everything is reported. At
    most `tests` challengers are tried in all, since the error budget is shared out among so many. After a promotion
    `holdback` of the free users enter an experiment of their own, half of them with the champion of before; 0 has none.
    """

    slots: int = 2
    stages: tuple[tuple[int, float], ...] = ((0, 0.01), (2, 0.05), (5, 0.5))
    enrol: int = 28
    mature: int = 58
    tests: int = 1_000
    holdback: float = 0.0

    def traffic(self, age: int) -> float:
        """The share of free users that an experiment takes on this day of its life."""
        return 0.0 if age >= self.enrol else [share for begin, share in self.stages if age >= begin][-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An experiment that is not over."""

    kind: Kind
    begun: int
    challenger: str
    control: str
    traffic: float


@dataclass(slots=True, kw_only=True)
class OnlineState:
    """What the records say. `waiting` maps an arm that is to be tried to the kind of its experiment; `before` are
    the champions of before, the last one last; `held_back` is one of them until the experiment that keeps it begins."""

    day: int = -1
    waiting: dict[str, Kind] = field(default_factory=dict[str, Kind])
    seen: set[str] = field(default_factory=set[str])
    running: dict[str, Running] = field(default_factory=dict[str, Running])
    launched: int = 0
    tests: int = 0
    observed: int = -1
    decided: dict[str, int] = field(default_factory=dict[str, int])
    champion: str = ""
    before: list[str] = field(default_factory=list[str])
    held_back: str = ""
    promotions: int = 0


def report_to_json(report: CohortReport) -> dict[str, Any]:
    """Plain values; JSON has no NaN, so what is no finite number becomes a word."""
    body = asdict(report)
    return {name: plain(value) if name in NUMBERS else value for name, value in body.items()}


def report_from_json(body: Mapping[str, Any]) -> CohortReport:
    """The report of a record."""
    numbers: dict[str, Any] = {name: float(body[name]) for name in NUMBERS}
    return CohortReport(**{**body, **numbers})


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """Plain values; an interval without ends has words for them."""
    return {name: plain(value) for name, value in asdict(decision).items()}


def decision_from_json(body: Mapping[str, Any]) -> Decision:
    """The decision of a record."""
    values: dict[str, Any] = {**body, "action": Action(body["action"])}
    for name in ("effect", "low", "high", "log_e", "alpha", "shrunk"):
        if values.get(name) is not None:
            values[name] = float(values[name])
    return Decision(**values)


def plain(value: Any) -> Any:
    """A float that JSON does not know as a word."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
