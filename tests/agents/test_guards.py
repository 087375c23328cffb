"""What failed is refused before it is tried again, for free and with its reason; no error text forbids what works."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from agents.guards import guard_text, known_failure, read_guards
from evolve.contracts import Candidate, Cheated, Failed, History, Outcome, Proposal, Tree
from tests.toys import Counting, Scoring, kinds, toy_loop

HEAD = "X = {x}\nimport torch\n"
GATED = "\n\ndef forward(x):\n    gate = torch.sigmoid(x * 2 + 1)\n    return x * gate + (1 - gate) * x.mean()\n"
RENAMED = GATED.replace("forward", "mix").replace("\n    gate", '\n    """Mixes."""\n    gate', 1)
PEEK = (
    "\n\ndef peek(path):\n    import socket\n    found = socket.socket().connect(path)\n    return found or path * 2\n"
)
PLAIN = "\n\ndef square(x):\n    low, high = x.min(), x.max()\n    return (x - low) * (x - low) / (high - low + 1)\n"


@dataclass
class Writing(Counting):
    """Proposes the texts of a list, each under its own number."""

    texts: tuple[str, ...] = ()

    def propose(self, history: History, seed: int) -> Proposal | None:
        index = history.number - 1 + seed // 1_000_003
        if index >= len(self.texts):
            return None
        proposal = super().propose(history, 0)
        return proposal and replace(proposal, files={"model.py": self.texts[index]})


@dataclass
class Answering(Scoring):
    """Gives each number the outcome of a table; scores the others."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def judge(self, candidate: Candidate, reference: Candidate, observable) -> Outcome:
        found = self.outcomes.get(candidate.number)
        if found:
            return found
        return super().judge(replace(candidate, tree={"model.py": "X = 1\n"}), reference, observable)


def failed(reason: str, detail: str = "") -> Failed:
    return Failed(rung="smoke", reason=reason, detail=detail, cpu_s=0.0)


def cheated(reason: str = "it opened a socket") -> Cheated:
    return Cheated(rung="smoke", reason=reason, detail="", cpu_s=0.0)


def texts(*bodies: str) -> tuple[str, ...]:
    return tuple(HEAD.format(x=i + 1) + body for i, body in enumerate(bodies))


def search(folder, bodies, outcomes, **changes):
    loop = toy_loop(
        folder, proposer=Writing(texts=texts(*bodies)), evaluator=Answering(outcomes=outcomes),
        guard=known_failure, **changes,
    )  # fmt: skip
    loop.run()
    return loop


def reasons(loop) -> list[str]:
    return [refusal.reason for refusal in loop.archive.refusals]


@pytest.mark.parametrize("again", [PEEK, PEEK.replace("peek", "look"), PEEK + PLAIN])
def test_what_a_cheater_brought_is_refused_for_free(tmp_path, again):
    loop = search(tmp_path, [PEEK, again, PLAIN], {1: cheated()})
    assert loop.archive.counted == 2 and kinds(loop)["refused"] == 1
    (reason,) = reasons(loop)
    assert "code that was tried before" in reason and "candidate #1 cheated by it: it opened a socket" in reason


def test_a_part_of_what_a_cheater_brought_is_not_what_cheated(tmp_path):
    loop = search(tmp_path, [PEEK + PLAIN, PLAIN, PEEK + PLAIN], {1: cheated()})
    assert loop.archive.counted == 2 and len(reasons(loop)) == 1


def test_what_two_equal_failures_share_is_refused_the_third_time(tmp_path):
    outcomes = {1: failed("it raised on row 17"), 2: failed("it raised on row 23")}
    loop = search(tmp_path, [GATED, GATED + PLAIN, RENAMED], outcomes)
    assert loop.archive.counted == 2
    assert "model.py::mix is code that was tried before, and candidate #2 failed by it" in reasons(loop)[0]


def test_what_failed_once_may_be_tried_elsewhere(tmp_path):
    loop = search(tmp_path, [GATED, GATED + PLAIN], {1: failed("it raised")})
    assert loop.archive.counted == 2 and not reasons(loop)


def test_what_runs_somewhere_is_not_what_failed(tmp_path):
    outcomes = {1: failed("it raised"), 3: failed("it raised")}
    loop = search(tmp_path, [GATED, GATED + PLAIN, GATED + PEEK, GATED + "\nY = 1\n"], outcomes)
    assert loop.archive.counted == 4 and not reasons(loop)


