"""The outer loop as a product: a run's candidates in experiments, killed and resumed, promoted and reviewed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evaluations.experiments.surrogate import Forecast
from evolve.agent_wiring import open_reorder
from evolve.config import ModelConfig, OnlineConfig
from evolve.contracts import Action
from evolve.drill import drill
from evolve.errors import PlatformError, UsageError
from evolve.journal import Record, read
from evolve.lessons import lessons
from evolve.lineage import Lineage
from evolve.online_wiring import open_online
from evolve.outer_loop import challengers, worth_trying
from evolve.review.pulls import pulls
from evolve.run_folder import RunFolder
from evolve.wiring import read_archive
from tests.online.online_toys import production, searched, service

ROOT = Path(__file__).resolve().parents[2]
DAYS = 100
CONFIG = OnlineConfig(top=2, slots=1, days=DAYS, enrol=10, stages=((0, 1.0),), warm_up=3)


@pytest.fixture(scope="module")
def searching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return searched(tmp_path_factory.mktemp("search") / "toy")


def lived(folder: Path, address: str, config: OnlineConfig = CONFIG, **words) -> list[Record]:
    """The run's records after its experiments."""
    with open_online(RunFolder(folder), folder.parent, replace(config, platform=address), **words) as (outer, agent):
        outer.run(agent)
    return list(read(folder / "journal.jsonl"))


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


