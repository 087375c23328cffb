"""The funnel over sessions whose figures are known beforehand: how many of them a candidate is worth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from evaluations.judge import Judge
from evaluations.sessions import Continue, Route, climbed
from evaluations.store import Store, Walk
from evolve.contracts import Candidate, Evidence, Measurement, Rung
from search_spaces.space import load

SPACE = load("video_ranking")
USERS = np.arange(400)
TASTES = np.random.default_rng(0).normal(0.5, 0.1, len(USERS))


class Known:
    """Walks whose mean is the candidate's number, and their yardstick; #1 is `unlucky` under its second seed."""

    digest, metrics = "known", ("value",)

    def __init__(self, unlucky: float = 0.0) -> None:
        self.unlucky, self.seen = unlucky, Counter[tuple[str, str]]()

    def floors(self) -> dict[str, dict[str, float]]:
        return {}

    def walk(self, candidate: Candidate, route: Route, on_rung: Continue | None = None) -> Walk:
        self.seen[candidate.commit, route.split] += 1
        searched = self.seen[candidate.commit, route.split]
        level = float(candidate.tree["gain"]) - (self.unlucky if (candidate.number, searched) == (1, 2) else 0.0)
        noise = np.random.default_rng(int(candidate.commit) * 100 + searched).normal(0, 0.01, len(USERS))

        def measured(rung: Rung) -> Measurement:
            values = {"value": TASTES + level + noise - noise.mean()}
            return Measurement(
                rung=rung.name, seed=route.seed, split=route.split, users=USERS, metrics=values, observables={},
                compute_s=0.0, train_s=0.0,
            )  # fmt: skip

        found, fault, at = climbed(route.rungs, measured, on_rung)
        return Walk(measurements=found, fault=fault, fault_rung=at, evidence=EVIDENCE, compute_s=0.0)


EVIDENCE = Evidence(
    sandbox="none", exit_reason="", cpu_s=1.0, wall_s=1.0, peak_memory_bytes=0, stderr_tail="", versions={}
)


def candidate(number: int, gain: float) -> Candidate:
    tree = {"gain": str(gain)}
    return Candidate(number=number, commit=str(number), parents=(), tree=tree, fingerprint=str(number))


def funnel(folder: Path, known: Known) -> Judge:
    judge = Judge(SPACE, known, known, Store(folder), seed=0)
    judge.measure_floor(candidate(0, 0.0))
    known.seen.clear()
    return judge


@pytest.mark.parametrize(("gain", "seeds"), [(0.05, 3), (0.0, 1), (-0.0001, 1)])
def test_only_what_promises_is_trained_under_more_seeds(tmp_path, gain, seeds):
    known = Known()
    found = funnel(tmp_path, known).judge(candidate(1, gain), candidate(0, 0.0), None)
    assert found.seeds == known.seen["1", "search"] == seeds
    assert found.promising == (seeds == 3)


def test_a_second_seed_that_disappoints_ends_the_replication(tmp_path):
    known = Known(unlucky=0.06)
    found = funnel(tmp_path, known).judge(candidate(1, 0.02), candidate(0, 0.0), None)
    assert (found.seeds, found.rung, found.promising) == (2, "full", False)


@pytest.mark.parametrize(("gain", "seeds"), [(0.05, SPACE.confirmation_seeds), (0.0, 1)])
def test_a_look_without_hope_ends_after_its_first_seed(tmp_path, gain, seeds):
    known = Known()
    judge = funnel(tmp_path, known)
    found = judge.confirm(candidate(1, gain), candidate(0, 0.0), 0.005)
    assert found.seeds == known.seen["1", "confirm"] == seeds
    assert (found.decision == "better") == (seeds > 1)
    told = judge.confirm(candidate(2, 0.0), candidate(0, 0.0), 0.01, 5)
    assert told.seeds == known.seen["2", "confirm"] == 5  # who asks for so many gets them
