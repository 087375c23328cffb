"""The online agent: launch, observe, decide, write back; killed anywhere it goes on as if nothing had happened."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.online import OnlineAgent
from agents.online_state import TWIN, OnlineSettings
from evaluations.experiments.budget import Season
from evaluations.experiments.desk import Desk
from evaluations.experiments.evidence import Bet
from evaluations.experiments.moments import Moments, moments_of
from evaluations.experiments.rules import Plan
from evaluations.platform import SimulatedPlatform
from evaluations.production import Production
from evaluations.production_truth import CHAMPION
from evaluations.world import WorldConfig
from evolve.contracts import CohortReport, Platform
from evolve.errors import RunError, UsageError
from evolve.journal import Journal

MEANS = {"champion": 10.0, "winner": 11.0, "loser": 9.0, "twin": 10.0}
WINDOWS = {"exposures": 1, "early_active": 2, "north_star": 4}
SETTINGS = OnlineSettings(slots=2, stages=((0, 0.1), (1, 1.0)), enrol=8, mature=6)
PLAN = Plan(
    bet=Bet(mean=0.1, sd=0.1), smallest=0.02, information=5000.0, least_cohorts=2, futile_from=5, most_cohorts=8
)
DAYS = 30


class FixedClock:
    def now(self) -> float:
        return 0.0


class ToyPlatform:
    """Normal users whose mean is their arm's; keeps every user that it ever exposed."""

    def __init__(self) -> None:
        self.arms: dict[str, tuple[dict[str, float], float]] = {}
        self.exposed: dict[tuple[str, str, int], int] = {}
        self.champion = "champion"
        self.today = 0

    def launch(self, experiment, arms, traffic) -> None:
        self.arms.setdefault(experiment, (dict(arms), traffic))

    def ramp(self, experiment, traffic) -> None:
        self.arms[experiment] = (self.arms[experiment][0], traffic)

    def stop(self, experiment) -> None:
        self.arms[experiment] = ({}, 0.0)

    def promote(self, arm) -> None:
        self.champion = arm

    def observe(self, day) -> Sequence[CohortReport]:
        while self.today <= day:
            for name, (arms, traffic) in self.arms.items():
                for arm, share in arms.items():
                    if traffic > 0:
                        assert (name, arm, self.today) not in self.exposed
                        self.exposed[name, arm, self.today] = int(400 * traffic * share)
            self.today += 1
        return [
            self.report(name, arm, entered, metric)
            for name, arm, entered in self.exposed
            for metric, window in WINDOWS.items()
            if entered + window == day and arm in self.arms[name][0]
        ]

    def report(self, name: str, arm: str, entered: int, metric: str) -> CohortReport:
        users = self.exposed[name, arm, entered]
        report = CohortReport(experiment=name, arm=arm, entered=entered, metric=metric, users=users)
        if metric == "exposures":
            return report
        rng = np.random.default_rng([entered, *f"{name}{arm}{metric}".encode()])
        x = rng.normal(0, 1, users)
        sums = moments_of(MEANS[arm.removesuffix(TWIN)] + 2 * x + rng.normal(0, 1.5, users), x)
        return replace(report, **{name: float(getattr(sums, name)) for name in Moments.__slots__})


def started(path: Path, platform: Platform, settings: OnlineSettings = SETTINGS) -> OnlineAgent:
    """An agent on a journal, old or new."""
    journal = Journal(path, FixedClock())
    agent = OnlineAgent(
        platform=platform, experimenter=Desk(Season(level=0.1, tests=10), PLAN), champion="champion",
        settings=settings, write=journal.append,
    )  # fmt: skip
    for record in journal.records:
        agent.apply(record.kind, record.body)
    for challenger in ("loser", "twin", "winner"):
        agent.enqueue(challenger, "the search found it")
    return agent


def lived(path: Path, platform: Platform, days: int = DAYS, settings: OnlineSettings = SETTINGS) -> OnlineAgent:
    agent = started(path, platform, settings)
    while agent.state.day < days - 1:
        agent.tick()
    return agent


