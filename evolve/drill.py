"""A rollback, tried: on a small production of its own, with the code that would do it in earnest. Touches no run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

USERS, BEFORE, AFTER = 1_000, 3, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What was seen, and whether the champion served everybody on the next day."""

    lines: tuple[str, ...]
    passed: bool


def drill() -> Drilled:
    """Promotes a challenger, lives some days with it, rolls back, and looks who is served by whom on the next day."""
    from agents.online import OnlineAgent
    from agents.online_state import OnlineSettings
    from evaluations.experiments.budget import Season
    from evaluations.experiments.desk import Desk
    from evaluations.experiments.evidence import Bet
    from evaluations.experiments.rules import Plan
    from evaluations.platform import SimulatedPlatform
    from evaluations.production import ExportedPolicy, Production
    from evaluations.world import WorldConfig

    rankers = {name: ExportedPolicy(name=name) for name in ("champion", "challenger")}
    world = WorldConfig(users=USERS, first_items=200, log_days=7)
    platform = SimulatedPlatform(Production(world, USERS), rankers, "champion")
    written: list[tuple[str, Mapping[str, Any]]] = []
    agent = OnlineAgent(
        platform=platform,
        experimenter=Desk(Season(level=0.05, tests=1), Plan(bet=Bet(mean=0.01, sd=0.01))),
        champion="champion",
        settings=OnlineSettings(slots=1, stages=((0, 0.5),)),
        write=lambda kind, body: written.append((kind, body)),
    )
    agent.enqueue("challenger", "a drill")
    for _ in range(BEFORE):
        agent.tick()
    decision = {"action": "promote", "reason": "a drill", "effect": 0.0, "low": 0.0, "high": 0.0, "log_e": 0.0}
    body = {**decision, "alpha": 0.05, "cohorts": 0, "users": 0}
    agent.apply("decided", {"experiment": "experiment 1", "challenger": "challenger", "day": BEFORE, "decision": body})
    agent.tick()
    before = _served(platform, "challenger")
    agent.roll_back("a drill")
    agent.tick()
    after = _served(platform, "challenger")
    lines = (
        f"day {BEFORE}: the challenger is promoted and serves {before} of {USERS} users",
        f"day {BEFORE + AFTER}: rolled back; the challenger serves {after} users, {agent.state.champion} all others",
        "the rollback works" if before == USERS and not after else "the rollback does NOT work",
    )
    return Drilled(lines=lines, passed=before == USERS and not after)


def _served(platform: Any, name: str) -> int:
    return sum(platform.served_by(user) == name for user in range(USERS))
