"""Who may ask and who may change anything: this machine, with the token, from our own pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolve.journal import read
from tests.toys import toy_loop
from tests.web.conftest import serve

APPROVE = "what=approve&text="


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory):
    runs = tmp_path_factory.mktemp("runs")
    loop = toy_loop(runs / "toy")
    loop.run()
    loop._journal.close()
    yield from serve(runs)


def kinds(runs: Path) -> list[str]:
    return [record.kind for record in read(runs / "toy" / "journal.jsonl")]


def test_it_listens_on_the_loopback_alone(served):
    port = int(served.host.split(":")[1])
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    bound = {line.split()[1] for line in lines if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"}
    assert bound == {f"0100007F:{port:04X}"}


def test_the_token_is_changed_into_a_strict_cookie_at_once(served):
    path = served.address.removeprefix(served.origin)
    answer = served.ask("GET", path + "&x=1")
    told = answer.getheader("Set-Cookie")
    assert answer.status == 303 and answer.getheader("Location") == "/?x=1"
    assert "HttpOnly" in told and "samesite=strict" in told.lower() and path.split("=")[1] not in told


@pytest.mark.parametrize("path", ["/", "/runs/toy", "/runs/toy/lineage.json", "/static/style.css", "/runs/toy/events"])
def test_nothing_is_shown_without_the_token(served, path):
    assert served.ask("GET", path).status == 403
    assert served.ask("GET", f"{path}?token=wrong").status == 403
    assert served.ask("GET", path, Cookie=f"{served.cookie}x").status == 403


def test_every_answer_has_a_strict_policy(served):
    for path, cookie in (("/", served.cookie), ("/", ""), ("/runs/none", served.cookie)):
        answer = served.ask("GET", path, Cookie=cookie)
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Server") is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "OURS", "Cookie": "evolve=guess"},
        {"Origin": "OURS", "Host": "evil.example"},
    ],
)
def test_a_change_from_elsewhere_or_without_the_cookie_changes_nothing(served, headers):
    before = kinds(served.runs)
    sent = {"Cookie": served.cookie, **{k: v.replace("OURS", served.origin) for k, v in headers.items()}}
    assert served.ask("POST", "/runs/toy/pulls/1", APPROVE, **sent).status == 403
    token = served.address.partition("token=")[2]
    assert served.ask("POST", f"/runs/toy/pulls/1?token={token}", APPROVE, Origin=served.origin).status == 403
    assert kinds(served.runs) == before


def test_looking_changes_nothing(served):
    before = kinds(served.runs)
    assert served.ask("GET", "/runs/toy/pulls/1?what=approve", Cookie=served.cookie).status == 200
    assert served.ask("PUT", "/runs/toy/pulls/1", APPROVE, Cookie=served.cookie, Origin=served.origin).status == 405
    assert kinds(served.runs) == before


def test_a_name_that_is_rebound_to_this_machine_is_refused(served):
    assert served.ask("GET", "/", Cookie=served.cookie, Host="evil.example").status == 403


def test_a_form_without_end_is_refused(served):
    sent = {"Cookie": served.cookie, "Origin": served.origin}
    assert served.ask("POST", "/runs/toy/pulls/1", "text=" + "x" * 100_000, **sent).status == 403


@pytest.mark.parametrize(
    "path",
    ["/runs/..%2F..%2Fetc", "/runs/%2e%2e/x", "/static/..%2Fapp.py", "/runs/toy/candidates/99", "/runs/toy/pulls/0",
     "/runs/toy/candidates/-1", "/runs/toy/candidates/%D9%A3", "/runs/none", "/nothing"],
)  # fmt: skip
def test_what_is_not_there_is_said_plainly(served, path):
    answer = served.ask("GET", path, Cookie=served.cookie)
    assert answer.status == 404 and "Traceback" not in answer.text and "Not found" in answer.text


def test_a_port_that_is_taken_is_said(served):
    from tests.cli.test_cli import evolve

    ended = evolve("ui", "--port", served.host.split(":")[1], "--out", served.runs)
    assert ended.returncode == 2 and "can't be had" in ended.stderr and "--port" in ended.stderr
