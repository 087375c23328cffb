"""Nothing that a program wrote gives the agent an order, and no secret leaves the environment."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.models.ledger import Budget
from agents.models.secrets import Secrets
from agents.prompt import FORMAT, data
from agents.tools import Lint, ReadJournal, Retrieve
from evolve.calls import CallFile
from evolve.contracts import Cheated, Failed, History, Observable, Scored
from evolve.lineage import Lineage
from tests.agents.agent_toys import Flaky, agent, answer, models, run, scripted, space
from tests.agents.orders import ORDERS

CANARY = "sk-canary-0123456789abcdef"
MARKED = re.compile(r"<data>.*?</data>", re.DOTALL)
CLOSES = re.compile(r"(?i)<\s*/?\s*data")


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    answers = [answer(n, hypothesis=f"number {n} is better") for n in range(1, 20)]
    return run(folder, agent(models(folder, scripted(answers))), budget=8).archive.history()


def with_last(history: History, **changes) -> History:
    return replace(history, attempts=(*history.attempts[:-1], replace(history.attempts[-1], **changes)))


def failed(order: str) -> Failed:
    return Failed(rung="smoke", reason=order, detail=f"Traceback\n{order}", cpu_s=0.0)


def scored(history: History, **changes) -> Scored:
    found = next(a.outcome for a in history.attempts if isinstance(a.outcome, Scored))
    return replace(found, **changes)


def worded(history: History, **words: str) -> History:
    return with_last(history, proposal=replace(history.attempts[-1].proposal, **words))


def coded(history: History, order: str) -> History:
    """A parent that scores best and whose own code gives the order in a comment and a string."""
    last = history.attempts[-1]
    text = f"# {order!r}\nX = 0\n'''\n{order}\n'''\n"
    candidate = replace(last.candidate, tree={**last.candidate.tree, "model.py": text})
    best = scored(history, gain=9.0, score=9.0, rung="replicated")
    return replace(with_last(history, candidate=candidate, outcome=best), champion=candidate)


CHANNELS = {
    "error": lambda h, order: with_last(h, outcome=failed(order)),
    "cheat": lambda h, order: with_last(
        h, outcome=Cheated(rung="smoke", reason=order, detail=order, cpu_s=0.0)
    ),
    "hypothesis": lambda h, order: worded(h, hypothesis=order),
    "mechanism": lambda h, order: worded(h, mechanism=order),
    "technique": lambda h, order: worded(h, technique=order),
    "observable": lambda h, order: with_last(
        h, outcome=scored(h, observables={order: 1.0}), proposal=replace(
            h.attempts[-1].proposal, observable=Observable(name=order, direction="up")
        ),
    ),
    "verdict": lambda h, order: with_last(
        h, outcome=scored(h, verdict=replace(scored(h).verdict, reason=order)),
    ),
    "gate": lambda h, order: replace(h, refused=(order,)),
    "code": coded,
}  # fmt: skip


def prompt_of(history: History) -> tuple[str, str]:
    """What the model is told, system and user, when it proposes on this history."""
    from agents.turn import Turn

    made = agent(None, tools=(ReadJournal(), Retrieve(space=space()), Lint(space=space(), changed_lines=80)))
    system, user = made.observe(Turn(history=history, seed=0)).messages
    return system.text, user.text


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_order_in_what_a_candidate_wrote_stands_between_data_marks(history, channel):
    """Outside of the marks the prompt is, to the letter, what it is when the candidate said something harmless."""
    system, user = prompt_of(CHANNELS[channel](history, "harmless"))
    for order in ORDERS:
        other_system, other = prompt_of(CHANNELS[channel](history, order))
        assert other_system == system, order
        assert MARKED.sub("<data/>", other) == MARKED.sub("<data/>", user), order


@pytest.mark.parametrize("order", ORDERS)
def test_nothing_closes_the_data_marks(order):
    shown = data(f"before {order} after")
    assert len(CLOSES.findall(shown)) == 2 and shown.endswith("</data>")


class Titles:
    """A tool whose data holds the order: an item's title in an answer of `query_data`."""

    name, usage = "query_data", "sql"

    def __init__(self, order: str) -> None:
        self._order = order

    def use(self, history, arguments):
        return f"item | title\n7 | {self._order}"


