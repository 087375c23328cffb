"""A run whose proposals come from a script that uses every tool, and the same run again from its recorded answers."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from evolve.journal import read
from tests.cli.test_cli import evolve

TOOLS = (
    {"tool": "query_data", "arguments": {"sql": "SELECT count(*) AS n, avg(click) AS c FROM training"}},
    {"tool": "evaluate_reward", "arguments": {"reward": "watch_share + like"}},
    {"tool": "profile", "arguments": {"candidate": "0"}},
)


def change(path: str, old: str, new: str) -> str:
    words = {"name": f"another {path}", "hypothesis": f"{new} is better", "mechanism": "it moves further"}
    return f"{json.dumps(words)}\n\n{path}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


ANSWERS = [
    *map(json.dumps, TOOLS),
    change("optimizer.py", "LEARNING_RATE = 0.01  # tunable: 0.0003 .. 0.3 log", "LEARNING_RATE = 0.03"),
    change("architecture.py", "hidden = torch.relu(self.first(inputs))", "hidden = torch.tanh(self.first(inputs))"),
]


@pytest.mark.matrix
def test_a_script_that_uses_every_tool_drives_a_run_and_its_replay_pays_nothing_and_commits_the_same(tmp_path):
    script, runs = tmp_path / "s.jsonl", tmp_path / "runs"
    script.write_text("\n".join(map(json.dumps, ANSWERS)))
    words = ("--space", "video_ranking", "--budget", 2, "--workers", 1, "--no-online", "--out", runs)
    ended = evolve("start", *words, "--model", f"scripted/{script}")
    if "has no walls" in ended.stderr and not os.environ.get("EVOLVE_CI"):
        pytest.skip("no sandbox of this machine may run what a model wrote")
    assert ended.returncode == 0, ended.stderr
    first = runs / "video_ranking-0"
    calls = [json.loads(line) for line in (first / "calls.jsonl").read_text().splitlines()]
    said = {body["tool"]: body["said"] for call in calls if "tool" in (body := call.get("body", call))}
    assert set(said) == {tool["tool"] for tool in TOOLS}
    assert "Not answered" not in said["query_data"] and "long_watch" in said["evaluate_reward"]
    assert "training" in said["profile"]

    again = evolve("start", *words, "--model", "replay/video_ranking-0")
    assert again.returncode == 0, again.stderr
    (second,) = (folder for folder in runs.iterdir() if folder != first)
    commits = [
        [record.body["commit"] for record in read(folder / "journal.jsonl") if record.kind == "proposed"]
        for folder in (first, second)
    ]
    assert len(commits[0]) == 2 and commits[0] == commits[1]


@pytest.mark.matrix
def test_a_script_drives_a_search_over_kernels_in_the_role_of_their_engineer(tmp_path):
    if shutil.which("g++", path="/usr/bin") is None and not os.environ.get("EVOLVE_CI"):
        pytest.skip("no /usr/bin/g++")
    script, runs = tmp_path / "s.jsonl", tmp_path / "runs"
    loop = "    for (int64_t at = {}; at < rows * columns; ++at)"
    answers = [
        change("kernel.toml", 'flags = ["-O2"]', 'flags = ["-O3", "-march=native"]'),
        change("kernel.cpp", loop.format(0), loop.format(1)),
    ]
    script.write_text("\n".join(map(json.dumps, answers)))
    words = ("--space", "kernel:gated_path", "--budget", 2, "--out", runs)
    ended = evolve("start", *words, "--model", f"scripted/{script}")
    if "has no walls" in ended.stderr and not os.environ.get("EVOLVE_CI"):
        pytest.skip("no sandbox of this machine may run what a model wrote")
    assert ended.returncode == 0, ended.stderr
    log = {one["number"]: one for one in json.loads(evolve("log", "--out", runs, "--json").stdout)}
    assert log[1]["outcome"]["kind"] == "scored" and log[2]["outcome"]["kind"] == "failed"
    assert "wrong result" in evolve("show", 2, "--out", runs).stdout
