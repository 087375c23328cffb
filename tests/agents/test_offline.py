"""The agent: what it proposes, how it repairs, what it pays, and that a run is the same whatever happens to it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.models.client import Models
from agents.models.offline import ReplayedModel
from agents.rates import rates
from agents.tools import Lint, ReadJournal, Retrieve
from evolve.calls import CallFile
from evolve.errors import RunError
from evolve.journal import read
from tests.agents.agent_toys import (
    Fallback,
    Flaky,
    agent,
    answer,
    commits,
    diff,
    down,
    models,
    run,
    scripted,
    space,
)

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = [answer(number) for number in range(1, 40)]


def scripted_run(folder, answers=ANSWERS, budget=10, workers=1, **changes):
    asked = models(folder, scripted(answers))
    return run(folder, agent(asked, **changes), budget=budget, workers=workers), asked


def verdicts(asked: Models) -> list[str]:
    return [body["verdict"] for body in asked._store.kept() if "verdict" in body]


def prompts(asked: Models) -> list[str]:
    return ["\n".join(m["text"] for m in b["request"]["messages"]) for b in asked._store.kept() if "request" in b]


def test_each_answer_becomes_a_candidate(tmp_path):
    loop, asked = scripted_run(tmp_path)
    assert [a.proposal.hypothesis for a in loop.archive.attempts] == [f"{n} is better" for n in range(1, 11)]
    assert {a.proposal.proposer for a in loop.archive.attempts} == {"toy/model"}
    assert {a.proposal.persona.value for a in loop.archive.attempts} == {"optimizer", "architecture"}
    assert all(a.proposal.tokens > 0 for a in loop.archive.attempts) and verdicts(asked) == ["accepted"] * 10


def test_the_moves_keep_their_quotas(tmp_path):
    loop, _ = scripted_run(tmp_path)
    moves = [a.proposal.move.value for a in loop.archive.attempts]
    assert (moves.count("explore"), moves.count("exploit"), moves.count("innovate")) == (4, 3, 3)


def test_the_exact_fault_goes_back_to_the_model(tmp_path):
    loop, asked = scripted_run(tmp_path, [answer(1).replace("# here", "# there"), answer(1)], budget=1)
    assert verdicts(asked) == ["not_found", "accepted"]
    assert "this line is not there: '# there'" in prompts(asked)[1]
    assert loop.archive.attempts[0].proposal.tokens > 0


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ("I would rather not.", "no_diff"),
        (answer(1).replace("model.py", "harness.py"), "not_editable"),
        (answer(1, move="innovate"), "quota"),
        (answer(1).replace("X = 1", "# only a comment"), "no_op"),
        (answer(1).replace("X = 1", "\n".join(f"X{i} = {i}" for i in range(90))), "too_big"),
        ('{"tool": "rm -rf", "arguments": {"path": "/"}}', "tool rm -rf"),
    ],
)
def test_what_can_not_be_used_is_counted_and_repaired(tmp_path, bad, kind):
    loop, asked = scripted_run(tmp_path, [bad, answer(1)], budget=1)
    assert verdicts(asked) == [kind, "accepted"] and loop.archive.counted == 1


def test_the_gate_speaks_to_the_model(tmp_path):
    gate = lambda tree: "13 brings bad luck" if "X = 13" in tree["model.py"] else None  # noqa: E731
    _, asked = scripted_run(tmp_path, [answer(13), answer(1)], budget=1, space=space(gate))
    assert verdicts(asked) == ["gate", "accepted"] and "13 brings bad luck" in prompts(asked)[1]


def test_a_tree_that_was_tried_comes_back_with_its_result(tmp_path):
    same = answer(5, move="explore")
    _, asked = scripted_run(tmp_path, [same, answer(5), answer(6)], budget=2)
    assert verdicts(asked) == ["accepted", "not_novel", "accepted"]
    assert "candidate #1 is the same code: failed: it raised" in prompts(asked)[2]


def test_repairs_are_bounded_and_the_fallback_proposes(tmp_path):
    loop, asked = scripted_run(tmp_path, ["no"] * 6 + ANSWERS, budget=2, fallback=Fallback())
    assert [a.proposal.proposer for a in loop.archive.attempts] == ["catalog", "toy/model"]
    assert verdicts(asked)[:6] == ["no_diff"] * 6


def test_tools_are_answered_as_data_and_bounded(tmp_path):
    wish = json.dumps({"tool": "read_journal", "arguments": {"page": "1"}})
    tools = (ReadJournal(), Retrieve(space=space()), Lint(space=space(), changed_lines=80))
    loop, asked = scripted_run(tmp_path, [answer(1), *[wish] * 4, answer(2)], budget=2, tools=tools)
    assert verdicts(asked) == ["accepted", *["tool read_journal"] * 3, "tool_loop", "accepted"]
    assert any("<data>\nPage 1 of 1, 1 attempts in all." in text for text in prompts(asked))
    assert loop.archive.counted == 2


def test_lint_says_what_the_agent_would_say(tmp_path):
    loop, _ = scripted_run(tmp_path, budget=3)
    tool = Lint(space=space(), changed_lines=80)
    assert tool.use(loop.archive.history(), {"diff": diff(99)}) == "ok"
    assert "no diff" in tool.use(loop.archive.history(), {})


def test_a_known_failure_is_refused_before_it_is_tried_again(tmp_path):
    _, asked = scripted_run(tmp_path, budget=6)
    assert "failed: it raised (seen 1 times, last in #5)" in prompts(asked)[-1]


def test_the_script_ends_the_run_and_says_so(tmp_path):
    loop, _ = scripted_run(tmp_path, ANSWERS[:3])
    assert loop.archive.counted == 3 and "script of 3 answers" in loop.reason


def test_equal_scripts_give_equal_commits_and_journals(tmp_path):
    one, _ = scripted_run(tmp_path / "a", workers=2)
    other, _ = scripted_run(tmp_path / "b", workers=2)
    assert commits(one) == commits(other)
    assert [r.hash for r in one._journal.records] == [r.hash for r in other._journal.records]


def test_a_replay_gives_the_same_commits_and_pays_nothing(tmp_path):
    asked = models(tmp_path / "old", Flaky(lambda n, request: ANSWERS[n] if n % 4 else down(transient=False)))
    first = run(tmp_path / "old", agent(asked, fallback=Fallback()))
    recorded = CallFile(tmp_path / "old" / "calls.jsonl", read_only=True)
    again = models(tmp_path / "new", ReplayedModel(recorded), pays=False)
    second = run(tmp_path / "new", agent(again, fallback=Fallback()))
    assert commits(first) == commits(second) and again.ledger.spent.usd == 0 < asked.ledger.spent.usd
    assert [a.proposal for a in first.archive.attempts] == [a.proposal for a in second.archive.attempts]


def test_a_replay_of_what_was_never_asked_is_a_clear_error(tmp_path):
    scripted_run(tmp_path / "old", budget=3)
    recorded = CallFile(tmp_path / "old" / "calls.jsonl", read_only=True)
    with pytest.raises(RunError, match="never asked this"):
        run(tmp_path / "new", agent(models(tmp_path / "new", ReplayedModel(recorded), pays=False)), budget=5)


def test_no_iteration_is_lost_while_no_model_answers(tmp_path):
    provider = Flaky(lambda n, request: down())
    asked = models(tmp_path, provider)
    loop = run(tmp_path, agent(asked, fallback=Fallback()), budget=20)
    assert loop.archive.counted == 20 and {a.proposal.proposer for a in loop.archive.attempts} == {"catalog"}
    assert len(provider.served) < 40, "a model that is down rests"
    assert asked.ledger.spent.usd == 0


def test_a_run_whose_models_think_at_once_is_the_same_again_and_replayed(tmp_path):
    """Answers come in any order, some never; commits, quotas and the replay do not depend on it."""
    naps = random.Random(0)

    def slow(number, request):
        time.sleep(naps.uniform(0, 0.02))
        said = int(request.key[:6], 16)
        return answer(said) if said % 5 else down(transient=False)

    def thinking(folder, provider, **changes):
        asked = models(tmp_path / folder, provider, **changes)
        proposer = agent(asked, fallback=Fallback())
        return run(tmp_path / folder, proposer, workers=2, thinking=3, budget=14), asked

    first, asked = thinking("a", Flaky(slow))
    recorded = CallFile(tmp_path / "a" / "calls.jsonl", read_only=True)
    second, again = thinking("b", ReplayedModel(recorded), pays=False, recorded=recorded)
    assert commits(first) == commits(second) and len(commits(first)) == 15
    assert asked.ledger.spent.usd > 0 == again.ledger.spent.usd
    personas = [a.proposal.persona.value for a in first.archive.attempts]
    assert abs(personas.count("optimizer") - personas.count("architecture")) <= 3


def test_what_a_tool_said_is_recorded_and_replayed(tmp_path):
    class Watch:
        name, usage, looks = "watch", "the time", 0

        def use(self, history, arguments):
            self.looks += 1
            return f"it is {time.monotonic_ns()}"

    wish = json.dumps({"tool": "watch", "arguments": {}})
    old, new = Watch(), Watch()
    first, asked = scripted_run(tmp_path / "old", [wish, answer(1), answer(2)], budget=2, tools=(old,))
    recorded = CallFile(tmp_path / "old" / "calls.jsonl", read_only=True)
    again = models(tmp_path / "new", ReplayedModel(recorded), pays=False, recorded=recorded)
    second = run(tmp_path / "new", agent(again, tools=(new,)), budget=2)
    assert commits(first) == commits(second) and (old.looks, new.looks) == (1, 0)
    assert verdicts(asked) == ["tool watch", "accepted", "accepted"] == verdicts(again)


def test_the_next_model_answers_where_the_first_is_down(tmp_path):
    provider = Flaky(lambda n, request: down() if request.model == "toy/model" else answer(n))
    asked = models(tmp_path, provider)
    loop = run(tmp_path, agent(asked, weights={"toy/model": 1.0, "toy/other": 1e-9}), budget=5)
    assert {a.proposal.proposer for a in loop.archive.attempts} == {"toy/other"}


def test_the_three_rates_stand_apart(tmp_path):
    loop, asked = scripted_run(tmp_path, ["no", *ANSWERS], budget=7)
    found = rates(loop.archive.attempts, verdicts(asked), frozenset({"toy/model"}))
    assert (found.answers, found.landed, found.refused) == (8, 5, {"no_diff": 1})
    assert found.semantic_failure == 0 and found.landing == 5 / 8


def test_steering_is_read_at_the_next_proposal(tmp_path):
    asked = models(tmp_path, scripted(ANSWERS))
    run(tmp_path, agent(asked, steering=lambda number: ("try gating",) if number >= 3 else ()), budget=3)
    assert ["try gating" in text for text in prompts(asked)] == [False, False, True]


@pytest.mark.slow
def test_kill_9_at_any_moment_changes_no_commit_and_asks_nothing_twice(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from tests.agents.agent_toys import *\n"
        "folder = Path(sys.argv[1])\n"
        "class Slow(ScriptedModel):\n"
        "    def ask(self, request):\n"
        "        said = super().ask(request)\n"
        "        with (folder / 'served').open('a') as file: file.write(request.key + '\\n')\n"
        "        time.sleep(0.01)\n"
        "        return said\n"
        "answers = [answer(n) for n in range(1, 40)]\n"
        "run(folder, agent(models(folder, lambda store: Slow(answers, store))), workers=2); print('done')"
    )
    whole, _ = scripted_run(tmp_path / "whole", workers=2)
    folder, rng, kills, done = tmp_path / "killed", random.Random(0), 0, False
    folder.mkdir()
    while not done:
        child = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE)
        if kills < 12:
            time.sleep(rng.uniform(0.8, 1.9))
            child.send_signal(signal.SIGKILL)
        done = b"done" in child.communicate()[0]
        kills += 1
    records = list(read(folder / "journal.jsonl"))
    assert [r.hash for r in records] == [r.hash for r in whole._journal.records]
    store = CallFile(folder / "calls.jsonl", read_only=True)
    served = (folder / "served").read_text().splitlines()
    assert len(served) - len(set(served)) <= len(store.lost()) <= kills, "only a call in flight is asked again"
