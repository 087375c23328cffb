"""One candidate and one seed have the same score to the last bit in whichever sandbox they run: a search may then use
forked workers, and Docker decide."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluations.sessions import Route, Sessions
from evaluations.store import Walk
from evaluations.video_ranking import VideoRanking
from evaluations.world import WorldConfig
from evolve.contracts import Candidate
from sandbox.choose import choose
from search_spaces.space import load
from tests.sandbox.sandbox_parts import build

CONFIG = WorldConfig(users=150, first_items=120, items_per_day=2)
EXAMPLES = 4096


def walked(name: str, task: VideoRanking, seed: int) -> Walk:
    """The seed program through a smoke rung and a short one of 4,096 examples."""
    build(name).close()  # skips where the machine has none
    space = load("video_ranking")
    smoke, short = space.rungs[:2]
    rungs = (smoke, replace(short, examples=EXAMPLES))
    candidate = Candidate(number=0, commit="0", parents=(), tree=space.seed, fingerprint="0")
    with closing(choose(name, ahead=0)) as box:
        walk = Sessions(space, task, box, 1).walk(candidate, Route(rungs=rungs, split="search", seed=seed))
    assert walk.fault is None, walk.fault
    return walk


def bits(walk: Walk) -> list[object]:
    """All that a verdict is made of; equal NaNs are equal bits."""
    return [
        (m.rung, m.users.tobytes(), {name: values.tobytes() for name, values in m.metrics.items()}, dict(m.observables))
        for m in walk.measurements
    ]


@pytest.mark.slow
@pytest.mark.docker
def test_every_sandbox_gives_the_same_bits(tmp_path: Path) -> None:
    """Forked, in bubblewrap and in Docker; another seed gives others, so that equality says something."""
    task = VideoRanking(tmp_path, CONFIG)
    in_docker = walked("docker", task, seed=5)
    assert [m.rung for m in in_docker.measurements] == ["smoke", "short"]
    assert np.isfinite(in_docker.measurements[-1].mean("value"))
    for name in ("fork", "bubblewrap"):
        assert bits(walked(name, task, seed=5)) == bits(in_docker), name
    assert bits(walked("fork", task, seed=6)) != bits(in_docker)
