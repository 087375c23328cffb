"""Pull requests on another git server: pushed to a real one, which also rejects, hangs and drops the connection."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from evolve.errors import RunError, UsageError
from evolve.review import forge
from evolve.review.forge import Offer, open_on_github, push
from tests.cli.test_cli import evolve
from tests.review.git_server import BACKEND, GitServer
from tests.toys import toy_loop


@pytest.fixture
def server(tmp_path):
    if not BACKEND.exists():
        assert not os.environ.get("EVOLVE_CI"), f"CI must have {BACKEND}"
        pytest.skip(f"{BACKEND} is not installed (Debian: git)")
    found = GitServer(tmp_path)
    yield found
    found.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    loop = toy_loop(tmp_path / "toy")
    loop.run()
    loop._journal.close()
    return tmp_path / "toy"


def pushed(folder: Path, url: str, *words: str):
    return evolve("pr", "push", 1, "--remote", url, "--run", folder, *words)


def test_a_branch_is_pushed_and_its_text_is_written(server, folder):
    ended = pushed(folder, server.url)
    assert ended.returncode == 0, ended.stderr
    assert server.branches() == ["evolve/toy/1"]
    assert "## How to roll back" in (folder / "pulls/1.md").read_text()
    assert pushed(folder, server.url).returncode == 0
    told = subprocess.run(
        ["git", "-C", str(server.repository), "show", "evolve/toy/1:model.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "X = 8\n"


def test_a_server_that_rejects_is_one_clear_line_and_the_command_works_again(server, folder):
    server.refuse("branches here begin with feature")
    ended = pushed(folder, server.url)
    assert ended.returncode == 2 and "branches here begin with feature" in ended.stderr
    assert "Traceback" not in ended.stderr and not server.branches()
    server.allow()
    assert pushed(folder, server.url).returncode == 0 and server.branches() == ["evolve/toy/1"]


@pytest.mark.parametrize("trouble", ["drop", "late drop", "unauthorised", "hang"])
def test_a_server_in_trouble_is_left_in_time_and_the_command_works_again(server, folder, trouble):
    server.trouble, began = trouble, time.monotonic()
    ended = pushed(folder, server.url, "--limit", "4s")
    assert ended.returncode == 2 and "error: " in ended.stderr and "Traceback" not in ended.stderr
    assert time.monotonic() - began < 60
    if trouble == "hang":
        assert "did not answer within 4 s" in ended.stderr
    server.trouble = ""
    server.let_go.set()
    assert pushed(folder, server.url).returncode == 0 and server.branches() == ["evolve/toy/1"]


def test_a_run_that_has_another_name_now_pushes_the_branch_that_it_has(server, folder):
    assert evolve("pr", "list", "--run", folder).returncode == 0
    renamed = folder.rename(folder.with_name("other"))
    ended = pushed(renamed, server.url)
    assert ended.returncode == 0, ended.stderr
    assert server.branches() == ["evolve/toy/1"]


def offer(folder: Path, **changes: str) -> Offer:
    words = {"branch": "evolve/toy/1", "base": "main", "title": "better", "body": "why"} | changes
    return Offer(repository=folder / "lineage.git", **words)


def test_another_branch_of_that_name_is_replaced_only_when_asked(server, folder):
    evolve("pr", "list", "--run", folder)
    push(offer(folder), server.url)
    git = ["git", "--git-dir", str(folder / "lineage.git")]
    subprocess.run([*git, "update-ref", "refs/heads/evolve/toy/1", "main"], check=True)
    with pytest.raises(RunError, match="--force"):
        push(offer(folder), server.url)
    push(offer(folder), server.url, force=True)


def test_an_address_shows_no_credentials(folder):
    evolve("pr", "list", "--run", folder)
    with pytest.raises(RunError) as caught:
        push(offer(folder), "http://me:secret-token@127.0.0.1:1/x.git")
    assert "secret-token" not in str(caught.value) and "127.0.0.1" in str(caught.value)
    with pytest.raises(UsageError):
        push(offer(folder), "--upload-pack=touch /tmp/x")


class Hub:
    """What PyGithub asks of GitHub's interface, on this machine."""

    def __init__(self) -> None:
        self.pulls: list[dict] = []
        self.secrets: set[str] = set()
        self.broken = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                self._tell(hub.repository() if self.path.split("?")[0].count("/") == 3 else hub.pulls)

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if hub.broken:
                    self._tell({"message": "Validation Failed"}, 422)
                    return
                hub.pulls.append({**asked, "number": 7, "html_url": "https://github.com/owner/there/pull/7"})
                self._tell(hub.pulls[-1], 201)

            def _tell(self, value: object, code: int = 200) -> None:
                hub.secrets.add(self.headers["Authorization"])
                content = json.dumps(value).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def repository(self) -> dict:
        return {"full_name": "owner/there", "name": "there", "url": f"{self.url}/repos/owner/there"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def hub(monkeypatch):
    pytest.importorskip("github")
    found = Hub()
    monkeypatch.setenv("GITHUB_API_URL", found.url)
    monkeypatch.setenv("GITHUB_TOKEN", "s3cret")
    monkeypatch.delenv("GH_TOKEN", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "gh" else f"/usr/bin/{name}")
    yield found
    found.close()


def test_on_github_the_library_opens_it_once(hub, tmp_path):
    remote = "https://github.com/owner/there.git"
    for _ in range(2):
        assert open_on_github(offer(tmp_path), remote) == "https://github.com/owner/there/pull/7"
    assert [(p["head"], p["base"], p["title"], p["body"]) for p in hub.pulls] == [
        ("evolve/toy/1", "main", "better", "why")
    ]
    assert hub.secrets == {"token s3cret"} or hub.secrets == {"Bearer s3cret"}


def test_what_github_refuses_is_said(hub, tmp_path):
    hub.broken = True
    with pytest.raises(RunError, match="Validation Failed"):
        open_on_github(offer(tmp_path), "git@github.com:owner/there.git")


def test_the_official_command_is_taken_where_it_is_there(tmp_path, monkeypatch):
    """A script in the place of `gh`: it records how it was called."""
    script = tmp_path / "bin/gh"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$GH_TOKEN" "$@" > {tmp_path}/asked\ncat >> {tmp_path}/asked\n'
        "echo https://github.com/owner/there/pull/3\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("GH_TOKEN", "s3cret")
    assert open_on_github(offer(tmp_path), "git@github.com:owner/there.git").endswith("/pull/3")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:3] == ["s3cret", "pr", "create"] and "owner/there" in asked and asked[-1] == "why"


def test_without_a_token_nothing_is_pushed(server, folder, monkeypatch):
    for name in forge.TOKENS:
        monkeypatch.delenv(name, raising=False)
    ended = pushed(folder, server.url, "--forge", "github")
    assert ended.returncode == 2 and "GITHUB_TOKEN" in ended.stderr and not server.branches()
