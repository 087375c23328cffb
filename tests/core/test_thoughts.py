"""Proposals thought of while candidates run: the same run whatever takes long, nothing idle, nothing too much."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from evolve.contracts import History, Proposal
from evolve.errors import BudgetExhausted
from evolve.journal import read
from tests.core.test_loop import ROOT, finished, hashes
from tests.replay.test_again import played
from tests.toys import Counting, Scoring, kinds, toy_loop


@dataclass
class Thinking(Counting):
    """Proposes a number that follows from all that it sees, now and then one that was tried; takes any time for it."""

    naps: random.Random | None = None
    at_once: int = 0
    most_at_once: int = 0
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    one: threading.Lock = field(default_factory=threading.Lock)

    def propose(self, history: History, seed: int) -> Proposal | None:
        with self.one:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.asked.append((history.number, len(history.attempts), seed))
        if self.naps:
            time.sleep(self.naps.uniform(0, 0.02))
        seen = [(a.candidate.commit, a.outcome.kind) for a in history.attempts]
        seen += [(w.candidate.commit, "") for w in history.pending]
        known = [history.tried({"model.py": f"X = {x}\n"}) for x in range(40)]
        text = f"{history.number} {seed} {seen} {history.champion.number} {known}"
        wanted = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 300
        with self.one:
            self.at_once -= 1
        proposal = Counting.propose(self, replace(history, number=1), seed)
        return proposal and replace(proposal, files={"model.py": f"X = {wanted}\n"})


@pytest.mark.parametrize(("workers", "thinking"), [(1, 1), (2, 1), (2, 3), (3, 8)])
def test_a_run_is_the_same_whatever_takes_long(tmp_path, workers, thinking):
    runs = [
        finished(
            tmp_path / str(k), workers=workers, thinking=thinking, budget=30, evaluator=Scoring(nap_s=nap_s),
            proposer=Thinking(naps=random.Random(k)),
        )
        for k, nap_s in enumerate((0.0, 0.0, 0.004))
    ]  # fmt: skip
    assert runs[0] == runs[1] == runs[2]


def test_resuming_after_each_record_gives_the_same_journal(tmp_path):
    asked = {"workers": 2, "thinking": 3, "refused": 13}
    whole = finished(tmp_path / "whole", proposer=Thinking(), **asked)
    text = (tmp_path / "whole" / "journal.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(text) if byte == ord("\n")]
    for k, end in enumerate(ends[:-1]):
        folder = tmp_path / f"cut{k}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(text[: end + (k * 37) % 90])
        subprocess.run(["cp", "-r", str(tmp_path / "whole" / "lineage.git"), str(folder)], check=True)
        assert finished(folder, proposer=Thinking(), **asked) == whole


@pytest.mark.slow
def test_kill_9_while_proposals_are_thought_of_changes_no_commit(tmp_path):
    code = (
        "import random, sys; from pathlib import Path; from tests.core.test_thoughts import *; "
        "toy_loop(Path(sys.argv[1]), workers=2, thinking=3, budget=30, evaluator=Scoring(nap_s=0.004), "
        "proposer=Thinking(naps=random.Random())).run(); print('done')"
    )
    asked = {"workers": 2, "thinking": 3, "budget": 30}
    whole, rng = finished(tmp_path / "whole", proposer=Thinking(), **asked), random.Random(1)
    folder, kills = tmp_path / "killed0", 0
    while kills < 20:
        child = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE)
        time.sleep(rng.uniform(0.3, 1.2))
        child.kill()
        kills += 1
        if b"done" in child.communicate()[0]:
            assert hashes(list(read(folder / "journal.jsonl"))) == whole
            folder = tmp_path / f"killed{kills}"
    assert finished(folder, proposer=Thinking(), **asked) == whole


def test_no_two_thoughts_are_asked_the_same(tmp_path):
    class Repeating(Thinking):
        def propose(self, history, seed):
            proposal = super().propose(history, seed)
            return proposal and replace(proposal, files={"model.py": f"X = {len(self.asked) // 2}\n"})

    proposer = Repeating()
    loop = toy_loop(tmp_path, thinking=4, proposer=proposer)
    loop.run()
    assert kinds(loop)["refused"] > 0
    assert len({(number, seed) for number, _, seed in proposer.asked}) == len(proposer.asked)


def test_candidates_run_while_models_think(tmp_path):
    """Each judgement waits until the next proposal is being thought of: one at a time, it would wait for ever."""
    begun = threading.Semaphore(0)

    class Telling(Counting):
        def propose(self, history, seed):
            begun.release()
            return super().propose(history, seed)

    class Waiting(Scoring):
        def judge(self, candidate, reference, observable):
            if candidate.number < 10:
                assert begun.acquire(timeout=20), "nobody thinks while the machine works"
            return super().judge(candidate, reference, observable)

    loop = toy_loop(tmp_path, budget=10, thinking=1, proposer=Telling(), evaluator=Waiting())
    begun.acquire(blocking=False)
    loop.run()
    assert loop.archive.counted == 10


def test_no_more_is_thought_of_than_the_budget_takes_and_at_most_so_many_at_once(tmp_path):
    proposer = Thinking(naps=random.Random(0))
    loop = toy_loop(tmp_path, budget=12, workers=2, thinking=3, proposer=proposer)
    loop.run()
    assert proposer.most_at_once == 3
    assert len(proposer.asked) == loop.archive.counted + kinds(loop).get("refused", 0)


def test_a_thought_sees_no_outcome_younger_than_the_rule_says(tmp_path):
    proposer = Thinking()
    toy_loop(tmp_path, workers=2, budget=30, thinking=3, proposer=proposer).run()
    assert all(outcomes <= max(0, number - 4 - 2) for number, outcomes, seed in proposer.asked if seed == 0)


def test_a_run_that_thinks_is_played_again_from_its_records(tmp_path):
    toy_loop(tmp_path / "old", workers=2, thinking=3, proposer=Thinking(), refused=13).run()
    found = played(tmp_path / "old", tmp_path / "new")
    assert found.same and not found.ran_out


def test_a_stop_does_not_wait_for_a_model(tmp_path):
    class Slow(Counting):
        def propose(self, history, seed):
            if history.number > 3:
                loop.stop()
                time.sleep(60)
            return super().propose(history, seed)

    loop = toy_loop(tmp_path, thinking=2, proposer=Slow())
    start = time.monotonic()
    assert "stopped by hand" in loop.run()
    assert time.monotonic() - start < 20 and not loop.archive.pending
    loop._journal.close()
    again = toy_loop(tmp_path, thinking=2)
    again.run()
    assert again.archive.counted == 20


def test_a_larger_budget_gives_the_commits_of_a_run_that_had_it_from_the_start(tmp_path):
    for budget in (5, 12):
        loop = toy_loop(tmp_path / "a", budget=budget, thinking=2, workers=2, proposer=Thinking())
        loop.run()
        loop._journal.close()
    assert loop.archive.counted == 12


def test_what_a_thought_raises_is_raised_where_it_is_due(tmp_path):
    class Poor(Counting):
        def propose(self, history, seed):
            if history.number > 4:
                raise BudgetExhausted("the purse is empty")
            return super().propose(history, seed)

    loop = toy_loop(tmp_path / "a", thinking=3, proposer=Poor())
    assert loop.run() == "the purse is empty" and loop.archive.counted == 4

    class Broken(Counting):
        def propose(self, history, seed):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        toy_loop(tmp_path / "b", thinking=3, proposer=Broken()).run()


def test_a_history_stays_as_it_was(tmp_path: Path):
    kept: list[History] = []

    class Keeping(Counting):
        def propose(self, history, seed):
            kept.append(history)
            return super().propose(history, seed)

    toy_loop(tmp_path, proposer=Keeping()).run()
    assert [h.tried({"model.py": "X = 3\n"}) for h in kept] == [False] * 3 + [True] * 17
