"""The simulated production: one world with its log, late metrics, known truth; and a ledger that no report confuses."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluations.experiments.desk import Trial, judge
from evaluations.experiments.evidence import Bet
from evaluations.experiments.ledger import Ledger
from evaluations.experiments.rules import Plan
from evaluations.platform import SLICES, WINDOWS, SimulatedPlatform, hashed
from evaluations.production import ExportedPolicy, Production
from evaluations.production_truth import CHAMPION, FAMILIES, Kind, candidates, live, true_effects
from evaluations.world import WorldConfig
from evaluations.world_log import generate_log, world_after_log
from evolve.contracts import Action, CohortReport
from evolve.errors import UsageError

SMALL = WorldConfig(users=300, first_items=150, items_per_day=2, log_days=10)
USERS = 1500
BETTER = replace(CHAMPION, name="better", blur=0.3, bait=-1.5)
SLOW = replace(CHAMPION, name="slow", latency_s=6.0)
BAIT = replace(CHAMPION, name="bait", bait=1.2)
TWIN = replace(CHAMPION, name="twin")
CRASHING = replace(CHAMPION, name="crashing", crash_rate=0.4)
EVEN = {"champion": 0.5, "twin": 0.5}


def platform(kind: Kind = Kind.ALIGNED, users: int = USERS, *more: ExportedPolicy) -> SimulatedPlatform:
    rankers = {ranker.name: ranker for ranker in (CHAMPION, BETTER, SLOW, BAIT, TWIN, CRASHING, *more)}
    return SimulatedPlatform(Production(replace(SMALL, family=FAMILIES[kind]), users), rankers, "champion")


def lived(days: int, arms: dict[str, float], *, traffic: float = 1.0) -> list[CohortReport]:
    there = platform()
    there.launch("e", arms, traffic)
    return [report for day in range(days) for report in there.observe(day)]


@pytest.fixture(scope="module")
def reports() -> list[CohortReport]:
    """Seventy days of one even experiment."""
    return lived(70, EVEN)


# --- production ----------------------------------------------------------------------------------


def test_production_begins_with_the_users_and_items_that_the_log_left():
    log, production = generate_log(SMALL), Production(SMALL, USERS)
    assert production.day == 0 and len(production.users.base) == USERS
    assert np.array_equal(production.items.topic, log.items["topic"])
    last = log.impressions["day"] == -1
    back = np.isin(log.impressions["user"][last], production.active())
    assert back.mean() == pytest.approx(log.impressions["returned"][last].mean(), abs=0.25)


def test_the_log_knows_neither_latency_nor_curiosity():
    """Both came into the world after its log was fixed: they are 0 in it, so its bytes are what they were."""
    world, _, _ = world_after_log(SMALL)
    assert not world.users.latency_s.any() and not world.users.curiosity.any()


def test_there_are_never_fewer_users_than_the_log_knows():
    with pytest.raises(UsageError, match="fewer"):
        Production(SMALL, 299)


def test_the_same_days_are_lived_twice():
    one, other = Production(SMALL, USERS), Production(SMALL, USERS)
    days = [(one.live((CHAMPION,)), other.live((CHAMPION,))) for _ in range(4)]
    assert all(np.array_equal(a.item, b.item) and np.array_equal(a.watch_s, b.watch_s) for a, b in days)


def test_no_visit_is_offered_an_item_twice():
    day = Production(SMALL, USERS).live((CHAMPION,))
    for slate in range(20):
        assert len(np.unique(day.item[day.slate == slate])) == SMALL.slate


def test_a_twin_of_the_champion_has_exactly_no_effect():
    """Common random numbers: nothing differs, so nothing happens."""
    found = true_effects(live(SMALL, 400, TWIN, enrol=2), live(SMALL, 400, TWIN, enrol=2))
    assert all(one.effect == 0.0 and one.standard_error == 0.0 for one in found.values())


def test_in_a_null_world_no_candidate_has_an_effect_on_return():
    config = replace(SMALL, family=FAMILIES[Kind.NULL])
    reference = live(config, 400, CHAMPION, enrol=2)
    for candidate in [*candidates(Kind.NULL, 3, seed=0), BETTER, BAIT]:
        assert true_effects(live(config, 400, candidate, enrol=2), reference)["north_star"].effect == 0.0


def test_a_slower_ranking_loses_visits_and_a_better_one_gains_them():
    reference = live(SMALL, USERS, CHAMPION)
    slow, better = (true_effects(live(SMALL, USERS, ranker), reference)["north_star"] for ranker in (SLOW, BETTER))
    assert slow.effect < -5 * slow.standard_error and better.effect > 5 * better.standard_error


def test_bait_gains_clicks_and_loses_people():
    config = replace(SMALL, family=FAMILIES[Kind.GOODHART])
    found = true_effects(live(config, USERS, BAIT), live(config, USERS, CHAMPION))
    assert found["clicks"].effect > 3 * found["clicks"].standard_error
    assert found["north_star"].effect < -3 * found["north_star"].standard_error


def test_candidates_of_a_tiny_world_are_near_the_champion():
    far, near = candidates(Kind.ALIGNED, 5, seed=1), candidates(Kind.TINY, 5, seed=1)
    assert max(abs(c.bait - CHAMPION.bait) for c in near) < 0.2 * max(abs(c.bait - CHAMPION.bait) for c in far)


# --- assignment ------------------------------------------------------------------------------------


def test_hashes_are_even_and_two_salts_know_nothing_of_each_other():
    users = np.arange(100_000)
    one, other = hashed("a", users), hashed("b", users)
    assert one.min() >= 0 and one.max() < 1 and one.mean() == pytest.approx(0.5, abs=0.005)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.01


def test_a_user_is_in_the_same_arm_on_every_run(reports):
    assert lived(70, EVEN) == reports


def test_arms_get_their_shares_and_traffic_its_own():
    found = lived(20, {"champion": 0.5, "better": 0.3, "slow": 0.2}, traffic=0.4)
    users = {arm: sum(r.users for r in found if r.arm == arm and r.metric == "exposures") for arm in ("better", "slow")}
    whole = sum(r.users for r in found if r.metric == "exposures")
    assert users["better"] / whole == pytest.approx(0.3, abs=0.06)
    assert 0.25 < whole / sum(r.users for r in lived(20, EVEN) if r.metric == "exposures") < 0.55


def test_shares_that_do_not_sum_to_one_are_refused():
    with pytest.raises(UsageError, match="sum to 1"):
        platform().launch("e", {"champion": 0.5, "twin": 0.4}, 1.0)
    with pytest.raises(UsageError, match="nobody knows"):
        platform().launch("e", {"champion": 0.5, "stranger": 0.5}, 1.0)


def test_enrolment_ends_with_the_traffic_and_those_who_entered_stay():
    there = platform()
    there.launch("e", EVEN, 1.0)
    there.observe(2)
    there.ramp("e", 0.0)
    found = [r for day in range(3, 70) for r in there.observe(day)]
    assert max(r.entered for r in found) == 2
    assert any(r.metric == "north_star" for r in found)


def test_a_rollback_restores_the_champion_on_the_next_day():
    there = platform()
    there.launch("e", {"champion": 0.5, "slow": 0.5}, 1.0)
    there.observe(3)
    assert any(there.served_by(user) == "slow" for user in range(USERS))
    there.stop("e")
    assert not any(there.served_by(user) == "slow" for user in range(USERS))
    assert [r for day in range(4, 20) for r in there.observe(day)] == []


def test_a_promotion_serves_everybody():
    there = platform()
    there.promote("better")
    there.observe(0)
    assert {there.served_by(user) for user in range(USERS)} == {"better"}


# --- reports ---------------------------------------------------------------------------------------


def test_nothing_is_reported_before_its_window_is_over():
    there = platform()
    there.launch("e", EVEN, 1.0)
    for day in range(66):
        for report in there.observe(day):
            window = WINDOWS.get(report.metric.partition("/")[0], (0, 1))[1]
            assert day == report.entered + window


def test_asking_for_a_day_again_gives_its_reports_again():
    there = platform()
    there.launch("e", EVEN, 1.0)
    first = [there.observe(day) for day in range(10)]
    assert [there.observe(day) for day in range(10)] == first


def test_every_exposed_user_is_counted_once_in_every_metric(reports):
    def part(metric: str) -> str:
        return metric.partition("/")[2]

    exposed = {(r.arm, r.entered, part(r.metric)): r.users for r in reports if r.metric.startswith("exposures")}
    for report in reports:
        assert report.users == exposed[report.arm, report.entered, part(report.metric)]
    for arm, entered in {key[:2] for key in exposed}:
        slices = [exposed[arm, entered, device] for device in SLICES]
        assert sum(slices) == exposed[arm, entered, ""]


# --- the ledger ------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_order_and_repetition_of_reports_change_nothing(reports, rng: random.Random, times):
    shuffled = reports * times
    rng.shuffle(shuffled)
    one, other = Ledger(), Ledger()
    one.add(reports)
    other.add(shuffled)
    a, b = (ledger.moments("e", "north_star", EVEN) for ledger in (one, other))
    assert all(np.array_equal(a[arm].y, b[arm].y) and np.array_equal(a[arm].n, b[arm].n) for arm in EVEN)
    assert one.trouble("e") == other.trouble("e") == ""


def test_a_late_cohort_holds_back_the_later_ones_and_is_overdue(reports):
    ledger = Ledger()
    ledger.add(r for r in reports if (r.entered, r.metric, r.arm) != (3, "early_active", "twin"))
    assert ledger.cohorts("e", "early_active", EVEN) == [0, 1, 2]
    assert ledger.missing("e", "early_active", EVEN) == [3] and ledger.missing("e", "north_star", EVEN) == []
    trial = Trial(experiment="e", control="champion", shares=EVEN, plan=Plan(bet=Bet(mean=0.03, sd=0.03)))
    said = judge(ledger, trial, 0.005)["twin"]
    assert said.action is Action.EXTEND
    assert said.reason.endswith("early_active of 1 day (the first: 3) is overdue, later ones wait")
    ledger.add(reports)
    assert len(ledger.cohorts("e", "early_active", EVEN)) > 20 and ledger.missing("e", "early_active", EVEN) == []
    assert "overdue" not in judge(ledger, trial, 0.005)["twin"].reason


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"y": float("nan")}, "not a number"),
        ({"n": 1e9}, "users"),
        ({"users": 10**6}, "were exposed|lacks"),
        ({"yy": 0.0}, "negative variance"),
        ({"n": 1.0}, "lacks"),
    ],
)
def test_a_report_that_can_not_be_true_is_kept_out_and_said(reports, change, said):
    bad = replace(next(r for r in reports if r.metric == "north_star"), **change)
    ledger = Ledger()
    ledger.add([*(r for r in reports if (r.entered, r.arm, r.metric) != (bad.entered, bad.arm, bad.metric)), bad])
    assert ledger.trouble("e")
    assert re.search(said, ledger.trouble("e"))


def test_two_numbers_for_one_cohort_are_said_whichever_came_first(reports):
    ledger = Ledger()
    first = next(r for r in reports if r.metric == "clicks")
    ledger.add([*reports, replace(first, y=first.y - 1)])
    assert "again with other numbers" in ledger.trouble("e")


# --- end to end --------------------------------------------------------------------------------------


def judged(arm: str, days: int, reports: list[CohortReport] | None = None):
    shares = {"champion": 0.5, arm: 0.5}
    ledger = Ledger()
    ledger.add(reports if reports is not None else lived(days, shares))
    plan = Plan(bet=Bet(mean=0.05, sd=0.05), smallest=0.02, information=2000.0)
    return judge(ledger, Trial(experiment="e", control="champion", shares=shares, plan=plan), 0.01)[arm]


def test_a_better_ranking_is_promoted_weeks_later_and_not_before():
    assert judged("better", 50).action is Action.EXTEND
    found = judged("better", 80)
    assert found.action is Action.PROMOTE and found.low > 0


def test_the_reported_interval_holds_the_true_effect():
    """The truth comes from paired productions in which everybody is served by one ranking."""
    found = judged("better", 85)
    truth = true_effects(live(SMALL, USERS, BETTER), live(SMALL, USERS, CHAMPION))["north_star"]
    assert found.low < truth.effect < found.high and found.high - found.low < 1.0


def test_a_slow_ranking_is_rolled_back_within_weeks():
    found = judged("slow", 35)
    assert found.action is Action.ROLL_BACK and "early_active" in found.reason


def test_a_ranking_that_crashes_is_rolled_back_for_its_crashes():
    found = judged("crashing", 35)
    assert found.action is Action.ROLL_BACK and "crash_free" in found.reason


def test_harm_to_one_slice_of_users_is_seen_where_all_others_gain():
    """Users with a television lose most of their days, the others gain a little."""
    found = []
    for report in lived(35, EVEN):
        factor = {"early_active/television": 0.3, "early_active/phone": 1.05}.get(report.metric, 1.0)
        factor = factor if report.arm == "twin" else 1.0
        found.append(replace(report, y=report.y * factor, yy=report.yy * factor**2, xy=report.xy * factor))
    decision = judged("twin", 35, found)
    assert decision.action is Action.ROLL_BACK and "television" in decision.reason


def test_guards_are_on_what_people_see_and_what_is_earned(reports):
    metrics = {report.metric for report in reports}
    assert {"diversity", "revenue", "crash_free", *(f"early_active/{device}" for device in SLICES)} <= metrics
    by_metric = {m: sum(r.y for r in reports if r.metric == m) for m in ("crash_free", "early_active", "diversity")}
    assert by_metric["crash_free"] == by_metric["early_active"] < by_metric["diversity"]


def test_a_twin_is_never_promoted():
    assert judged("twin", 85).action is not Action.PROMOTE


def test_nothing_is_promoted_on_reports_that_can_not_be_trusted():
    found = lived(80, {"champion": 0.5, "better": 0.5})
    bad = next(report for report in found if report.metric == "clicks")
    broken = [replace(r, y=float("nan")) if r is bad else r for r in found if r.metric != "exposures"]
    assert judged("better", 80, broken).action is Action.QUARANTINE


def test_users_who_were_lost_in_one_arm_are_a_mismatch():
    found = lived(80, {"champion": 0.5, "better": 0.5})
    lossy = [replace(r, users=r.users // 2) if r.arm == "better" and r.metric == "exposures" else r for r in found]
    kept = [r for r in lossy if r.metric == "exposures"]
    result = judged("better", 80, kept)
    assert result.action is Action.QUARANTINE and "split" in result.reason
