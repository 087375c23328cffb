"""A search without training: a tree of one number, and an evaluator that scores the number. Real git, real journal."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evolve.contracts import (
    Candidate,
    Failed,
    FinalResult,
    History,
    Move,
    NoiseFloor,
    Observable,
    Outcome,
    Persona,
    Proposal,
    Scored,
    TimedOut,
    Tree,
    Verdict,
)
from evolve.errors import SandboxError
from evolve.journal import Journal, Record
from evolve.lineage import Lineage
from evolve.loop import Loop, Settings

SEED_TREE = {"model.py": "X = 0\n"}


class Ticking:
    """A clock that goes on by one second a look."""

    def __init__(self, start: float = 0.0) -> None:
        self.time = start

    def now(self) -> float:
        self.time += 1
        return self.time


def number_in(tree: Tree) -> int:
    return int(re.findall(r"-?\d+", tree["model.py"])[0])


@dataclass
class Counting:
    """Proposes the numbers 1, 2, 3, ... on the champion; every `repeat`-th time a number that was tried."""

    name: str = "counting"
    limit: int = 10_000
    repeat: int = 0

    def propose(self, history: History, seed: int) -> Proposal | None:
        wanted = history.number
        if wanted > self.limit:
            return None
        if self.repeat and wanted % self.repeat == 0 and seed < 1_000_000:
            wanted = 0
        return Proposal(
            parents=(history.champion.commit,), files={"model.py": f"X = {wanted}\n"}, hypothesis=f"{wanted} is better",
            mechanism="more is more", observable=None, persona=Persona.OPTIMIZER, move=Move.EXPLORE, technique="count",
            proposer=self.name,
        )  # fmt: skip


@dataclass
class Scoring:
    """Scores X: multiples of 5 fail, of 7 time out, of 4 promise; confirmed only where X is a multiple of 8."""

    nap_s: float = 0.0
    engine_fails: list[int] = field(default_factory=list)
    judged: list[int] = field(default_factory=list)

    def measure_floor(self, seed: Candidate) -> NoiseFloor:
        return NoiseFloor(
            metric="m", score=0.5, short_score=0.4, seed_sd=0.01, paired_se=0.01, minimum_effect=0.005, seeds=4,
            cpu_s=time.process_time(),
        )  # fmt: skip

    def resume_from(self, seed: Candidate, floor: NoiseFloor) -> None: ...

    def judge(self, candidate: Candidate, reference: Candidate, observable: Observable | None) -> Outcome:
        x = number_in(candidate.tree)
        time.sleep(self.nap_s * (1 + x % 3))
        if x in self.engine_fails:
            self.engine_fails.remove(x)
            raise SandboxError("the engine has gone")
        self.judged.append(x)
        cpu_s = time.process_time()
        if x % 5 == 0:
            return Failed(rung="smoke", reason="it raised", detail="Traceback ...", cpu_s=cpu_s)
        if x % 7 == 0:
            return TimedOut(rung="short", reason="no answer in 10 s", limit_s=10.0, cpu_s=cpu_s)
        better = verdict("better" if x % 4 == 0 else "undecided", x / 1000, 0.1)
        return Scored(
            rung="replicated" if x % 4 == 0 else "full", score=0.5 + x / 1000, gain=x / 1000, standard_error=0.01,
            seeds=3, metrics={"m": 0.5 + x / 1000}, observables={}, verdict=better, promising=x % 4 == 0, cpu_s=cpu_s,
        )  # fmt: skip

    def confirm(self, challenger: Candidate, champion: Candidate, alpha: float) -> Verdict:
        return verdict("better" if number_in(challenger.tree) % 8 == 0 else "undecided", 0.01, alpha)

    def final(self, champion: Candidate, seed: Candidate) -> FinalResult:
        rows = {"champion": {"m": 0.5 + number_in(champion.tree) / 1000}, "seed": {"m": 0.5}, "EASE": {"m": 0.45}}
        return FinalResult(metric="m", rows=rows, verdict=verdict("better", 0.01, 0.05), cpu_s=time.process_time())


def verdict(decision: str, effect: float, alpha: float) -> Verdict:
    return Verdict(
        decision=decision, metric="m", effect=effect, low=effect - 0.01, high=effect + 0.01, p=0.01, alpha=alpha,
        users=100, seeds=3, reason="as the toy says",
    )  # fmt: skip


STARTED = {
    "space": "toy", "space_digest": "0", "task_digest": "0", "dataset": "", "world": "", "seed": 0, "workers": 1,
    "budget": 20, "sandbox": "none", "proposer": "counting", "metric": "m", "versions": {"python": "3.11"},
}  # fmt: skip


def toy_loop(
    folder: Path,
    *,
    budget: int = 20,
    workers: int = 1,
    proposer: Counting | None = None,
    evaluator: Scoring | None = None,
    start: float = 0.0,
    refused: int = -1,
    thinking: int = 0,
    **changes: object,
) -> Loop:
    """A loop over a run folder, new or old."""
    folder.mkdir(parents=True, exist_ok=True)
    clock = Ticking(start)
    return Loop(
        settings=Settings(seed=0, workers=workers, budget=budget, thinking=thinking),
        started={**STARTED, "workers": workers},
        seed_tree=SEED_TREE,
        gate=lambda tree: f"{refused} is not allowed" if number_in(tree) == refused else None,
        proposer=proposer or Counting(),
        evaluator=evaluator or Scoring(),
        lineage=Lineage(folder / "lineage.git"),
        journal=Journal(folder / "journal.jsonl", clock),
        clock=clock,
        **changes,
    )


def hashes(records: Sequence[Record]) -> list[str]:
    return [record.hash for record in records]


def kinds(loop: Loop) -> Mapping[str, int]:
    """How many records of each kind the journal holds."""
    names = [record.kind for record in loop._journal.records]
    return {name: names.count(name) for name in names}
