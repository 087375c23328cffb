"""A run measured again: equal bits here, the noise floor elsewhere, and nothing that is not explained passes."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from evolve.archive import Archive
from evolve.contracts import Failed, Scored
from evolve.journal import read
from evolve.lineage import Lineage
from evolve.replay.steps import steps
from evolve.replay.verify import Finding, differences, sample, verify
from tests.cli.test_cli import evolve
from tests.toys import Scoring, toy_loop

ELSEWHERE = {"torch": "2.12 -> 2.13"}


class Off(Scoring):
    """Another machine: every gain is off by so much."""

    off = 0.0

    def judge(self, candidate, reference, observable):
        found = super().judge(candidate, reference, observable)
        return replace(found, gain=found.gain + self.off) if isinstance(found, Scored) else found


class Broken(Scoring):
    """Candidate 3 breaks."""

    def judge(self, candidate, reference, observable):
        found = super().judge(candidate, reference, observable)
        return Failed(rung="smoke", reason="it raised", detail="", cpu_s=0.0) if candidate.number == 3 else found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run")
    toy_loop(place).run()
    return place


def verified(folder: Path, evaluator: Scoring, *, elsewhere=None, count: int | None = None) -> list[Finding]:
    lineage = Lineage(folder / "lineage.git")
    archive = Archive(lineage)
    for record in read(folder / "journal.jsonl"):
        archive.apply(record)
    references = {
        s.candidate.number: archive.candidates[s.reference] for s in steps(read(folder / "journal.jsonl"), lineage)
    }
    numbers = sample(archive, references, count, 0)
    return list(verify(archive, numbers, references, evaluator, elsewhere=elsewhere or {}, workers=2))


def states(found: list[Finding]) -> Counter[str]:
    return Counter(f.state for f in found)


def off(amount: float) -> Off:
    evaluator = Off()
    evaluator.off = amount
    return evaluator


def test_an_honest_run_is_equal_to_the_last_bit_in_every_measurement(folder):
    """The floor, 20 candidates, their looks at unseen users and the test labels; measured times don't count."""
    evaluator = Scoring()
    found = verified(folder, evaluator)
    assert states(found) == {"equal": len(found)}
    assert Counter(f.what for f in found) == {"noise floor": 1, "search": 20, "confirmation": 4, "test labels": 1}
    assert sorted(evaluator.judged) == sorted(x for x in range(1, 21))


def test_on_the_same_machine_the_smallest_difference_differs(folder):
    found = verified(folder, off(1e-15))
    wrong = [f for f in found if f.state == "differs"]
    assert wrong and all("same machine" in f.why and "gain was" in f.why for f in wrong)


def test_elsewhere_a_difference_within_the_noise_floor_is_explained_by_what_differs(folder):
    found = verified(folder, off(0.01), elsewhere=ELSEWHERE)
    assert states(found)["differs"] == 0 and states(found)["within noise"] > 0
    assert all("torch 2.12 -> 2.13" in f.why for f in found if f.state == "within noise")


def test_elsewhere_a_difference_that_noise_does_not_explain_differs(folder):
    assert states(verified(folder, off(0.2), elsewhere=ELSEWHERE))["differs"] > 0


def test_elsewhere_another_kind_of_outcome_differs(folder):
    wrong = [f for f in verified(folder, Broken(), elsewhere=ELSEWHERE) if f.state == "differs"]
    assert [f.number for f in wrong] == [3]
    assert "kind was scored, now failed" in wrong[0].why


def test_a_sample_measures_so_many_and_the_leaders_that_they_were_judged_against(folder):
    """The same ones for the same seed; without all candidates the test labels are left alone."""
    first, second = Scoring(), Scoring()
    found = verified(folder, first, count=4)
    verified(folder, second, count=4)
    assert sorted(first.judged) == sorted(second.judged)
    leaders = {4, 8, 12, 16}
    assert 4 <= len(first.judged) <= 4 + len(leaders) and len(set(first.judged) - leaders) >= 3
    assert {f.state for f in found} == {"equal"} and not [f for f in found if f.what == "test labels"]


def test_a_candidate_is_measured_after_the_leader_that_it_was_judged_against(folder):
    """A judge that had to measure the leader in between would hold one session and wait for another."""
    done: list[int] = []

    class Slow(Scoring):
        def judge(self, candidate, reference, observable):
            assert reference.number == 0 or reference.number in done
            found = super().judge(candidate, reference, observable)
            time.sleep(0.01 * (candidate.number == 8))
            done.append(candidate.number)
            return found

    assert states(verified(folder, Slow(), count=19)) == states(verified(folder, Scoring(), count=19))


def test_a_journal_that_claims_more_than_was_measured_is_found_out(folder, tmp_path):
    """The chain is sound, for whoever forges a score can chain it anew: only measuring again tells."""
    from evolve.journal import Journal
    from tests.toys import Ticking

    shutil.copytree(folder / "lineage.git", tmp_path / "lineage.git")
    forged = Journal(tmp_path / "journal.jsonl", Ticking())
    for record in read(folder / "journal.jsonl"):
        body = dict(record.body)
        if record.kind == "judged" and body["number"] == 9:
            body["outcome"] = {**body["outcome"], "gain": 0.5}
        forged.append(record.kind, body)
    forged.close()
    for elsewhere in ({}, ELSEWHERE):
        wrong = [f.number for f in verified(tmp_path, Scoring(), elsewhere=elsewhere) if f.state == "differs"]
        assert wrong == [9]


def test_what_differs_is_named_on_both_sides():
    assert differences({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == {
        "b": "2 -> 3",
        "c": "not recorded -> 4",
    }


def test_a_sample_without_verify_is_refused(folder):
    ended = evolve("replay", folder, "--sample", 2)
    assert ended.returncode == 2 and "--verify" in ended.stderr


@pytest.mark.slow
@pytest.mark.docker
def test_a_tiny_run_is_reproduced_from_git_alone_in_docker(tmp_path):
    """Without the run's measurements; the verification leaves nothing behind."""
    started = evolve("start", "--no-online", "--budget", 2, "--workers", 2, "--sandbox", "docker", "--out", tmp_path)
    assert started.returncode == 0, started.stderr
    run = tmp_path / "video_ranking-0"
    shutil.rmtree(run / "measurements")
    ended = evolve("replay", run, "--verify", "--sandbox", "docker", "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0 and told["reproduced"] and not told["elsewhere"]
    assert {f["state"] for f in told["findings"]} == {"equal"} and len(told["findings"]) >= 4
    assert not (run / "measurements").exists() and not (run / "verification").exists()
