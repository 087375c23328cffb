"""The video_ranking space: its seed trains, every card applies to it and trains, and techniques compose."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from agents.edits import apply
from evaluations.video_ranking import VideoRanking
from evaluations.world import WorldConfig
from search_spaces.space import load

SPACE = load("video_ranking")
CARDS = {technique.name: technique for technique in SPACE.techniques}
FLAT = ("harness", "train", "reward", "optimizer", "architecture")
PAPERS_FIVE = ("rmsprop", "gated_path", "engaged_reward", "ftrl", "wide_and_deep")


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> VideoRanking:
    return VideoRanking(tmp_path_factory.mktemp("cache"), WorldConfig(users=300, first_items=150, items_per_day=2))


@contextmanager
def staged(tree, folder: Path) -> Iterator[object]:
    """The candidate and its harness in one folder that is imported from, as in a sandbox."""
    for name, text in {**tree, **SPACE.harness}.items():
        (folder / name).write_text(text)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module("harness")
    finally:
        sys.path.remove(str(folder))
        for name in FLAT:
            sys.modules.pop(name, None)


def trained(tree, folder: Path, task: VideoRanking, *budgets: int, seed: int = 0):
    """The last observables and the answer to the first batch after training to each budget in turn."""
    with staged(tree, folder) as harness:
        runner = harness.start(task.training_folder(final=False), {"seed": seed, "horizon": budgets[-1]})
        claims = [runner.train(budget) for budget in budgets][-1]
        return claims, runner.predict(task.batches("search", "smoke")[0].queries)


def test_the_space_has_the_techniques_that_the_paper_found() -> None:
    """And at least fourteen in all, over three personas."""
    assert set(PAPERS_FIVE) <= set(CARDS)
    assert len(CARDS) >= 14
    assert {technique.persona.value for technique in SPACE.techniques} == {"optimizer", "architecture", "reward"}


@pytest.mark.parametrize("name", ["seed", *CARDS])
def test_each_card_applies_to_the_seed_trains_and_answers(name: str, task: VideoRanking, tmp_path: Path) -> None:
    """The gate lets it pass, a few batches train, answers are finite, and its observable is reported."""
    tree = SPACE.seed if name == "seed" else apply(SPACE.seed, CARDS[name])
    assert tree is not None
    assert SPACE.check(tree) is None
    claims, answer = trained(tree, tmp_path, task, 600)
    assert answer.dtype == np.float32
    assert answer.shape == task.batches("search", "smoke")[0].shape
    assert np.isfinite(answer).all()
    observable = None if name == "seed" else CARDS[name].observable
    assert observable is None or observable.name in claims


@pytest.mark.parametrize(
    "names",
    [
        PAPERS_FIVE,
        ("dcn_v2", "multi_task", "muon", "label_smoothing"),
        ("swiglu", "target_attention", "adamw", "warmup_cosine"),
    ],
)
def test_techniques_compose(names, task: VideoRanking, tmp_path: Path) -> None:
    """Cards of different slots apply one after the other and train together."""
    tree = SPACE.seed
    for name in names:
        tree = apply(tree, CARDS[name])
        assert tree is not None, name
    assert SPACE.check(tree) is None
    _, answer = trained(tree, tmp_path, task, 600)
    assert np.isfinite(answer).all()


def test_the_same_seed_gives_the_same_answer(task: VideoRanking, tmp_path: Path) -> None:
    """Bit for bit; another seed does not."""
    first, second = (trained(SPACE.seed, tmp_path, task, 2000)[1] for _ in range(2))
    other = trained(SPACE.seed, tmp_path, task, 2000, seed=1)[1]
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_training_goes_on_where_it_stopped(task: VideoRanking, tmp_path: Path) -> None:
    """Asked in two parts, a budget counts all examples since the start."""
    claims, _ = trained(SPACE.seed, tmp_path, task, 640, 1280)
    assert claims["steps"] == 40


def test_a_budget_is_counted_in_examples_whatever_the_batch(task: VideoRanking, tmp_path: Path) -> None:
    """A larger batch takes fewer steps for the same examples."""
    claims, _ = trained(apply(SPACE.seed, CARDS["larger_batch"]), tmp_path, task, 1280)
    assert claims["steps"] == 10


def test_asking_does_not_change_the_model(task: VideoRanking, tmp_path: Path) -> None:
    """Two answers to one batch are equal, and labels are not needed for them."""
    with staged(SPACE.seed, tmp_path) as harness:
        runner = harness.start(task.training_folder(final=False), {"seed": 0, "horizon": 640})
        runner.train(640)
        queries = task.batches("search", "smoke")[0].queries
        assert np.array_equal(runner.predict(queries), runner.predict(queries))


def test_ftrl_keeps_rare_rows_at_exactly_zero(task: VideoRanking, tmp_path: Path) -> None:
    """What was never seen is zero under L1, unlike under the seed's optimizer."""
    sparse, _ = trained(apply(SPACE.seed, CARDS["ftrl"]), tmp_path, task, 2000)
    dense, _ = trained(SPACE.seed, tmp_path, task, 2000)
    assert sparse["weight_sparsity"] > dense["weight_sparsity"] + 0.05


def test_muon_steps_as_pytorchs_does(tmp_path: Path) -> None:
    """Which rounds to bfloat16, of eight bits, on the way."""
    torch.manual_seed(0)
    with staged(apply(SPACE.seed, CARDS["muon"]), tmp_path):
        build = importlib.import_module("optimizer").trunk_optimizer
    for shape in (128, 64), (64, 128):
        start = torch.randn(shape)
        ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
        (group,) = build([ours]).param_groups
        how = {name: group[name] for name in ("lr", "momentum", "weight_decay")}
        steppers = (ours, build([ours])), (theirs, torch.optim.Muon([theirs], **how))
        for _ in range(20):
            gradient = torch.randn(shape)
            for weight, stepper in steppers:
                weight.grad = gradient.clone()
                stepper.step()
        moved, apart = theirs.detach() - start, ours.detach() - theirs.detach()
        assert apart.norm() < 2**-6 * moved.norm()


def test_rungs_grow_and_end_with_replication() -> None:
    """The funnel is cheap first, and the replicated rung repeats the full one over seeds."""
    examples = [rung.examples for rung in SPACE.rungs]
    assert examples == sorted(examples)
    assert SPACE.rungs[3].examples == SPACE.rungs[2].examples
    assert SPACE.rungs[3].seeds > 1


@pytest.mark.parametrize("first", sorted(CARDS))
def test_every_technique_trains_after_this_one(first: str, task: VideoRanking, tmp_path: Path) -> None:
    """A slot keeps its shape: whatever replaced it, the next technique finds what it found in the seed."""
    before, broken = apply(SPACE.seed, CARDS[first]), dict[str, str]()
    assert before is not None
    for second in sorted(CARDS):
        tree = apply(before, CARDS[second])
        if tree is None or SPACE.check(tree) is not None:
            continue
        try:
            assert np.isfinite(trained(tree, tmp_path, task, 300)[1]).all()
        except Exception as error:
            broken[second] = repr(error)
    assert not broken
