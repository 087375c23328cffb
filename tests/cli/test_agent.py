"""The agent on the command line: models, prices, steering, and what bad words get."""

from __future__ import annotations

import json

import pytest

from evolve.config import ModelConfig
from evolve.errors import UsageError
from evolve.model_words import model_weights, price, resumed, save
from evolve.run_folder import RunFolder
from evolve.steering import reader, steer
from tests.agents.agent_toys import agent, answer, models, run, scripted
from tests.cli.test_cli import evolve, fails


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    asked = models(folder / "toy", scripted(["no", *(answer(n) for n in range(1, 9))]))
    run(folder / "toy", agent(asked), budget=7)
    return folder


def test_the_graph_is_drawn():
    shown = evolve("agents", "draw").stdout
    for edge in ("observe --> think", "use_tool --> think", "repair"):
        assert edge in shown


def test_the_rates_of_a_run_are_told(runs):
    found = json.loads(evolve("agents", "rates", "--out", runs, "--json").stdout)
    assert (found["answers"], found["landed"], found["refused"], found["usd"]) == (8, 5, {"no_diff": 1}, 0)


def test_models_say_whether_they_can_be_used_and_what_they_cost(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    names = ("gemini/gemini-2.5-pro", "ollama/qwen2.5-coder", "openai/nobody")
    rows = json.loads(evolve("models", *names, "--json", OPENAI_API_KEY="sk-nothing").stdout)
    assert [row["model"] for row in rows] == ["catalog", *names]
    assert "GEMINI_API_KEY" in rows[1]["usable"] and "USD a million" in rows[1]["price"]
    assert rows[2] == {"model": names[1], "usable": "yes", "price": "costs nothing"}
    assert rows[3]["usable"] == "yes" and "--price" in rows[3]["price"]


def test_a_wish_is_read_once_and_remembered_with_its_proposal(runs):
    shown = evolve("steer", "toy", "try  gating", "--out", runs)
    assert shown.returncode == 0
    path = RunFolder(runs / "toy").steering
    assert reader(path, recorded=True)(9) == ()
    assert reader(path)(3) == ("try gating",)
    steer(path, "and dropout")
    assert reader(path)(4) == ("try gating", "and dropout")
    assert reader(path, recorded=True)(3) == ("try gating",) and reader(path, recorded=True)(2) == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--model", "gpt"), ("`gpt` is no model", "PROVIDER/NAME")),
        (("--model", "a/b=much"), ("is no model",)),
        (("--model", "scripted/nowhere.jsonl"), ("no script nowhere.jsonl",)),
        (("--model", "replay/nowhere"), ("no run `nowhere`",)),
        (("--model", "openai/nobody-knows"), ("price of openai/nobody-knows is not known", "--price")),
        (("--model", "a/b", "--price", "cheap"), ("`cheap` is no price",)),
        (("--model", "a/b", "--budget-usd", "0"), ("--budget-usd",)),
        (("--model", "a/b", "--prompt-tokens", "10"), ("--prompt-tokens", "1000")),
        (("--model", "local/nowhere.gguf"), ("no model file nowhere.gguf", "fetch_test_model")),
    ],
)
def test_bad_words_get_a_clear_error_and_leave_no_run(tmp_path, words, said):
    fails(evolve("start", "--out", tmp_path, *words), *said)
    assert not list(tmp_path.glob("*/journal.jsonl")) and not list(tmp_path.iterdir())


def test_a_model_is_refused_a_sandbox_without_walls(tmp_path):
    script = tmp_path / "s.jsonl"
    script.write_text(json.dumps(answer(1)))
    ended = evolve("start", "--out", tmp_path / "runs", "--model", f"scripted/{script}", "--sandbox", "local")
    fails(ended, "only `local`, which has no walls")


def test_models_and_prices_are_read():
    assert model_weights("a/x=0.7,b/y=0.3") == {"a/x": 0.7, "b/y": 0.3} and model_weights("a/x,b/y")["a/x"] == 1
    assert (price("1.25,10").prompt, price("1.25,10").answer) == (1.25, 10)
    with pytest.raises(UsageError):
        price("nan,1")


def test_a_resumed_run_keeps_its_model_and_takes_a_larger_budget(tmp_path):
    folder = RunFolder(tmp_path)
    assert resumed(ModelConfig(), folder).model == ""
    save(ModelConfig(model="a/b", api_base="http://localhost:1/v1", budget_usd=1.0), folder)
    assert resumed(ModelConfig(budget_usd=2.0), folder) == ModelConfig(
        model="a/b", api_base="http://localhost:1/v1", budget_usd=2.0
    )