def decisions(path: Path) -> dict[str, str]:
    """The last action for each challenger."""
    records = Journal(path, FixedClock()).records
    return {r.body["challenger"]: r.body["decision"]["action"] for r in records if r.kind == "decided"}


LAST_WORDS = {"winner": "promote", "loser": "roll back", "twin": "roll back"}
"""The twin of the first champion is tried again when the winner has taken its place, and loses."""


def test_the_winner_is_promoted_and_the_others_are_rolled_back(tmp_path):
    agent = lived(tmp_path / "j", ToyPlatform())
    assert decisions(tmp_path / "j") == LAST_WORDS
    assert agent.state.champion == "winner" and not agent.state.running


def test_traffic_ramps_up_and_ends_with_the_enrolment(tmp_path):
    lived(tmp_path / "j", ToyPlatform())
    records = Journal(tmp_path / "j", FixedClock()).records
    twin = next(r.body["experiment"] for r in records if r.kind == "launched" and r.body["challenger"] == "twin")
    ramps = [(r.body["day"], r.body["traffic"]) for r in records if r.kind == "ramped" and r.body["experiment"] == twin]
    assert ramps == [(1, 1.0), (8, 0.0)]


def test_no_more_experiments_enrol_at_once_than_there_are_slots(tmp_path):
    agent = started(tmp_path / "j", ToyPlatform())
    agent.tick()
    assert list(agent.state.running) == ["experiment 1", "experiment 2"] and list(agent.state.waiting) == ["winner"]


def test_an_agent_killed_after_any_record_ends_with_the_same_journal(tmp_path):
    """Cut after every record; the resumed run has the same chain of hashes, and exposed the same users once."""
    whole, first = tmp_path / "whole", ToyPlatform()
    lived(whole, first, days=16)
    lines = whole.read_bytes().splitlines(keepends=True)
    for cut in range(len(lines)):
        path, again = tmp_path / f"cut {cut}", ToyPlatform()
        path.write_bytes(b"".join(lines[:cut]))
        lived(path, again, days=16)
        assert path.read_bytes() == whole.read_bytes()
        assert again.exposed == first.exposed and again.champion == first.champion


def test_a_torn_last_record_is_done_again(tmp_path):
    whole = tmp_path / "whole"
    lived(whole, ToyPlatform(), days=9)
    (tmp_path / "torn").write_bytes(whole.read_bytes()[:-7])
    lived(tmp_path / "torn", ToyPlatform(), days=9)
    assert (tmp_path / "torn").read_bytes() == whole.read_bytes()


def test_a_record_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(RunError, match="no record of the kind"):
        started(tmp_path / "j", ToyPlatform()).apply("surprise", {})


# --- kinds of experiments ----------------------------------------------------------------------------


def told(path: Path, kind: str) -> list[dict]:
    return [dict(record.body) for record in Journal(path, FixedClock()).records if record.kind == kind]


def actions(path: Path, experiment: str) -> list[str]:
    return [body["decision"]["action"] for body in told(path, "decided") if body["experiment"] == experiment]


def test_when_the_champion_changes_the_others_are_tried_again_against_the_new_one(tmp_path):
    lived(tmp_path / "j", ToyPlatform())
    twice = [
        (body["control"], body["day"]) for body in told(tmp_path / "j", "launched") if body["challenger"] == "twin"
    ]
    assert [control for control, _ in twice] == ["champion", "winner"]
    assert actions(tmp_path / "j", "experiment 2")[-1] == "restart"


def test_no_more_challengers_are_tried_than_the_error_budget_is_shared_out_among(tmp_path):
    agent = lived(tmp_path / "j", ToyPlatform(), settings=replace(SETTINGS, tests=2))
    assert len(told(tmp_path / "j", "launched")) == 2 and agent.idle and "winner" in agent.state.waiting