NO_NAME = "AttributeError: module 'torch' has no attribute 'soft_gate'"
NO_KEYWORD = "TypeError: Linear.__init__() got an unexpected keyword argument 'gain'"


@pytest.mark.parametrize(
    ("detail", "bad", "again", "fine", "said"),
    [
        (NO_NAME, "Y = torch.soft_gate", "Z = 3 + torch.soft_gate", "Z = torch.soft_gates", "`torch.soft_gate`, which"),
        (
            "ImportError: cannot import name 'Muon' from 'torch.optim' (/somewhere)", "Y = torch.optim.Muon",
            "Z = [torch.optim.Muon]", "Z = torch.optim.SGD", "`torch.optim.Muon`, which does not exist",
        ),
        (
            NO_KEYWORD, "Y = torch.nn.Linear(1, 2, gain=3)", "Z = torch.nn.Linear(4, 4, gain=1)",
            "Z = torch.nn.Linear(4, 4, bias=False)", "calls `Linear` with `gain`, which it does not take",
        ),
    ],
)  # fmt: skip
def test_a_name_or_a_keyword_that_is_not_there_is_refused_the_second_time(tmp_path, detail, bad, again, fine, said):
    loop = search(tmp_path, [f"{bad}\n", f"{again}\n", f"{fine}\n"], {1: failed("it raised", detail)})
    assert loop.archive.counted == 2 and said in reasons(loop)[0]


def test_a_function_of_the_tree_may_take_what_it_likes(tmp_path):
    own = "\n\ndef Linear(gain):\n    return gain\n\n\nY = Linear(gain=3)\n"
    bodies = ["Y = torch.nn.Linear(1, 2, gain=3)\n", own]
    assert not reasons(search(tmp_path, bodies, {1: failed("it raised", NO_KEYWORD)}))


@pytest.mark.parametrize(
    "lie",
    [
        "AttributeError: module 'torch' has no attribute 'relu'",
        "TypeError: Linear.__init__() got an unexpected keyword argument 'bias'",
        "cannot import name 'nn' from 'torch'",
        "AttributeError: module '" + "a." * 2000 + "' has no attribute 'x'",
    ],
)
def test_an_error_text_forbids_nothing_that_its_own_change_does_not_bear_out(tmp_path, lie):
    """A hostile candidate raises whatever it likes: names that it does not use stay free for all."""
    bodies = ["Y = 2\n", "Y = torch.relu(torch.nn.Linear(1, 1, bias=False).weight)\n"]
    loop = search(tmp_path, bodies, {1: failed("it raised", lie)})
    assert loop.archive.counted == 2 and not reasons(loop)


def test_a_lie_about_a_name_that_works_elsewhere_forbids_nothing(tmp_path):
    bodies = ["Y = torch.relu\n", "Y = 3 + torch.relu\n", "Y = 4 + torch.relu\n"]
    lies = failed("it raised", "module 'torch' has no attribute 'relu'")
    loop = search(tmp_path, bodies, {2: lies})
    assert loop.archive.counted == 3 and not reasons(loop)


def test_guards_say_what_they_do_and_gates_leave_guards_too(tmp_path):
    loop = search(tmp_path, [PEEK, PEEK + PLAIN, "pass", PLAIN], {1: cheated()}, refused=3)
    history = loop.archive.history()
    shown = guard_text(read_guards(history))
    assert "- cheated: it opened a socket (seen 1 times, last in #1; it is refused from now on)" in shown
    assert "- rejected: 3 is not allowed (refused 1 times, nothing was run)" in shown
    assert "a known failure" not in shown


def test_a_run_with_guards_is_the_same_when_it_is_continued_or_played_again(tmp_path):
    from tests.replay.test_again import played
    from tests.toys import hashes

    bodies, outcomes = [PEEK, PEEK + "\nY = 1\n", PLAIN, GATED, GATED + PLAIN], {1: cheated(), 3: failed("it raised")}
    whole = search(tmp_path / "old", bodies, outcomes)
    again = search(tmp_path / "again", bodies, outcomes)
    assert len(reasons(whole)) == 1 and hashes(whole._journal.records) == hashes(again._journal.records)
    whole._journal.close()
    assert played(tmp_path / "old", tmp_path / "new").same


def test_a_broken_text_has_no_patterns():
    from agents.patterns import new_code

    odd: Tree = {"m.py": "def f(:\n", "n.py": "\x00", "notes.md": "def g(): pass"}
    assert new_code({}, odd) == frozenset()
