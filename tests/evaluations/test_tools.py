"""What a model may ask of the data: SELECTs in a process that is thrown away, formulas that are never run, phases."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from evaluations.store import Walk
from evaluations.tools.evaluate_reward import EvaluateReward, fits
from evaluations.tools.formula import evaluate
from evaluations.tools.profile import Profile
from evaluations.tools.query_data import QueryData, QueryLimits
from evaluations.video_ranking import CUT, VideoRanking
from evaluations.world import WorldConfig
from evolve.contracts import Candidate, Evidence, Fault, FaultKind, Measurement
from evolve.errors import UsageError
from search_spaces.space import load
from tests.agents.agent_toys import agent, answer, models, run, scripted

CANARY = "sk-canary-query-0123456789"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    task = VideoRanking(tmp_path_factory.mktemp("worlds"), WorldConfig(users=200, first_items=80))
    return task.training_folder(final=False)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    return run(place, agent(models(place, scripted([answer(n) for n in range(1, 9)]))), budget=6).archive.history()


@pytest.fixture(scope="module")
def query(folder, history):
    if os.environ.get("EVOLVE_CI") != "1":
        pytest.importorskip("duckdb", reason="needs DuckDB: pip install -e .[data]")
    tool = QueryData.of(folder, QueryLimits(seconds=3.0, rows=10))
    return lambda sql: tool.use(history, {"sql": sql})


# --- query_data --------------------------------------------------------------------------------


def test_the_training_split_can_be_counted(query, folder):
    clicks = np.load(folder / "click.npy")
    assert query("SELECT count(*) AS n, sum(click) AS clicks FROM training") == (
        f"n | clicks\n{len(clicks)} | {float(clicks.sum())}"
    )
    assert "user_clicks" in query("SELECT user_clicks FROM training LIMIT 1")


def test_no_day_of_a_held_out_window_is_in_reach(query):
    assert query("SELECT max(day) < -13 AS earlier FROM training") == "earlier\nTrue" and CUT == -13


def test_the_journal_can_be_joined(query, history):
    scored = [a for a in history.attempts if a.outcome.kind == "scored"]
    said = query(
        "WITH best AS (SELECT number, gain FROM journal WHERE outcome = 'scored' ORDER BY gain DESC) "
        "SELECT count(*) AS rows, count(gain) AS gains, count(m.value) AS metrics FROM best "
        "LEFT JOIN metrics m USING (number)"
    )
    assert said.startswith("rows | gains | metrics\n") and len(scored) > 0
    assert query("SELECT gain FROM journal WHERE outcome <> 'scored' LIMIT 1") == "gain\n"


def test_rows_and_cells_are_bounded(query):
    said = query("SELECT repeat('x', 5000) AS long FROM range(100)")
    assert said.endswith("only the first 10 rows are shown.") and len(said) < 10 * 130 + 100


HOSTILE = [
    "COPY training TO '/tmp/stolen.csv'",
    "COPY (SELECT 1) TO '/tmp/stolen.csv'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'training.npy'",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH t AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM t",
    "SELECT 1 UNION ALL SELECT count(*) FROM glob('/root/*')",
    "ATTACH '/tmp/x.db' AS x",
    "ATTACH 'https://example.org/x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "PRAGMA enable_external_access",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "CALL pragma_version()",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "CREATE TABLE t (x INTEGER)",
    "DROP TABLE training",
    "DELETE FROM journal",
    "UPDATE journal SET gain = 1",
    "INSERT INTO journal SELECT * FROM journal",
    "SELECT 1; COPY training TO '/tmp/stolen.csv'",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('training')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM given",
    "SELECT * FROM main.training",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT getenv('OPENAI_API_KEY')",
    "SELECT system('id')",
    "",
    "SELECT " + "1," * 3000 + "1",
    "\x00",
    "SELECT '" + "\ud800" + "'",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_a_query_that_wants_more_than_to_read_the_tables_gets_nothing(query, sql):
    said = query(sql)
    assert said.startswith(("Not answered: ", "Give `sql`")) and "root:" not in said
    assert not os.path.exists("/tmp/stolen.csv")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM training a, training b, training c",
        "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "SELECT length(repeat('x', 3000000000))",
        "SELECT list(range) FROM range(1000000000)",
        "SELECT string_agg(repeat('y', 1000), '') FROM range(100000000)",
    ],
)
def test_a_query_that_wants_too_much_is_ended(query, sql):
    start = time.monotonic()
    assert query(sql).startswith("Not answered: ")
    assert time.monotonic() - start < 45


def test_the_environment_is_not_there(query, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    said = query("SELECT current_setting('home_directory') AS home")
    assert CANARY not in said and os.environ.get("HOME", "/root") not in said.removeprefix("home")


def test_without_duckdb_the_tool_says_what_to_install(folder, history, monkeypatch):
    monkeypatch.setattr("evaluations.tools.query_data.find_spec", lambda name: None)
    assert "evolve-automl[data]" in QueryData.of(folder).use(history, {"sql": "SELECT 1"})


def test_a_log_that_is_kept_user_by_user_has_a_user_column(tmp_path, history):
    pytest.importorskip("duckdb", reason="needs DuckDB: pip install -e .[data]")
    for name, values in {"items": [5, 6, 7], "times": [1, 2, 3], "offsets": [0, 2, 3], "catalogue": [9, 2]}.items():
        np.save(tmp_path / f"{name}.npy", np.array(values))
    said = QueryData.of(tmp_path).use(history, {"sql": "SELECT user, items FROM training ORDER BY items"})
    assert said == "user | items\n0 | 5\n0 | 6\n1 | 7"
    assert not fits(tmp_path)


# --- evaluate_reward ---------------------------------------------------------------------------


def auc(text: str, outcome: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(f"- {outcome}")).split()[2].rstrip(","))


def test_a_target_that_says_more_ranks_later_outcomes_better(folder, history):
    tool = EvaluateReward(folder=folder)
    flat = tool.use(history, {"reward": "1"})
    clicks, held = (tool.use(history, {"reward": text}) for text in ("click", "long_watch"))
    assert auc(flat, "long_watch") == 0.5 and "+0.0000" in clicks
    assert auc(held, "long_watch") > auc(clicks, "long_watch") + 0.02
    weighted = tool.use(history, {"reward": "click", "weight": "0.1 + where(long_watch > 0, 1, 0)"})
    assert auc(weighted, "long_watch") > auc(clicks, "long_watch")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "click.__class__",
        "[c for c in click]",
        "(lambda: 1)()",
        "open('/etc/passwd')",
        "click if click else like",
        "'a' * 10**9",
        "9 ** 9 ** 9 ** 9",
        "exp(1e9 * click)",
        "1 / skip",
        "nothing",
        "min(click)",
        "min(click, key=like)",
        "True",
        "",
        "+".join(["click"] * 100),
        "-" * 400 + "click",
        "(" * 300 + "click",
    ],
)
def test_what_is_no_formula_is_refused_in_words(folder, history, text):
    said = EvaluateReward(folder=folder).use(history, {"reward": text})
    assert "AUC" not in said and said


def test_a_weight_below_zero_is_refused(folder, history):
    assert "zero or more" in EvaluateReward(folder=folder).use(history, {"reward": "click", "weight": "-click"})


def test_a_formula_is_what_it_says():
    columns = {"a": np.array([1.0, 4.0]), "b": np.array([0.0, 2.0])}
    assert evaluate("where(b > 1, sqrt(a), -a) + max(b, 1) ** 2", columns).tolist() == [0.0, 6.0]
    with pytest.raises(UsageError, match="no column `c`; there are a, b"):
        evaluate("c", columns)


# --- profile -----------------------------------------------------------------------------------


def measured(rung: str, compute_s: float, train_s: float) -> Measurement:
    return Measurement(
        rung=rung, seed=1, split="search", users=np.array([0]), metrics={}, observables={}, compute_s=compute_s,
        train_s=train_s,
    )  # fmt: skip


def walk(*found: Measurement, fault: Fault | None = None) -> Walk:
    seen = Evidence(sandbox="docker", exit_reason="closed", cpu_s=11.0, wall_s=12.0, peak_memory_bytes=512 << 20)
    compute_s = found[-1].compute_s if found else 0.0
    return Walk(measurements=found, fault=fault, fault_rung="", evidence=seen, compute_s=compute_s)


def test_a_profile_tells_phases_apart(history):
    space = load("video_ranking")
    examples = {rung.name: rung.examples for rung in space.rungs}
    walks = {1: walk(measured("smoke", 1.0, 0.9), measured("short", 4.0, 2.9)), 0: walk(measured("smoke", 0.5, 0.5))}

    def walk_of(candidate: Candidate) -> Walk | None:
        return walks.get(candidate.number)

    said = Profile(space=space, walk_of=walk_of).use(history, {"candidate": "#1"}).splitlines()
    each = 2.0 / (examples["short"] - examples["smoke"]) * 1e6
    assert said[1] == "- start (sandbox, imports, reading data, judging): 8.00 s"
    assert said[3] == (
        f"- short: training 2.00 s for {examples['short'] - examples['smoke']} examples ({each:.1f} µs each), "
        "prediction 1.00 s"
    )
    assert "12.00 s, 11.00 processor seconds, peak memory 512 MiB" in said[4] and said[5].startswith("The seed (#0)")


def test_a_profile_says_what_was_never_measured(history):
    space = load("video_ranking")
    broken = walk(fault=Fault(kind=FaultKind.RAISED, reason="it raised"))
    tool = Profile(space=space, walk_of=lambda candidate: broken if candidate.number else None)
    said = tool.use(history, {"candidate": "1"})
    assert "it broke before anything was measured: it raised" in said and "none kept" in said
    assert "no judged candidate `999`" in tool.use(history, {"candidate": "999"})
    assert "no judged candidate" in tool.use(replace(history, attempts=()), {"candidate": json.dumps("x")})
