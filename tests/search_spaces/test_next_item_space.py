"""The space `next_item`: its seed and every technique train and answer, in process, on a small log."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.edits import apply
from evolve.contracts import Technique, Tree
from search_spaces.space import load

SPACE = load("next_item")
CARDS = {technique.name: technique for technique in SPACE.techniques}
ITEMS, USERS, LENGTH = 40, 60, 24
STACK = (
    *("adamw", "full_softmax", "self_attention", "residual_prenorm", "gated_feed_forward", "positions"),
    *("time_intervals", "dropout", "gated_path", "output_bias", "warmup_cosine", "random_crops", "label_smoothing"),
    *("gradient_clipping", "weight_averaging", "item_masking", "recency_weights", "shared_clusters"),
)
MIXERS = ("self_attention", "hstu", "gru", "moving_average", "causal_convolution", "sparse_attention")

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training folder in which user u's next item is always the last one plus 1."""
    place = tmp_path_factory.mktemp("training")
    first = np.random.default_rng(0).integers(ITEMS, size=USERS)
    items = (first[:, None] + np.arange(LENGTH)) % ITEMS
    np.save(place / "items.npy", items.astype(np.int32).ravel())
    np.save(place / "times.npy", np.tile(np.cumsum(np.arange(LENGTH) ** 3), USERS).astype(np.int64))
    np.save(place / "offsets.npy", np.arange(0, USERS * LENGTH + 1, LENGTH, dtype=np.int64))
    np.save(place / "catalogue.npy", np.array([ITEMS, USERS], np.int64))
    return place


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Stages a tree as the sandbox does, in one flat folder, and starts its harness."""
    cargo = {path.removesuffix(".py") for path in (*SPACE.seed, *SPACE.harness)}

    def forget() -> None:
        for name in cargo:
            sys.modules.pop(name, None)

    def begin(tree: Tree, seed: int = 0, horizon: int = 20_000) -> Any:
        forget()
        for path, text in {**tree, **SPACE.harness}.items():
            (tmp_path / path).write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module("harness").start(folder, {"seed": seed, "horizon": horizon})

    sys.path.insert(0, str(tmp_path))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield begin
    sys.dont_write_bytecode = before
    sys.path.remove(str(tmp_path))
    forget()


def queries(rows: int = 5) -> dict[str, np.ndarray[Any, Any]]:
    """Histories of unequal length, padded on the right to 60 places."""
    lengths = np.arange(5, 5 + 10 * rows, 10).astype(np.int32)
    shown = np.arange(60) < lengths[:, None]
    items = np.where(shown, np.arange(60) % ITEMS, ITEMS).astype(np.int32)
    times = np.where(shown, np.arange(60) * 50, 0).astype(np.int64)
    return {"items": items, "times": times, "lengths": lengths, "users": np.arange(rows, dtype=np.int32)}


def with_techniques(*names: str) -> Tree:
    tree: Tree = SPACE.seed
    for name in names:
        edited = apply(tree, CARDS[name])
        assert edited is not None, f"{name} does not apply after {names}"
        tree = edited
    return tree


def after(technique: Technique) -> Tree:
    """The technique on the seed, or on the seed with the full softmax where it requires that."""
    alone = apply(SPACE.seed, technique)
    return with_techniques("full_softmax", technique.name) if alone is None else alone


@pytest.mark.parametrize("name", sorted(CARDS))
def test_every_technique_trains_answers_and_reports_its_observable(name: str, start: Start) -> None:
    """Two batches and one answer of the right shape; the gate lets it pass; what it declares is there."""
    tree = after(CARDS[name])
    assert SPACE.check(tree) is None
    runner = start(tree)
    claimed = runner.train(1_000)
    assert runner.steps >= 1 and runner.seen >= 1_000
    answer = runner.predict(queries())
    assert answer.shape == (5, ITEMS) and answer.dtype == np.float32 and np.isfinite(answer).all()
    observable = CARDS[name].observable
    assert observable is not None and np.isfinite(claimed[observable.name])


def test_techniques_of_all_personas_stack_in_one_candidate(start: Start) -> None:
    """Slots are cut so that eighteen techniques stand in one tree, and it still trains."""
    tree = with_techniques(*STACK)
    assert SPACE.check(tree) is None
    runner = start(tree)
    claimed = runner.train(2_000)
    assert runner.predict(queries()).shape == (5, ITEMS)
    declared = [CARDS[name].observable for name in STACK]
    assert {observable.name for observable in declared if observable} <= set(claimed)


def test_mixers_see_no_future_event(start: Start) -> None:
    """A state does not change when the items after it do."""
    import torch

    for name in ("full_softmax", *MIXERS):
        model = start(with_techniques(name)).model.eval()
        items = torch.arange(12)[None, :]
        changed = torch.cat([items[:, :8], items[:, 8:] + 7], dim=1)
        gaps = torch.zeros(1, 12)
        assert torch.allclose(model(items, gaps)[:, :8], model(changed, gaps)[:, :8], atol=1e-6), name


def test_training_in_two_calls_is_training_in_one(start: Start) -> None:
    """A rung continues where the one before it stopped, bit for bit."""
    at_once = start(SPACE.seed)
    at_once.train(6_000)
    in_steps = start(SPACE.seed)
    in_steps.train(1_000)
    in_steps.train(6_000)
    assert np.array_equal(at_once.predict(queries()), in_steps.predict(queries()))


def test_seeds_decide_the_bits(start: Start) -> None:
    """The same seed gives the same answer and another one another."""
    answers = []
    for seed in (3, 3, 4):
        runner = start(SPACE.seed, seed)
        runner.train(2_000)
        answers.append(runner.predict(queries()))
    assert np.array_equal(answers[0], answers[1]) and not np.array_equal(answers[0], answers[2])


def test_padding_does_not_reach_an_answer(start: Start) -> None:
    """A query alone and beside a longer one is answered alike."""
    runner = start(with_techniques("full_softmax", "self_attention", "positions"))
    runner.train(2_000)
    together, first = queries(), {name: rows[:1] for name, rows in queries().items()}
    assert np.allclose(runner.predict(together)[0], runner.predict(first)[0], atol=1e-5)


def test_a_good_stack_learns_the_rule_of_the_log(start: Start) -> None:
    """Where the next item is always the last one plus 1, attention and a softmax find that."""
    tree = with_techniques("adamw", "full_softmax", "self_attention", "residual_prenorm", "positions")
    runner = start(tree)
    runner.train(60_000)
    asked = queries()
    last = asked["items"][np.arange(5), asked["lengths"] - 1]
    assert (runner.predict(asked).argmax(axis=1) == (last + 1) % ITEMS).mean() >= 0.8


def test_a_loss_that_is_no_number_stops_the_candidate(start: Start) -> None:
    """A diverged candidate raises at once and never answers."""
    tree = dict(SPACE.seed)
    tree["loss.py"] = tree["loss.py"].replace("return (losses * weights)", "return float('nan') * (losses * weights)")
    with pytest.raises(FloatingPointError, match="the loss became nan"):
        start(tree).train(1_000)


@pytest.mark.parametrize("first", sorted(CARDS))
def test_every_technique_trains_after_this_one(first: str, start: Start) -> None:
    """A slot keeps its shape: whatever replaced it, the next technique finds what it found in the seed."""
    before, broken = after(CARDS[first]), dict[str, str]()
    for second in sorted(CARDS):
        tree = apply(before, CARDS[second])
        if tree is None or SPACE.check(tree) is not None:
            continue
        try:
            runner = start(tree)
            runner.train(300)
            assert np.isfinite(runner.predict(queries(2))).all()
        except Exception as error:
            broken[second] = repr(error)
    assert not broken