def test_after_a_launch_the_champion_of_before_is_held_back_to_the_end(tmp_path):
    lived(tmp_path / "j", ToyPlatform(), settings=replace(SETTINGS, holdback=0.2))
    [held] = [body for body in told(tmp_path / "j", "launched") if body["kind"] == "holdback"]
    assert (held["challenger"], held["control"], held["traffic"]) == ("winner", "champion", 0.2)
    found = actions(tmp_path / "j", held["experiment"])
    assert found[-1] == "keep" and set(found[:-1]) == {"extend"}


class Souring(ToyPlatform):
    """The winner loses its people once it serves everybody."""

    def report(self, name, arm, entered, metric):
        found = super().report(name, arm, entered, metric)
        return replace(found, y=found.y * 0.6, yy=found.yy * 0.36, xy=found.xy * 0.6) if self.sour(arm) else found

    def sour(self, arm) -> bool:
        return arm == self.champion == "winner"


def test_a_champion_that_turns_out_to_harm_is_rolled_back_by_its_holdback(tmp_path):
    platform = Souring()
    agent = lived(tmp_path / "j", platform, settings=replace(SETTINGS, holdback=0.5, tests=3))
    assert agent.state.champion == platform.champion == "champion"
    last = told(tmp_path / "j", "decided")[-1]["decision"]
    assert last["action"] == "roll back" or any(
        body["decision"]["action"] == "roll back" and body["challenger"] == "winner"
        for body in told(tmp_path / "j", "decided")
    )


def test_a_person_gives_production_back_to_the_champion_of_before(tmp_path):
    platform = ToyPlatform()
    agent = lived(tmp_path / "j", platform, days=15)
    agent.roll_back("complaints")
    assert agent.state.champion == platform.champion == "champion"
    with pytest.raises(UsageError, match="no champion was before"):
        agent.roll_back("again")
    again = started(tmp_path / "j", ToyPlatform())
    assert again.state == agent.state


def test_an_a_a_experiment_promotes_nobody_and_is_asked_for_once(tmp_path):
    agent = started(tmp_path / "j", ToyPlatform())
    agent.enqueue_a_a()
    agent.enqueue_a_a()
    assert list(agent.state.waiting.values()).count("a/a") == 1


class Biased(ToyPlatform):
    """Counts the second arm of an A/A experiment too high."""

    def report(self, name, arm, entered, metric):
        found = super().report(name, arm, entered, metric)
        return replace(found, y=found.y * 1.1, yy=found.yy * 1.21, xy=found.xy * 1.1) if "twin" in arm else found


def test_an_a_a_experiment_that_shows_a_difference_is_quarantined(tmp_path):
    agent = started(tmp_path / "j", Biased(), settings=replace(SETTINGS, tests=0))
    agent.enqueue_a_a()
    while not agent.idle:
        agent.tick()
    assert decisions(tmp_path / "j") == {"champion twin": "quarantine"} and agent.state.champion == "champion"


# --- platforms that misbehave ------------------------------------------------------------------------


class Late(ToyPlatform):
    def observe(self, day):
        super().observe(day)
        return super().observe(day - 2) if day >= 2 else []


class Twice(ToyPlatform):
    def observe(self, day):
        return [*super().observe(day), *super().observe(day), *(super().observe(day - 1) if day else [])]


class Disordered(ToyPlatform):
    def observe(self, day):
        found = list(super().observe(day))
        random.Random(day).shuffle(found)
        return found


class NotANumber(ToyPlatform):
    def report(self, name, arm, entered, metric):
        found = super().report(name, arm, entered, metric)
        return replace(found, y=float("nan")) if metric == "north_star" and arm == "winner" else found


