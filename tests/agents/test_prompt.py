"""What a model reads and what is read out of its answer; nobody's data gives it orders."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers import Draft, ToolCall, read_answer
from agents.guards import read_guards
from agents.journal_text import compact_diff, journal_page, journal_text
from agents.models.words import tokens_in
from agents.persona_files import read_roles
from agents.retrieve import documents, ranked
from agents.tools import ReadJournal
from evolve.contracts import Failed, Observable, Persona
from evolve.errors import UsageError
from search_spaces.space import load
from tests.agents.agent_toys import agent, answer, models, run, scripted

PLAIN = Draft(
    name="wide", hypothesis="wider is better", mechanism="more room", move="explore", diff="",
    observable=Observable(name="gate_open", direction="up"),
)  # fmt: skip
WORDS = {
    "name": "wide", "hypothesis": "wider is better", "mechanism": "more room", "move": "explore",
    "observable": {"name": "gate_open", "direction": "up"},
}  # fmt: skip
DIFF = "m.py\n<<<<<<< SEARCH\na = {1: 2}\n=======\na = {}\n>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WORDS) + "\n" + DIFF,
        json.dumps({**WORDS, "diff": DIFF}),
        "Sure, here you are:\n```json\n" + json.dumps(WORDS, indent=2) + "\n```\n\n" + DIFF,
        '<think>{"name": "a wrong one"}\n' + DIFF + "</think>" + json.dumps(WORDS) + "\n" + DIFF,
        json.dumps({**WORDS, "observable": "gate_open up"}) + DIFF,
        "**Name**: wide\n- hypothesis: wider is better\nMechanism: more room\nobservable: gate_open (up)\nmove: explore"
        f"\n{DIFF}",
        json.dumps(WORDS).replace("\n", "\r\n") + "\r\n" + DIFF,
    ],
)
def test_one_proposal_in_many_forms(text):
    found = read_answer(text)
    assert isinstance(found, Draft) and replace(found, diff="") == PLAIN
    assert found.diff.strip().endswith(DIFF.strip())


def test_a_tool_is_asked_for_alone():
    assert read_answer('{"tool": "retrieve", "arguments": {"query": "gates", "n": 3}}') == ToolCall(
        tool="retrieve", arguments={"query": "gates", "n": "3"}
    )
    assert isinstance(read_answer(json.dumps({**WORDS, "tool": "lint", "diff": DIFF})), Draft)


@pytest.mark.parametrize("observable", [None, 3, "up", {"name": "a b; c", "direction": "up"}, {"name": "x"}])
def test_an_observable_that_means_nothing_is_left_out(observable):
    found = read_answer(json.dumps({**WORDS, "observable": observable}))
    assert isinstance(found, Draft) and found.observable is None


@given(st.text() | st.text(alphabet='{}[]":,nametool<>= \n'))
def test_no_answer_makes_the_reader_fail(text):
    assert isinstance(read_answer(text), Draft | ToolCall)


# --- the journal -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    answers = [answer(number, hypothesis=f"number {number} is better") for number in range(1, 61)]
    return run(folder, agent(models(folder, scripted(answers))), budget=60).archive.history()


def numbers(text: str) -> list[int]:
    return [int(line[1:].split()[0]) for line in text.splitlines() if line.startswith("#")]


def test_the_whole_journal_is_shown_best_first_where_it_fits(history):
    shown = numbers(journal_text(history, 20_000))
    gains = {a.candidate.number: getattr(a.outcome, "gain", float("-inf")) for a in history.attempts}
    assert sorted(shown) == list(range(1, 61)) and [gains[n] for n in shown] == sorted(gains.values(), reverse=True)


@pytest.mark.parametrize("tokens", [800, 1500, 2200])
def test_a_journal_that_does_not_fit_says_how_much_is_left_out(history, tokens):
    text = journal_text(history, tokens)
    shown = numbers(text)
    assert tokens_in(text) <= tokens and len(shown) == len(set(shown)) < 60
    assert f"{60 - len(shown)} of them are left out here (ask read_journal" in text
    assert "Best:" in text and "Latest:\n#60" in text and "Failures:" in text


def test_the_rest_can_be_paged(history):
    pages = [journal_page(history, number) for number in (1, 2, 3)]
    assert sorted(n for page in pages for n in numbers(page)) == list(range(1, 61))
    assert ReadJournal().use(history, {"page": "nonsense"}) == pages[0] and journal_page(history, 99) == pages[2]


def test_a_diff_is_compact():
    assert compact_diff({"m.py": "a\nb\nc\n"}, {"m.py": "a\nB\nc\n"}) == "  m.py:\n  -b\n  +B"
    assert "... 12 more lines" in compact_diff({}, {"m.py": "\n".join(f"x{i}" for i in range(20))})


# --- guards, cards, personas -------------------------------------------------------------------


def with_failure(history, reason: str, detail: str = ""):
    failed = Failed(rung="smoke", reason=reason, detail=detail, cpu_s=0.0)
    last = history.attempts[-1]
    return replace(history, attempts=(*history.attempts[:-1], replace(last, outcome=failed)))


def test_failures_of_one_kind_are_one_guard(history):
    guards = read_guards(history)
    assert guards[0].seen[:2] == (5, 10) and {guard.pattern for guard in guards} == {"failed", "timed_out"}


def test_cards_are_found_by_words(history):
    cards = documents(load("video_ranking").techniques, history)
    assert ranked("gated path with a gate", cards, 3)[0].name == "gated_path"
    assert ranked("zzz", cards, 3) == []
    assert any(text.name == "failure-5" for text in cards)


def test_personas_are_files_that_people_can_edit(tmp_path):
    assert set(read_roles()) == set(Persona)
    (tmp_path / "reward.md").write_text("files: loss.py, reward.py\n---\nYou are careful.\n")
    roles = read_roles(tmp_path)
    assert roles[Persona.REWARD].editable(("reward.py", "train.py")) == ("reward.py",) and len(roles) == 1
    (tmp_path / "reward.md").write_text("You are careful.\n")
    with pytest.raises(UsageError, match="files: A, B"):
        read_roles(tmp_path)
    with pytest.raises(UsageError, match="found none"):
        read_roles(tmp_path / "nowhere")
