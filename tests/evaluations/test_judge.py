"""The judge over a small world and a real sandbox: outcomes with their evidence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evaluations.judge import Judge
from evaluations.sessions import Route, Sessions
from evaluations.store import Store
from evaluations.video_ranking import VideoRanking
from evaluations.world import WorldConfig
from evolve.contracts import Candidate, Cheated, Failed, Job, Outcome, Tree
from evolve.records import outcome_from_json, outcome_to_json
from sandbox.canary import plant
from sandbox.local import LocalSandbox
from sandbox.session import WorkerSession
from search_spaces.space import load

CONFIG = WorldConfig(users=150, first_items=120, items_per_day=2)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    folder = tmp_path_factory.mktemp("judge")
    box, space = LocalSandbox(), load("video_ranking")
    task = VideoRanking(folder, CONFIG)
    yield Judge(
        space, task, Sessions(space, task, box, 1, canaries=plant(folder / "canaries")), Store(folder / "m"), seed=0
    )
    box.close()


def outcome(judge: Judge, broken: Tree, number: int) -> Outcome:
    tree = {**load("video_ranking").seed, **broken}
    candidate = Candidate(number=number, commit=str(number), parents=(), tree=tree, fingerprint=str(number))
    return judge.judge(candidate, candidate, None)


def test_a_candidate_that_raises_fails_with_evidence(judge: Judge) -> None:
    """The record says in which sandbox, under which limits and versions, and how it ended."""
    found = outcome(judge, {"train.py": "raise ValueError('no such gate')\n"}, 1)
    assert isinstance(found, Failed)
    assert found.evidence is not None
    assert found.evidence.sandbox == "local"
    assert {"python", "torch", "numpy", "limits", "lock"} <= set(found.evidence.versions)
    assert outcome_from_json(outcome_to_json(found)) == found


def test_a_candidate_that_shows_a_planted_secret_has_cheated(judge: Judge, tmp_path: Path) -> None:
    """It has no score, and its reason says why."""
    secret = next(path for path in tmp_path.parent.rglob("canaries/labels.txt"))
    found = outcome(judge, {"train.py": f"raise ValueError(open({str(secret)!r}).read())\n"}, 2)
    assert isinstance(found, Cheated)
    assert "secret" in found.reason


class Noting(LocalSandbox):
    """Notes the limits that its sessions are given."""

    def __init__(self) -> None:
        super().__init__(warm_torch=False)
        self.given: list[int] = []

    def open(self, job: Job) -> WorkerSession:
        session = super().open(job)
        limit, train = session.limit_memory, session.train
        self.given.append(job.limits.memory_bytes)
        session.limit_memory = lambda memory_bytes: (self.given.append(memory_bytes), limit(memory_bytes))[1]
        session.train = lambda examples, limit_s: (train(examples, limit_s), {})[1]
        session.predict = lambda queries, shape, limit_s: np.zeros(shape, np.float32)
        return session


def test_a_session_has_its_largest_rung_s_memory_and_each_rung_its_own(tmp_path: Path) -> None:
    """The container is bound by the largest rung of its route; a smaller one on the way has less."""
    space, box = load("video_ranking"), Noting()
    sessions = Sessions(space, VideoRanking(tmp_path, CONFIG), box, 1)
    broken = {**space.seed, "train.py": "raise ValueError\n"}
    candidate = Candidate(number=1, commit="1", parents=(), tree=broken, fingerprint="1")
    smoke, short, full = 1 << 30, 2 << 30, space.limits.memory_bytes
    sessions.walk(candidate, Route(rungs=space.rungs[:3], split="search", seed=0))
    assert box.given == [full, smoke, short, full]
    box.given.clear()
    sessions.walk(candidate, Route(rungs=space.rungs[:2], split="search", seed=0))
    assert box.given == [short, smoke, short]


def test_what_decides_a_promotion_runs_in_the_deciding_sandbox(tmp_path: Path) -> None:
    """The search uses one sandbox, confirmation and final fits another."""
    space, searching, deciding = load("video_ranking"), LocalSandbox(warm_torch=False), LocalSandbox(warm_torch=False)
    searching.name, deciding.name = "searching", "deciding"
    sessions = Sessions(space, VideoRanking(tmp_path, CONFIG), searching, 1, deciding=deciding)
    broken = {**space.seed, "train.py": "raise ValueError\n"}
    candidate = Candidate(number=1, commit="1", parents=(), tree=broken, fingerprint="1")
    seen = {
        split: sessions.walk(candidate, Route(rungs=space.rungs[:1], split=split, seed=0)).evidence.sandbox
        for split in ("search", "confirm", "test")
    }
    assert seen == {"search": "searching", "confirm": "deciding", "test": "deciding"}
