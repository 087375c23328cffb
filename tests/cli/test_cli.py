"""The command line on runs of the toy search: what it prints, and what bad input gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toys import toy_loop

ROOT = Path(__file__).resolve().parents[2]


def evolve(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evolve.cli", *map(str, words)]
    kept = {**os.environ, "COLUMNS": "160", **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=kept)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    loop = toy_loop(folder / "toy")
    loop.run()
    loop._journal.close()
    return folder


def fails(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr


def test_status_tells_how_far_a_run_is(runs):
    assert json.loads(evolve("status", "--out", runs, "--json").stdout)["judged"] == 20


def test_the_log_is_a_tree_of_all_candidates(runs):
    shown = evolve("log", "--out", runs).stdout
    assert "#0 seed" in shown and "#20" in shown and "champion" in shown
    assert len(json.loads(evolve("log", "--out", runs, "--json").stdout)) == 21


def test_show_tells_hypothesis_outcome_and_diff(runs):
    shown = evolve("show", 16, "--out", runs).stdout
    assert "16 is better" in shown and "promoted" in shown and "+X = 16" in shown


def test_show_prints_json(runs):
    assert json.loads(evolve("show", 16, "--out", runs, "--json").stdout)["champion"] is True


def test_diff_compares_any_two_candidates(runs):
    shown = evolve("diff", 3, 2, "--out", runs).stdout
    assert "-X = 2" in shown and "+X = 3" in shown


def test_report_writes_one_file(runs, tmp_path):
    assert evolve("report", "toy", "--out", runs, "--output", tmp_path / "r.html").returncode == 0
    assert (tmp_path / "r.html").stat().st_size > 1000


def test_spaces_and_techniques_are_listed():
    spaces = {space["name"] for space in json.loads(evolve("spaces", "--json").stdout)}
    assert {"video_ranking", "next_item", "kernel:rms_norm"} <= spaces
    assert len(json.loads(evolve("techniques", "--space", "next_item", "--json").stdout)) >= 24


def test_a_candidate_that_is_not_there(runs):
    fails(evolve("show", 99, "--out", runs), "no candidate 99", "0 to 20")


def test_a_run_that_is_not_there(tmp_path):
    fails(evolve("status", "--out", tmp_path), "no run", "evolve start")
    for words in (("--resume",), ("--resume", "latest")):
        fails(evolve("start", *words, "--out", tmp_path), "no run", "evolve start")


def test_an_unknown_space(tmp_path):
    fails(evolve("start", "--space", "nonsense", "--out", tmp_path), "nonsense", "next_item")
    assert not list(tmp_path.iterdir())


def test_a_negative_budget(tmp_path):
    fails(evolve("start", "--budget", -5, "--out", tmp_path), "--budget is -5")


def test_an_unknown_sandbox(tmp_path):
    fails(evolve("start", "--sandbox", "nonsense", "--out", tmp_path), "nonsense", "docker")


def test_an_unknown_world(tmp_path):
    fails(evolve("start", "--world", "flat", "--out", tmp_path), "flat", "aligned")


def test_a_selection_policy_that_is_unknown_or_out_of_place(tmp_path):
    words = ("start", "--out", tmp_path, "--sandbox", "local")
    fails(evolve(*words, "--policy", "greedy"), "--policy is for kernels", "--space kernel:OP")
    fails(evolve(*words, "--space", "kernel:rms_norm", "--policy", "random"), "no selection policy `random`", "uct")
    assert not list(tmp_path.iterdir())


def test_a_missing_data_set_says_how_to_get_it(tmp_path):
    ended = evolve("start", "--space", "next_item", "--out", tmp_path / "runs", EVOLVE_CACHE=str(tmp_path / "cache"))
    fails(ended, "evolve data get ml-100k")


def test_a_place_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    fails(evolve("start", "--out", tmp_path / "file" / "runs"), "--out")


def test_a_half_written_last_record_is_left_out(runs, tmp_path):
    subprocess.run(["cp", "-r", str(runs / "toy"), str(tmp_path)], check=True)
    with (tmp_path / "toy" / "journal.jsonl").open("a") as journal:
        journal.write('{"n":99,"kind":"jud')
    assert json.loads(evolve("status", "--out", tmp_path, "--json").stdout)["judged"] == 20


def test_a_damaged_record_is_named(runs, tmp_path):
    subprocess.run(["cp", "-r", str(runs / "toy"), str(tmp_path)], check=True)
    journal = tmp_path / "toy" / "journal.jsonl"
    journal.write_text(journal.read_text().replace("3 is better", "3 is worse!", 1))
    fails(evolve("status", "--out", tmp_path), "record ", "damaged")


def test_a_journal_of_a_newer_schema(runs, tmp_path):
    subprocess.run(["cp", "-r", str(runs / "toy"), str(tmp_path)], check=True)
    journal = tmp_path / "toy" / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"schema":1', '"schema":9'))
    fails(evolve("status", "--out", tmp_path), "schema 9")


def test_without_git_one_line_says_what_to_install(tmp_path):
    fails(evolve("start", "--out", tmp_path, PATH="/nonexistent"), "git", "install")


def test_help_loads_nothing_heavy():
    code = "import sys, evolve.cli; print({'torch', 'litellm', 'optuna', 'docker', 'numpy'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout.strip() in {"set()", "{'numpy'}"}


@pytest.mark.slow
def test_ctrl_c_once_is_graceful_and_the_run_goes_on_with_resume(tmp_path):
    words = ["start", "--no-online", "--budget", "3", "--sandbox", "local", "--workers", "2", "--out", str(tmp_path)]
    command = [sys.executable, "-u", "-m", "evolve.cli", *words]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    journal = tmp_path / "video_ranking-0" / "journal.jsonl"
    deadline = time.monotonic() + 180
    while not (journal.exists() and '"kind":"proposed"' in journal.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=180)
    assert run.returncode == 130
    assert "stopping" in said
    ended = evolve("start", "--resume", "--budget", "3", "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(evolve("status", "--out", tmp_path, "--json").stdout)["judged"] == 3
