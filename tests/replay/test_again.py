"""A search run again from its records: the same search tells the same, and another one says where it must stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evolve.archive import Archive
from evolve.errors import OutOfEvidence
from evolve.journal import Journal, read
from evolve.lineage import Lineage
from evolve.replay.again import Played, Recorded, RecordedEvaluator, play
from tests.cli.test_cli import evolve
from tests.toys import Counting, Ticking, hashes, toy_loop


def recorded(folder: Path) -> Recorded:
    archive = Archive(Lineage(folder / "lineage.git"))
    journal = list(read(folder / "journal.jsonl"))
    for record in journal:
        archive.apply(record)
    return Recorded(name="old", journal=journal, archive=archive)


def played(old: Path, new: Path, **asked) -> Played:
    new.mkdir(parents=True)
    journal = Journal(new / "journal.jsonl", Ticking())
    return play(recorded(old), Lineage(new / "lineage.git"), journal, Ticking(), **asked)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_recorded_search_tells_the_same_without_judging_anything(tmp_path, workers):
    """Refused proposals are refused again, and the commits are the same to the last bit."""
    toy_loop(tmp_path / "old", workers=workers, proposer=Counting(repeat=6), refused=13).run()
    found = played(tmp_path / "old", tmp_path / "new")
    assert found.same and not found.ran_out and found.archive.ended
    old = recorded(tmp_path / "old").archive
    assert [c.commit for c in found.archive.candidates] == [c.commit for c in old.candidates]
    assert len(found.archive.refusals) == len(old.refusals) > 0
    assert found.archive.champion == old.champion


def test_a_replay_of_a_replay_is_the_same_as_the_replay(tmp_path):
    toy_loop(tmp_path / "old").run()
    played(tmp_path / "old", tmp_path / "a")
    assert played(tmp_path / "a", tmp_path / "b").same
    played(tmp_path / "old", tmp_path / "c")
    assert hashes(list(read(tmp_path / "a" / "journal.jsonl"))) == hashes(list(read(tmp_path / "c" / "journal.jsonl")))


def test_a_run_that_was_stopped_and_continued_is_played_with_its_stops(tmp_path):
    """With several proposals in flight a stop changes what later ones are judged against."""
    loop = toy_loop(tmp_path / "old", workers=3)
    loop._observer = lambda record: loop.stop() if record.kind == "judged" and record.body["number"] == 5 else None
    loop.run()
    loop._journal.close()
    toy_loop(tmp_path / "old", workers=3, budget=13).run()
    toy_loop(tmp_path / "old", workers=3, budget=20).run()
    found = played(tmp_path / "old", tmp_path / "new")
    assert found.same and not found.ran_out


def test_an_interrupted_run_is_played_as_far_as_it_was_judged(tmp_path):
    toy_loop(tmp_path / "old", workers=2).run()
    journal = tmp_path / "old" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:25]))
    found = played(tmp_path / "old", tmp_path / "new")
    assert found.same and not found.ran_out and not found.archive.ended
    assert len(found.archive.attempts) == sum('"judged"' in line for line in lines[:25])


def test_another_order_goes_as_far_as_the_records_allow(tmp_path):
    toy_loop(tmp_path / "old").run()
    found = played(tmp_path / "old", tmp_path / "new", seed=3, shuffled=True)
    assert not found.same
    assert "old" in found.ran_out
    assert len(found.archive.attempts) < 20


def test_another_proposer_stops_at_the_first_tree_that_was_never_tried(tmp_path):
    class Leaping(Counting):
        """Proposes 1, 2, 3, 104, ..."""

        def propose(self, history, seed):
            from dataclasses import replace

            found = super().propose(history, seed)
            leapt = {"model.py": f"X = {history.number + 100 * (history.number > 3)}\n"}
            return replace(found, files=leapt) if found else None

    toy_loop(tmp_path / "old").run()
    found = played(tmp_path / "old", tmp_path / "new", seed=1, proposer=Leaping(), gate=lambda tree: None)
    assert len(found.archive.attempts) == 3
    assert found.ran_out == "candidate 4 of the replay was never tried in old"


def test_the_records_answer_only_what_was_asked_then(tmp_path):
    toy_loop(tmp_path).run()
    run = recorded(tmp_path)
    judge, candidates = RecordedEvaluator(run), run.archive.candidates
    assert judge.judge(candidates[3], candidates[0], None) == run.archive.outcome(3)
    with pytest.raises(OutOfEvidence, match="another champion"):
        judge.judge(candidates[3], candidates[8], None)
    with pytest.raises(OutOfEvidence, match="level"):
        judge.confirm(candidates[8], candidates[0], 0.05)
    with pytest.raises(OutOfEvidence, match="test labels"):
        judge.final(candidates[8], candidates[0])


def test_the_command_makes_a_run_that_can_be_looked_at(tmp_path):
    toy_loop(tmp_path / "old").run()
    ended = evolve("replay", "old", "--as", "new", "--out", tmp_path, "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0 and told["same"] and told["champion"] == 16 and told["judged"] == 20
    assert json.loads(evolve("status", "new", "--out", tmp_path, "--json").stdout)["judged"] == 20
    short = evolve("replay", "old", "--as", "other", "--policy", "shuffled", "--seed", 3, "--out", tmp_path)
    assert short.returncode == 1 and "ran out of evidence" in short.stdout


@pytest.mark.parametrize(("words", "said"), [(("--policy", "greedy"), "greedy"), (("--seed", 3), "--policy shuffled")])
def test_a_policy_that_is_not_there_makes_no_run(tmp_path, words, said):
    toy_loop(tmp_path / "old").run()
    ended = evolve("replay", "old", "--as", "new", *words, "--out", tmp_path)
    assert ended.returncode == 2 and said in ended.stderr
    assert not (tmp_path / "new").exists()