class Lossy(ToyPlatform):
    """One arm in three users is lost before it is counted."""

    def report(self, name, arm, entered, metric):
        found = super().report(name, arm, entered, metric)
        return replace(found, users=found.users * 2 // 3) if metric == "exposures" and arm == "winner" else found


class Forgetful(ToyPlatform):
    """Tells other numbers of the same cohort a day later."""

    def observe(self, day):
        found = list(super().observe(day))
        old = super().observe(day - 1) if day else []
        return [*found, *(replace(r, y=r.y + 1) if r.metric == "north_star" else r for r in old)]


class Silent(ToyPlatform):
    def observe(self, day):
        super().observe(day)
        return []


@pytest.mark.parametrize("kind", [Late, Twice, Disordered])
def test_late_repeated_and_disordered_reports_change_no_decision(tmp_path, kind):
    """The twin is dropped or, where the winner came first, tried again; it is promoted in no order."""
    lived(tmp_path / "j", kind(), days=DAYS + 4)
    found = decisions(tmp_path / "j")
    assert (found["winner"], found["loser"]) == ("promote", "roll back")
    assert found["twin"] in ("drop", "roll back")


@pytest.mark.parametrize("kind", [NotANumber, Lossy, Forgetful, Silent])
def test_nothing_is_promoted_on_a_platform_that_can_not_be_trusted(tmp_path, kind):
    agent = lived(tmp_path / "j", kind(), days=DAYS + 4)
    assert agent.state.champion == "champion"
    assert decisions(tmp_path / "j")["winner"] == ("drop" if kind is Silent else "quarantine")


class HalfSilent(ToyPlatform):
    """Never reports the winner's north star of the third day and later."""

    def observe(self, day):
        found = super().observe(day)
        return [r for r in found if (r.arm, r.metric) != ("winner", "north_star") or r.entered % 7 < 2]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (NotANumber, "not a number"), (Lossy, "were exposed"), (Forgetful, "again with other numbers"),
        (Silent, "never reported anything"), (HalfSilent, "cohorts were never complete"),
    ],
)  # fmt: skip
def test_what_was_wrong_is_said(tmp_path, kind, said):
    agent = lived(tmp_path / "j", kind(), days=DAYS + 4)
    records = Journal(tmp_path / "j", FixedClock()).records
    told = [r.body["decision"]["reason"] for r in records if r.kind == "decided" and r.body["challenger"] == "winner"]
    assert said in told[-1] and agent.state.champion == "champion"


# --- in the generated world ----------------------------------------------------------------------------


def world(path: Path) -> tuple[OnlineAgent, SimulatedPlatform]:
    config = WorldConfig(users=300, first_items=150, items_per_day=2, log_days=10)
    better, slow = replace(CHAMPION, name="better", blur=0.3, bait=-1.5), replace(CHAMPION, name="slow", latency_s=6.0)
    rankers = {ranker.name: ranker for ranker in (CHAMPION, better, slow)}
    platform = SimulatedPlatform(Production(config, 2500), rankers, "champion")
    journal = Journal(path, FixedClock())
    plan = Plan(bet=Bet(mean=0.05, sd=0.05), smallest=0.01, information=4000.0, most_cohorts=21)
    agent = OnlineAgent(
        platform=platform, experimenter=Desk(Season(level=0.1, tests=4), plan), champion="champion",
        write=journal.append,
        settings=OnlineSettings(slots=1, stages=((0, 0.1), (2, 1.0)), enrol=21),
    )  # fmt: skip
    for record in journal.records:
        agent.apply(record.kind, record.body)
    for challenger in ("slow", "better"):
        agent.enqueue(challenger, "the search found it")
    return agent, platform


def test_in_the_generated_world_the_better_ranking_becomes_champion_and_the_slow_one_is_rolled_back(tmp_path):
    """Killed on day 40 in the middle of an experiment, and read again: the same records as without."""
    path = tmp_path / "j"
    agent, _ = world(path)
    while agent.state.day < 40:
        agent.tick()
    agent, platform = world(path)
    assert agent.state.day == 40 and agent.state.running
    while agent.state.day < 105 and (agent.state.running or agent.state.waiting):
        agent.tick()
    assert decisions(path) == {"slow": "roll back", "better": "promote"}
    assert platform.champion == "better"
