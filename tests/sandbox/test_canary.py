"""Planted secrets: whoever shows one, anywhere, is caught; tried in the sandbox that has no walls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sandbox_cases import runner

from evolve.contracts import Fault, FaultKind, Job
from sandbox.canary import plant
from sandbox.local import LocalSandbox

READ = "secret = open({path!r}).read()\n"
WAYS = {
    "in a claim": ("return {secret: 1.0}", "pass"),
    "in an exception": ("raise ValueError(secret)", "pass"),
    "in a print": ("print(secret); sys.stdout.flush(); time.sleep(.2); return {}", "pass"),
    "in a print before it exits": ("print(secret); sys.stdout.flush(); os._exit(0)", "pass"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_candidate_that_shows_a_secret_is_caught(job: Callable[..., Job], tmp_path: Path, way: str) -> None:
    """The file's secret comes back in whatever the candidate says."""
    canaries = plant(tmp_path)
    train, predict = WAYS[way]
    source = runner(READ.format(path=str(tmp_path / "labels.txt")) + train, predict)
    with LocalSandbox(warm_torch=False).open(replace(job(source), canaries=canaries)) as session:
        fault = session.train(1, 20.0)
    assert isinstance(fault, Fault)
    assert (fault.kind, "secret" in fault.reason) == (FaultKind.CAUGHT, True)


def test_a_candidate_that_answers_with_planted_labels_is_caught(job: Callable[..., Job], tmp_path: Path) -> None:
    """The bytes of the planted labels are recognised in an answer."""
    canaries = plant(tmp_path)
    predict = f"return np.tile(np.load({str(tmp_path / 'labels.npy')!r}), 2).reshape(2, 16)"
    with LocalSandbox(warm_torch=False).open(replace(job(runner(predict=predict)), canaries=canaries)) as session:
        assert session.train(1, 20.0) == {}
        fault = session.predict({"users": np.array([0, 1])}, (2, 16), 20.0)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.CAUGHT


def test_an_honest_candidate_is_not_caught(job: Callable[..., Job], tmp_path: Path) -> None:
    """Secrets are planted and nobody shows them."""
    with LocalSandbox(warm_torch=False).open(replace(job(), canaries=plant(tmp_path))) as session:
        assert session.train(1, 20.0) == {"steps": 1.0, "seed": 3.0}
