"""A run walked step by step: every candidate once, in order, with what became of it."""

from __future__ import annotations

import json

import pytest

from evolve.journal import read
from evolve.lineage import Lineage
from evolve.replay.steps import Step, steps
from tests.cli.test_cli import evolve
from tests.toys import Scoring, toy_loop


def walked(folder) -> list[Step]:
    return list(steps(read(folder / "journal.jsonl"), Lineage(folder / "lineage.git")))


def test_every_candidate_is_a_step_in_order(tmp_path):
    toy_loop(tmp_path, workers=3, evaluator=Scoring(nap_s=0.002)).run()
    assert [step.candidate.number for step in walked(tmp_path)] == list(range(1, 21))


def test_a_step_tells_what_was_decided_and_who_was_the_champion_then(tmp_path):
    toy_loop(tmp_path).run()
    told = {step.candidate.number: (step.decision, step.champion) for step in walked(tmp_path)}
    assert told[8] == ("promoted", 8)
    assert told[4] == ("not confirmed", 0)
    assert told[5] == ("set aside", 0)
    assert told[9] == ("kept", 8)
    assert told[20] == ("set aside", 16)


def test_a_step_is_judged_against_the_leader_of_when_it_was_proposed(tmp_path):
    toy_loop(tmp_path, workers=2).run()
    against = {step.candidate.number: step.reference for step in walked(tmp_path)}
    assert (against[7], against[8], against[11], against[12]) == (0, 4, 4, 8)


@pytest.mark.parametrize("kept", range(1, 12))
def test_a_journal_cut_anywhere_can_be_walked(tmp_path, kept):
    """What is in flight comes last and has no outcome."""
    toy_loop(tmp_path, budget=5, workers=2).run()
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:kept]))
    found = walked(tmp_path)
    proposed = sum('"proposed"' in line for line in lines[:kept])
    assert [s.candidate.number for s in found] == list(range(1, proposed + 1))
    judged = sum('"judged"' in line for line in lines[:kept])
    assert [s.outcome is None for s in found] == [False] * judged + [True] * (proposed - judged)


def test_replay_prints_hypothesis_diff_and_decision(tmp_path):
    toy_loop(tmp_path / "toy").run()
    said = evolve("replay", "toy", "--from", 8, "--to", 9, "--out", tmp_path).stdout
    for words in ("8 is better", "+X = 8", "promoted; the champion is #8", "#9 on #8", "-X = 8"):
        assert words in said
    assert "#10" not in said


def test_replay_prints_json(tmp_path):
    toy_loop(tmp_path / "toy").run()
    rows = json.loads(evolve("replay", "toy", "--out", tmp_path, "--json").stdout)
    assert len(rows) == 20
    assert rows[7]["decision"] == "promoted" and "+X = 8" in rows[7]["diff"]


def test_a_negative_speed_is_refused(tmp_path):
    toy_loop(tmp_path / "toy").run()
    ended = evolve("replay", "toy", "--speed", -1, "--out", tmp_path)
    assert ended.returncode == 2 and "--speed" in ended.stderr
