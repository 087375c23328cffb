"""A kernel that cheats is caught, fails, or gains nothing; an honest one is none of that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from sandbox.local import LocalSandbox
from tests.attacks.corpus.kernels import ATTACKS, CPP, DO_IT, RIGHT, TORCH, Arena, KernelAttack, arena, cpp, python

SAMPLED = ("cached-by-two-pointers", "half-of-the-rows", "background", "patched-edits", "lazy-tensor", "own-clock")


@pytest.fixture(scope="module")
def judged() -> Iterator[Arena]:
    if shutil.which("g++", path="/usr/bin") is None:
        (pytest.fail if os.environ.get("EVOLVE_CI") else pytest.skip)("no /usr/bin/g++")
    box = LocalSandbox(warm_torch=False)
    with arena(box) as made:
        yield made
    box.close()


def _marked(attack: KernelAttack) -> object:
    marks = () if attack.name in SAMPLED else (pytest.mark.matrix,)
    return pytest.param(attack, id=attack.name, marks=marks)


@pytest.mark.parametrize("attack", [_marked(attack) for attack in ATTACKS])
def test_cheating_does_not_pay(judged: Arena, attack: KernelAttack) -> None:
    if attack.tree["kernel.toml"].startswith('backend = "numba"'):
        pytest.importorskip("numba")
    seen = judged.play(attack.tree)
    assert seen.outcome in attack.right, seen


@pytest.mark.parametrize(
    "honest",
    [
        cpp("honest", "", DO_IT),
        python("honest", "", "import torch\ndef kernel(x, weight, *, epsilon):\n    return RIGHT\n"),
    ],
)
def test_an_honest_kernel_is_scored(judged: Arena, honest: KernelAttack) -> None:
    assert judged.play(honest.tree).outcome == "no gain"


def test_there_are_at_least_twenty_five_attacks_each_named_once() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(names) == len(set(names)) >= 25
    assert {CPP, TORCH} <= {attack.tree["kernel.toml"] for attack in ATTACKS}
    assert RIGHT