@pytest.fixture(scope="module")
def finished(searching: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose experiments are over."""
    folder = copied(searching, tmp_path_factory.mktemp("finished") / "toy")
    with service(production()) as address:
        lived(folder, address)
    return folder


def told(folder: Path, kind: str) -> list[dict]:
    return [dict(record.body) for record in read(folder / "journal.jsonl") if record.kind == kind]


def test_the_search_alone_ships_nothing_where_experiments_decide(searching):
    archive = read_archive(RunFolder(searching))
    assert archive.champion is not None and archive.champion.number == 16
    assert archive.by_experiment and archive.promoted == [] and pulls(archive) == []


def test_the_confirmed_candidates_wait_first_and_the_greatest_gain_first(searching):
    found = [number for number, _, _ in challengers(read_archive(RunFolder(searching)))]
    assert found[:2] == [16, 8] and set(found) == {4, 8, 12, 16}


def test_what_people_like_is_promoted_with_a_pull_request_and_serves_production(finished):
    archive = read_archive(RunFolder(finished))
    ends = {one.challenger: one.end.decision.action for one in archive.campaign.experiments if one.end}
    assert ends["16"] is Action.PROMOTE and archive.campaign.champion == "16"
    [pull] = pulls(archive)
    assert (pull.candidate, pull.look.against, pull.look.verdict.metric, pull.state) == (16, 0, "north_star", "open")
    lineage = Lineage(finished / "lineage.git")
    assert lineage.head("refs/heads/production") == archive.candidates[16].commit
    assert lineage.head("refs/heads/evolve/toy/1")


def test_what_is_reported_of_a_launch_is_shrunk(finished):
    [promoted] = [body for body in told(finished, "decided") if body["decision"]["action"] == "promote"]
    decision = promoted["decision"]
    assert 0 < decision["shrunk"] < decision["effect"] and decision["low"] > 0


def test_after_the_launch_the_champion_of_before_is_held_back(finished):
    kinds = [(body["kind"], body["challenger"], body["control"]) for body in told(finished, "launched")]
    assert ("holdback", "16", "0") in kinds


def test_a_finished_experiment_is_a_lesson(finished):
    [lesson] = [one for one in lessons(read_archive(RunFolder(finished))) if "16" in one.name.split()]
    assert lesson.persona == "optimizer" and "m (offline)" in lesson.proxies and lesson.north_star.value > 0


def test_experiments_cut_after_any_record_end_with_the_same_records(searching, finished, tmp_path):
    """The platform goes on living meanwhile, as a real one would; it is told everything again."""
    whole = (finished / "journal.jsonl").read_bytes().splitlines(keepends=True)
    begin = len((searching / "journal.jsonl").read_bytes().splitlines())
    hashes = [record.hash for record in read(finished / "journal.jsonl")]
    for cut in (*range(begin, begin + 9), (begin + len(whole)) // 2, len(whole) - 3):
        folder = copied(searching, tmp_path / f"cut {cut}" / "toy")
        (folder / "journal.jsonl").write_bytes(b"".join(whole[:cut]))
        with service(production()) as address:
            assert [record.hash for record in lived(folder, address)] == hashes


def test_killed_in_the_middle_of_an_experiment_it_goes_on_with_nothing_twice(searching, finished, tmp_path):
    folder = copied(searching, tmp_path / "toy")
    code = (
        "import sys; from tests.online.test_outer_loop import CONFIG, lived; from pathlib import Path; "
        "lived(Path(sys.argv[1]), sys.argv[2])"
    )
    with service(production()) as address:
        run = subprocess.Popen([sys.executable, "-c", code, str(folder), address], cwd=ROOT)
        deadline = time.monotonic() + 120
        while (folder / "journal.jsonl").read_text().count('"kind":"day_ended"') < 12:
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.05)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        assert run.returncode == -signal.SIGKILL
        found = lived(folder, address)
    assert [r.hash for r in found] == [r.hash for r in read(finished / "journal.jsonl")]
    entered = [(r["experiment"], r["arm"], r["entered"]) for body in told(folder, "reported")
               for r in body["reports"] if r["metric"] == "exposures"]  # fmt: skip
    assert len(entered) == len(set(entered))


def test_a_platform_that_does_not_answer_is_said_and_decides_nothing(searching, tmp_path):
    folder = copied(searching, tmp_path / "toy")
    with pytest.raises(PlatformError, match="did not answer"):
        lived(folder, "http://127.0.0.1:9")
    assert not told(folder, "decided")


def test_experiments_on_one_platform_do_not_go_on_on_another(finished):
    with pytest.raises(UsageError, match="http platform"):
        lived(finished, "")


def test_who_has_no_chance_of_a_gain_that_counts_is_not_tried_on_people():
    found = [(7, "a", 0.1), (3, "b", 0.2), (5, "c", 0.3)]
    forecasts = {
        "7": Forecast(mean=0.0, sd=0.004),
        "3": Forecast(mean=-0.02, sd=0.01),
        "5": Forecast(mean=0.0, sd=0.02),
    }
    assert [number for number, _, _ in worth_trying(found, forecasts, 0.01)] == [5]
    assert list(worth_trying(found, {}, 0.01)) == found


def test_a_model_s_word_decides_who_is_tried_first_and_its_reason_is_recorded(searching, tmp_path):
    folder, seen = copied(searching, tmp_path / "toy"), []

    def reorder(order):
        seen.append([(one.arm, one.idea, one.sd) for one in order])
        return [(one.arm, f"{one.reason}; toy: a hunch") for one in reversed(order)]

    with service(production()) as address:
        lived(folder, address, replace(CONFIG, days=5), reorder=reorder)
    assert seen[0] == [("16", "16 is better", 0.01), ("8", "8 is better", 0.01)]
    first = told(folder, "launched")[0]
    assert first["challenger"] == "8" and first["reason"].endswith("; toy: a hunch")


def test_a_model_that_is_not_at_hand_keeps_nobody_from_experiments(searching, tmp_path):
    folder, lines = RunFolder(copied(searching, tmp_path / "toy")), []
    with open_reorder(ModelConfig(model="local/gone.gguf"), folder, tmp_path, lines.append) as reorder:
        assert reorder is None and "no model file gone.gguf" in lines[0]
    with open_reorder(ModelConfig(), folder, tmp_path, lines.append) as reorder:
        assert reorder is None and len(lines) == 1


def test_an_a_a_experiment_on_demand_promotes_nobody(searching, tmp_path):
    folder = copied(searching, tmp_path / "toy")
    config = replace(CONFIG, top=1, slots=2, days=90)
    with service(production()) as address:
        config = replace(config, platform=address)
        opened = open_online(RunFolder(folder), tmp_path, config)
        with opened as (outer, agent):
            agent.enqueue_a_a()
            outer.run(agent)
    ends = {one.kind: one.end for one in read_archive(RunFolder(folder)).campaign.experiments}
    assert ends["a/a"] is None or ends["a/a"].decision.action is not Action.PROMOTE
    assert read_archive(RunFolder(folder)).campaign.champion in ("0", "16")


def test_a_rollback_is_drilled_and_restores_the_champion_on_the_next_day():
    found = drill()
    assert found.passed and "serves 1000 of 1000" in found.lines[0] and "serves 0 users" in found.lines[1]


def test_the_offline_agent_is_told_what_people_said(finished):
    archive = read_archive(RunFolder(finished))
    assert any("candidate 16 against 0: promote, active days +" in line for line in archive.history().experiments)


# --- commands ------------------------------------------------------------------------------------------


def evolve(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evolve.cli", *map(str, words)]
    kept = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=kept)


def test_experiments_are_shown_in_a_table_day_by_day_and_as_json(finished):
    table = evolve("experiments", "toy", "--out", finished.parent)
    assert table.returncode == 0, table.stderr
    assert "promote" in table.stdout and "#16 serves" in table.stdout and "error budget 5%" in table.stdout
    one = evolve("experiments", "toy", 1, "--out", finished.parent).stdout
    for words in ("#16 against #0", "log evidence", "early_active", "the north star is up"):
        assert words in one
    found = json.loads(evolve("experiments", "toy", "--json", "--out", finished.parent).stdout)
    assert found[0]["challenger"] == "16" and found[0]["looks"][-1]["action"] == "promote"
    assert evolve("experiments", "toy", 99, "--out", finished.parent).returncode == 2


def test_calibration_prints_the_relation_of_proxies_and_north_star(finished, tmp_path):
    page = tmp_path / "c.html"
    shown = evolve("calibration", "toy", "--html", page, "--out", finished.parent)
    assert shown.returncode == 0, shown.stderr
    assert "early_active" in shown.stdout and "optimizer" in shown.stdout and "plotly" in page.read_text()
    assert json.loads(evolve("calibration", "toy", "--json", "--out", finished.parent).stdout)["rows"]


def test_a_run_without_experiments_says_how_to_begin_them(searching):
    ended = evolve("experiments", "toy", "--out", searching.parent)
    assert ended.returncode == 2 and "evolve online toy" in ended.stderr


def test_the_pull_request_and_the_page_tell_the_experiment(finished, tmp_path):
    shown = evolve("pr", "show", 1, "--run", "toy", "--out", finished.parent)
    assert shown.returncode == 0, shown.stderr
    assert "promote" in shown.stdout and "believed to be worth" in shown.stdout
    page = tmp_path / "r.html"
    assert evolve("report", "toy", "--output", page, "--out", finished.parent).returncode == 0
    assert "Experiments" in page.read_text() and "#16 against #0" in page.read_text()


def test_the_champion_is_rolled_back_by_one_command(finished, tmp_path):
    folder = copied(finished, tmp_path / "toy")
    platform = production()
    with service(platform) as address:
        ended = evolve("online", "toy", "--platform", address, "--roll-back", "complaints", "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert read_archive(RunFolder(folder)).campaign.champion == "0" and platform.champion == "0"
