"""Invariants of the loop, on a search without training: real git, real journal, crashes on purpose."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evolve.contracts import Failed, Scored, TimedOut
from evolve.error_budget import ALPHA, alpha_of
from evolve.errors import RunError, SandboxError
from evolve.journal import read
from tests.toys import Counting, Scoring, hashes, kinds, toy_loop

ROOT = Path(__file__).resolve().parents[2]


def finished(folder: Path, **changes) -> list[str]:
    loop = toy_loop(folder, **changes)
    loop.run()
    return hashes(loop._journal.records)


def test_the_budget_counts_proposals_that_reached_a_sandbox(tmp_path):
    loop = toy_loop(tmp_path, budget=20, proposer=Counting(repeat=6))
    assert "budget of 20" in loop.run()
    assert len(loop.archive.attempts) == loop.archive.counted == 20
    assert kinds(loop)["refused"] > 0


def test_every_attempt_has_one_outcome_and_a_failure_has_no_score(tmp_path):
    loop = toy_loop(tmp_path)
    loop.run()
    assert [a.candidate.number for a in loop.archive.attempts] == list(range(1, 21))
    found = {type(a.outcome) for a in loop.archive.attempts}
    assert found == {Scored, Failed, TimedOut}
    assert not hasattr(Failed, "score") and not hasattr(TimedOut, "score")


def test_only_a_confirmed_gain_makes_a_champion(tmp_path):
    loop = toy_loop(tmp_path)
    loop.run()
    assert loop.archive.champion.number == 16
    assert [c.number for c in loop.archive.confirmations if c.promoted] == [8, 16]
    assert loop._lineage.repository.commit("confirmed").hexsha == loop.archive.champion.commit


def test_a_proposal_is_judged_against_the_best_that_was_replicated_even_where_no_look_confirmed_it(tmp_path):
    loop = toy_loop(tmp_path)
    loop.run()
    against = {r.body["number"]: r.body["reference"] for r in loop._journal.records if r.kind == "proposed"}
    assert [against[n] for n in (1, 4, 5, 8, 9, 13, 17)] == [0, 0, 4, 4, 8, 12, 16]
    assert 12 not in [c.number for c in loop.archive.confirmations if c.promoted]


def test_the_levels_of_all_looks_together_stay_within_the_error_budget():
    assert sum(alpha_of(k) for k in range(10_000)) <= ALPHA + 1e-12
    assert alpha_of(0) > alpha_of(1) > 0


def test_the_same_seed_gives_the_same_commits_and_journal(tmp_path):
    assert finished(tmp_path / "a") == finished(tmp_path / "b", start=5000.0)


def test_with_three_workers_finishing_in_any_order_a_run_is_still_the_same(tmp_path):
    slow = finished(tmp_path / "a", workers=3, evaluator=Scoring(nap_s=0.003))
    assert slow == finished(tmp_path / "b", workers=3)


def test_a_proposal_sees_no_outcome_younger_than_the_workers_allow(tmp_path):
    seen: list[tuple[int, int]] = []

    class Watching(Counting):
        def propose(self, history, seed):
            seen.append((history.number, len(history.attempts)))
            return super().propose(history, seed)

    toy_loop(tmp_path, workers=3, proposer=Watching()).run()
    assert all(outcomes <= number - 3 or outcomes == 0 for number, outcomes in seen)


def test_an_exhausted_proposer_ends_the_run_with_a_line(tmp_path):
    assert "nothing is left" in toy_loop(tmp_path, proposer=Counting(limit=3)).run()


def test_refusals_are_free_but_bounded(tmp_path):
    class Stubborn(Counting):
        def propose(self, history, seed):
            return Counting(repeat=1).propose(history, 0)

    loop = toy_loop(tmp_path, proposer=Stubborn())
    assert "in a row were refused" in loop.run()
    assert loop.archive.counted == 0


def test_the_static_gate_refuses_for_free(tmp_path):
    loop = toy_loop(tmp_path, budget=30, refused=17)
    loop.run()
    assert {r.reason for r in loop.archive.refusals} == {"17 is not allowed"}
    assert loop.archive.counted == 16


def test_a_sandbox_that_fails_is_tried_again_and_the_candidate_is_not_blamed(tmp_path):
    plain = finished(tmp_path / "a")
    assert finished(tmp_path / "b", evaluator=Scoring(engine_fails=[3, 3])) == plain


def test_a_sandbox_that_keeps_failing_stops_the_run_and_loses_nothing(tmp_path):
    loop = toy_loop(tmp_path / "a", evaluator=Scoring(engine_fails=[3] * 9))
    with pytest.raises(SandboxError):
        loop.run()
    loop._journal.close()
    assert finished(tmp_path / "a") == finished(tmp_path / "b")


def test_a_stopped_run_finishes_what_is_in_flight_and_goes_on_later(tmp_path):
    loop = toy_loop(tmp_path / "a", workers=2)
    loop._observer = lambda record: loop.stop() if record.kind == "judged" else None
    assert "--resume" in loop.run()
    assert not loop.archive.pending and not loop.archive.ended
    loop._journal.close()
    again = toy_loop(tmp_path / "a", workers=2)
    again.run()
    assert again.archive.counted == 20 and again.archive.ended


def test_a_larger_budget_continues_an_ended_run(tmp_path):
    loop = toy_loop(tmp_path, budget=5)
    loop.run()
    loop._journal.close()
    more = toy_loop(tmp_path, budget=9)
    more.run()
    assert [a.candidate.number for a in more.archive.attempts] == list(range(1, 10))


def test_resuming_after_each_record_gives_the_same_journal(tmp_path):
    """The journal is cut behind every record, and within the last one, and the run is continued."""
    whole = finished(tmp_path / "whole", workers=2)
    text = (tmp_path / "whole" / "journal.jsonl").read_bytes()
    ends = [i + 1 for i, byte in enumerate(text) if byte == ord("\n")]
    for k, end in enumerate(ends[:-1]):
        folder = tmp_path / f"cut{k}"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(text[: end + (k * 37) % 90])
        subprocess.run(["cp", "-r", str(tmp_path / "whole" / "lineage.git"), str(folder)], check=True)
        assert finished(folder, workers=2) == whole


@pytest.mark.slow
def test_kill_9_at_fifty_random_moments_loses_nothing_and_does_nothing_twice(tmp_path):
    code = (
        "import sys; from pathlib import Path; from tests.toys import *; "
        "toy_loop(Path(sys.argv[1]), workers=2, evaluator=Scoring(nap_s=0.004)).run(); print('done')"
    )
    whole, rng = finished(tmp_path / "whole", workers=2), random.Random(0)
    folder, kills, done = tmp_path / "killed", 0, False
    while kills < 50:
        child = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE)
        time.sleep(rng.uniform(0.15, 0.75))
        child.send_signal(signal.SIGKILL)
        done = b"done" in child.communicate()[0] or done
        kills += 1
        if done:
            assert hashes(list(read(folder / "journal.jsonl"))) == whole
            folder, done = tmp_path / f"killed{kills}", False
    assert finished(folder, workers=2) == whole


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("a small tmpfs can't be mounted here (needs root)")
    try:
        with pytest.raises(RunError, match=r"disk|space|written|git"):
            toy_loop(small / "run", budget=10_000).run()
        assert list(read(small / "run" / "journal.jsonl"))
    finally:
        os.sync()
        subprocess.run(["umount", "-l", str(small)], check=True)