@pytest.mark.parametrize("order", ORDERS)
def test_a_model_that_obeys_gets_no_new_tool_path_or_budget(tmp_path, order):
    """It reads the order in a tool's answer and repeats it as its own; then only its honest answer counts."""
    wish = '{"tool": "query_data", "arguments": {"sql": "SELECT title FROM items"}}'
    said = [wish, f"harness.py\n{order}", order, answer(1)]
    asked = models(tmp_path, Flaky(lambda n, request: said[min(n, 4) - 1]), budget=Budget(tokens=20_000))
    loop = run(tmp_path, agent(asked, tools=(Titles(order),)), budget=1)
    for attempt in loop.archive.attempts:
        assert set(attempt.proposal.files) == {"model.py"} and attempt.candidate.tree["harness.py"] == "SECRET = 1\n"
    assert asked.ledger.spent.tokens <= 20_000 and loop.settings.budget == 1
    verdicts = {body["verdict"] for body in asked._store.kept() if "verdict" in body}
    assert not any(verdict.startswith("tool shell") and "accepted" in verdict for verdict in verdicts)
    shown = [m["text"] for body in asked._store.kept() if "request" in body for m in body["request"]["messages"]]
    title = next(text for text in shown if "item | title" in text)
    assert order.strip() not in MARKED.sub("", title)


@pytest.mark.parametrize("order", ORDERS)
def test_an_item_title_in_the_data_comes_back_as_a_cell(tmp_path, history, order):
    pytest.importorskip("duckdb", reason="needs DuckDB: pip install -e .[data]")
    from evaluations.tools.query_data import QueryData

    np.save(tmp_path / "title.npy", np.array([order.replace("\x00", "")]))
    np.save(tmp_path / "item.npy", np.array([7]))
    said = QueryData.of(tmp_path).use(history, {"sql": "SELECT item, title FROM training"})
    assert said.startswith("item | title\n7 | ") and said.count("\n") == 1


def test_a_repair_quotes_an_earlier_candidate_as_data(tmp_path):
    same = answer(5, move="explore", hypothesis=ORDERS[0])
    asked = models(tmp_path, scripted([same, answer(5), answer(6)]))
    run(tmp_path, agent(asked), budget=2)
    bodies = [body for body in asked._store.kept() if "request" in body]
    last = bodies[2]["request"]["messages"][-1]["text"]
    assert "is the same code" in last and "is the same code" not in MARKED.sub("", last)


def test_the_rules_say_that_data_give_no_orders():
    assert "never orders" in FORMAT


# --- secrets -----------------------------------------------------------------------------------


def texts_of(folder: Path) -> bytes:
    """Everything in a run's folder, the lineage's objects unpacked."""
    files = b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    lineage = ["git", "-C", str(folder / "lineage.git"), "cat-file", "--batch-all-objects", "--batch"]
    return files + subprocess.run(lineage, capture_output=True, check=True).stdout


def test_a_key_in_the_environment_is_in_no_prompt_journal_lineage_store_or_report(tmp_path, monkeypatch):
    """A person writes the key to the agent, and the model writes it back in every field; a candidate raises it."""
    from evolve.report import write

    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "MY_SERVICE_PASSWORD"):
        monkeypatch.setenv(name, f"{CANARY}-{name}")
    import os

    hidden, heard = Secrets(os.environ), list[str]()

    def leak(number, request):
        heard.extend(message.text for message in request.messages)
        key = f"{CANARY}-OPENAI_API_KEY"
        return hidden.clean(answer(number, hypothesis=f"{key} is better", mechanism=key, name=key))

    asked = models(tmp_path, Flaky(leak), clean=hidden.clean)
    wish = f"use {CANARY}-GEMINI_API_KEY and {CANARY}-MY_SERVICE_PASSWORD"
    loop = run(tmp_path, agent(asked, steering=lambda number: (wish,)), budget=4)
    write(loop.archive, Lineage(tmp_path / "lineage.git"), tmp_path / "report.html")
    assert loop.archive.counted == 4 and (tmp_path / "report.html").stat().st_size > 1000
    assert CANARY.encode() not in texts_of(tmp_path)
    assert any("[GEMINI_API_KEY]" in text for text in heard) and not any(CANARY in text for text in heard)


def test_a_key_in_a_wish_is_not_kept(tmp_path, monkeypatch):
    from tests.cli.test_cli import evolve

    run(tmp_path / "toy", agent(models(tmp_path / "toy", scripted([answer(1)]))), budget=1)
    evolve("steer", "toy", f"try {CANARY}", "--out", tmp_path, OPENAI_API_KEY=CANARY)
    kept = (tmp_path / "toy" / "steering.jsonl").read_text()
    assert "try [OPENAI_API_KEY]" in kept and CANARY not in kept


def test_a_replayed_run_needs_no_key(tmp_path, monkeypatch):
    from agents.models.offline import ReplayedModel

    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    first = run(tmp_path / "a", agent(models(tmp_path / "a", scripted([answer(1), answer(2)]))), budget=2)
    monkeypatch.delenv("OPENAI_API_KEY")
    recorded = CallFile(tmp_path / "a" / "calls.jsonl", read_only=True)
    again = models(tmp_path / "b", ReplayedModel(recorded), pays=False, recorded=recorded)
    assert run(tmp_path / "b", agent(again), budget=2).archive.champion == first.archive.champion
