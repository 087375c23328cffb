"""A run of any length, made up: a real journal and real git, and everything in between was never measured.

For benchmarks of what reads a run (commands, index, web page). Outcomes are drawn: a candidate's gain is its parent's
and a step; a few steps are confirmed, and of those most are approved. The same count and seed give the same journal.

    python -m benchmarks.synthetic_runs FOLDER --candidates 10000
"""

from __future__ import annotations

import argparse
import subprocess
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evolve import records
from evolve.contracts import (
    Cheated,
    Evidence,
    Failed,
    FinalResult,
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
from evolve.journal import Journal
from evolve.lineage import CANDIDATES, EPOCH, Lineage, commit_stream
from evolve.loop import alpha_of, message
from evolve.run_folder import RunFolder

METRIC = "long_watch"
KNOBS = 8
"""So many numbers a candidate's file ends with; a step changes one."""
MOST_PROMOTIONS = 40
POOL = 64
"""A step stands on the champion or on one of so many good ones of late."""
SECONDS_A_CANDIDATE = 9.0


class Passing:
    """A clock of which each look takes three seconds."""

    def __init__(self) -> None:
        self._now = float(EPOCH)

    def now(self) -> float:
        self._now += SECONDS_A_CANDIDATE / 3
        return self._now


@dataclass
class Drawn:
    """One candidate before it is written: numbers of its parents, its tree, its gain, how it ended."""

    number: int
    parents: tuple[int, ...]
    tree: Tree
    gain: float
    end: str
    proposal: dict[str, Any]
    text: str


@dataclass
class Story:
    """What is drawn, step by step; holds only what the next step needs."""

    seed_tree: Tree
    rng: np.random.Generator
    trees: dict[int, Tree] = field(default_factory=dict)
    gains: list[float] = field(default_factory=list)
    good: deque[int] = field(default_factory=lambda: deque(maxlen=POOL))
    champion: int = 0
    promotions: int = 0

    def step(self, number: int) -> Drawn:
        """The next candidate: on the champion, or on one of the better ones of late."""
        rng = self.rng
        pool = list(self.good) or [0]
        first = self.champion if rng.random() < 0.4 else int(rng.choice(pool))
        parents = (first,)
        if rng.random() < 0.05 and self.champion != first:
            parents = (first, self.champion)
        path = sorted(self.seed_tree)[int(rng.integers(len(self.seed_tree)))]
        knob, value = int(rng.integers(KNOBS)), number
        tree = {**self.trees[first], path: _turned(self.trees[first][path], knob, value)}
        end = str(rng.choice(["scored", "failed", "timed_out", "cheated"], p=[0.78, 0.14, 0.07, 0.01]))
        gain = self.gains[first] + float(rng.normal(-0.0004, 0.0008)) if end == "scored" else 0.0
        self.trees[number] = tree
        self.gains.append(gain)
        if end == "scored" and gain >= self.gains[self.champion] - 0.001:
            self.good.append(number)
        if number % 1_000 == 0:
            self.trees = {n: self.trees[n] for n in {0, number, self.champion, *self.good}}
        proposal = _proposal(number, rng, path, knob, value, len(parents))
        text = message(proposal)
        return Drawn(number, parents, tree, gain, end, records.proposal_to_json(proposal), text)

    def is_tried(self, drawn: Drawn) -> bool:
        """Whether the candidate is taken to the confirmation users."""
        better = drawn.gain > self.gains[self.champion] + 0.0005
        return drawn.end == "scored" and better and self.promotions < MOST_PROMOTIONS


def _turned(text: str, knob: int, value: int) -> str:
    kept = [line for line in text.splitlines() if not line.startswith(f"KNOB_{knob} =")]
    return "\n".join([*kept, f"KNOB_{knob} = {value}"]) + "\n"


def _proposal(number: int, rng: np.random.Generator, path: str, knob: int, value: int, parents: int) -> Proposal:
    persona = list(Persona)[int(rng.integers(3))]
    technique = "combine" if parents > 1 else f"technique_{int(rng.integers(40))}"
    return Proposal(
        parents=(), files={}, hypothesis=f"turning number {knob} of {path} to {value} ranks longer watches first",
        mechanism="the made-up gradient is steeper there, so that fewer examples are needed for the same order",
        observable=Observable(name="gate_open_rate", direction="up"), persona=persona,
        move=list(Move)[int(rng.integers(3))], technique=technique, proposer="synthetic",
        tokens=int(rng.integers(4000)), cost_usd=round(float(rng.random()) * 0.01, 6),
    )  # fmt: skip


def _verdict(effect: float, alpha: float, better: bool) -> Verdict:
    half = 0.0006
    return Verdict(
        decision="better" if better else "undecided", metric=METRIC, effect=round(effect, 6),
        low=round(effect - half, 6), high=round(effect + half, 6), p=0.0001 if better else 0.2, alpha=alpha, users=400,
        seeds=3, reason="the interval excludes zero" if better else "the interval holds zero",
    )  # fmt: skip


def drawn_outcome(drawn: Drawn, rng: np.random.Generator) -> Outcome:
    """How a drawn candidate ended, as the judge would say it."""
    cpu_s = float(rng.random()) * 9
    seen = Evidence(sandbox="docker", exit_reason="closed", cpu_s=cpu_s, wall_s=cpu_s, peak_memory_bytes=300 << 20)
    if drawn.end == "failed":
        detail = 'Traceback (most recent call last):\n  File "train.py", line 31, in train\nValueError: made up'
        return Failed(rung="smoke", reason="it raised ValueError", detail=detail, cpu_s=cpu_s, evidence=seen)
    if drawn.end == "timed_out":
        return TimedOut(rung="short", reason="no answer in 60 s", limit_s=60.0, cpu_s=cpu_s, evidence=seen)
    if drawn.end == "cheated":
        return Cheated(rung="smoke", reason="it showed a canary", detail="", cpu_s=cpu_s, evidence=seen)
    metrics = {METRIC: 0.62 + drawn.gain, "like": 0.55 + drawn.gain / 2, "return": 0.51 + drawn.gain / 3}
    return Scored(
        rung="replicated" if drawn.gain > 0 else "full", score=0.62 + drawn.gain, gain=drawn.gain,
        standard_error=0.0004, seeds=3, metrics=metrics, observables={"gate_open_rate": float(rng.random())},
        verdict=_verdict(drawn.gain, 0.05, drawn.gain > 0.001), promising=drawn.gain > 0, cpu_s=cpu_s, evidence=seen,
    )  # fmt: skip


def write(folder: Path, candidates: int, *, seed: int = 0, reviewed: bool = True) -> RunFolder:
    """Writes a finished run of so many candidates into a folder that must not be there yet.

    With `reviewed`, the older half of its pull requests are approved, one is rejected, and the rest wait.
    """
    from search_spaces.space import load

    folder.mkdir(parents=True)
    run, space = RunFolder(folder), load("video_ranking")
    story = Story(seed_tree=space.seed, rng=np.random.default_rng(seed), trees={0: space.seed}, gains=[0.0])
    lineage = Lineage(run.lineage)
    drawn: list[tuple[Drawn, bool, bool]] = []
    commits = _import(lineage, _told(story, candidates, drawn))
    journal = Journal(run.journal, Passing())
    _record(journal, story, drawn, commits, space.digest)
    journal.close()
    lineage.point("refs/heads/main", commits[0])
    lineage.promote(commits[story.champion])
    if reviewed:
        _review(run)
    return run


def _told(story: Story, count: int, drawn: list[tuple[Drawn, bool, bool]]) -> Iterator[bytes]:
    yield commit_stream(f"{CANDIDATES}/0", EPOCH, story.seed_tree, (), "seed of video_ranking", mark=1)
    for number in range(1, count):
        found = story.step(number)
        tried = story.is_tried(found)
        promoted = tried and bool(story.rng.random() < 0.5)
        if promoted:
            story.champion, story.promotions = number, story.promotions + 1
        drawn.append((found, tried, promoted))
        parents = [f":{parent + 1}" for parent in found.parents]
        ref = f"{CANDIDATES}/{number}"
        yield commit_stream(ref, EPOCH + number, found.tree, parents, found.text, mark=number + 1)


def _import(lineage: Lineage, stream: Iterator[bytes]) -> list[str]:
    told = imported(lineage, stream)
    return [told[n + 1] for n in range(len(told))]


def imported(lineage: Lineage, stream: Iterator[bytes], *words: str) -> dict[int, str]:
    """One `git fast-import` for many commits; returns mark -> commit. `words` come before the command."""
    marks = lineage.path / "marks"
    command = ["git", *words, "--git-dir", str(lineage.path), "fast-import", "--quiet", "--done", "--force"]
    with subprocess.Popen([*command, f"--export-marks={marks}"], stdin=subprocess.PIPE) as running:
        assert running.stdin is not None
        for part in stream:
            running.stdin.write(part)
        running.stdin.write(b"done\n")
        running.stdin.close()
    if running.returncode:
        raise SystemExit(f"git fast-import ended with {running.returncode}")
    told = dict(line.split() for line in marks.read_text().splitlines())
    marks.unlink()
    return {int(mark[1:]): commit for mark, commit in told.items()}


def _record(
    journal: Journal, story: Story, drawn: list[tuple[Drawn, bool, bool]], commits: list[str], digest: str
) -> None:
    rng = np.random.default_rng(1)
    started = {
        "space": "video_ranking", "space_digest": digest, "task_digest": "made up", "dataset": "", "world": "aligned",
        "seed": 0, "workers": 1, "budget": len(drawn), "sandbox": "docker", "proposer": "synthetic", "metric": METRIC,
        "versions": {"python": "made up"}, "seed_commit": commits[0],
    }  # fmt: skip
    journal.append("started", started)
    floor = NoiseFloor(
        metric=METRIC, score=0.62, short_score=0.6, seed_sd=0.0003, paired_se=0.0003, minimum_effect=0.0005, seeds=4,
        cpu_s=30.0,
    )  # fmt: skip
    journal.append("floor", records.floor_to_json(floor))
    champion = looks = 0
    for found, tried, promoted in drawn:
        proposal = found.proposal | {"parents": [commits[p] for p in found.parents]}
        body = {"number": found.number, "commit": commits[found.number], "reference": champion, "proposal": proposal}
        journal.append("proposed", body)
        outcome = records.outcome_to_json(drawn_outcome(found, rng))
        journal.append("judged", {"number": found.number, "outcome": outcome})
        if tried:
            verdict = records.verdict_to_json(_verdict(found.gain - story.gains[champion], alpha_of(looks), promoted))
            body = {"number": found.number, "against": champion, "promoted": promoted, "verdict": verdict}
            journal.append("confirmed", body)
            looks, champion = looks + 1, found.number if promoted else champion
    journal.append("final", records.final_to_json(_final(story.gains[champion])))
    journal.append("ended", {"reason": f"the budget of {len(drawn)} proposals is spent"})


def _final(gain: float) -> FinalResult:
    rows = {"champion": {METRIC: 0.62 + gain}, "seed": {METRIC: 0.62}}
    return FinalResult(metric=METRIC, rows=rows, verdict=_verdict(gain, 0.05, True), cpu_s=60.0)


def _review(run: RunFolder) -> None:
    from evolve.review.desk import Desk
    from evolve.wiring import read_archive

    archive = read_archive(run)
    journal, lineage = Journal(run.journal, Passing()), Lineage(run.lineage)
    desk = Desk(run.name, archive, lineage, journal)
    desk.open_all()
    count = len(archive.promoted)
    for number in range(1, count // 2 + 1):
        desk.approve(number, "made up")
        archive.apply(journal.records[-1])
    if count > 2:
        desk.reject(count - 1, "made up: too slow to serve")
    journal.close()


def main() -> None:
    """Writes a run for a look by hand."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_runs", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--candidates", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(write(options.folder, options.candidates, seed=options.seed).path)


if __name__ == "__main__":
    main()
