"""What every sandbox promises: honest candidates are answered, broken and hostile ones become one clear Fault."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from sandbox_cases import BROKEN, FORGED, FORGERY, GREEDY, daemon, runner

from evolve.contracts import Fault, FaultKind, Job, Sandbox
from sandbox.choose import choose

MakeJob = Callable[..., Job]
WITHOUT_GROUP = ("local", "landlock")
USERS = {"users": np.array([2, 0])}
ROOT = Path(__file__).resolve().parents[2]


def processes_with(word: str) -> list[int]:
    """The live processes whose command line holds the word."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            corpse = entry.name.isdecimal() and "Z" in (entry / "stat").read_text().rpartition(")")[2][:3]
            if entry.name.isdecimal() and not corpse and word in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            continue
    return found


def wait_for(holds: Callable[[], bool]) -> None:
    """Waits at most ten seconds until it holds."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers_honestly(sandbox: Sandbox, job: MakeJob) -> bool:
    """Whether a fresh honest candidate is still served."""
    with sandbox.open(job()) as session:
        trained = session.train(5, 20.0)
        return not isinstance(trained, Fault) and not isinstance(session.predict(USERS, (2, 4), 20.0), Fault)


def test_an_honest_candidate_trains_and_answers(sandbox: Sandbox, job: MakeJob) -> None:
    """Observables are floats; the answer is what the candidate computed from the data folder."""
    with sandbox.open(job()) as session:
        assert session.train(10, 20.0) == {"steps": 10.0, "seed": 3.0}
        answer = session.predict(USERS, (2, 4), 20.0)
    assert isinstance(answer, np.ndarray)
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, np.arange(12.0).reshape(3, 4)[[2, 0]] * 10)


def test_training_goes_on_to_a_larger_total(sandbox: Sandbox, job: MakeJob) -> None:
    """One session serves several rungs."""
    with sandbox.open(job()) as session:
        assert session.train(10, 20.0) == {"steps": 10.0, "seed": 3.0}
        assert session.train(25, 20.0) == {"steps": 15.0, "seed": 3.0}


def test_evidence_is_seen_from_outside(sandbox: Sandbox, job: MakeJob) -> None:
    """CPU seconds include the candidate's children; closing twice gives the same evidence."""
    burn = "import subprocess\nsubprocess.run([sys.executable, '-S', '-c', 'for i in range(15_000_000): pass'])"
    source = runner(
        train=f"{burn}\nprint('progress')\nx = np.ones(80 << 17); x += 1; self.x = x; time.sleep(.5); return {{}}"
    )
    with sandbox.open(job(source)) as session:
        assert session.train(1, 20.0) == {}
        evidence = session.close()
        assert session.close() is evidence
    assert evidence.sandbox == sandbox.name
    assert evidence.exit_reason == "ended by the host"
    assert 0.15 < evidence.cpu_s < 10
    assert 80 << 20 < evidence.peak_memory_bytes < 400 << 20
    assert evidence.wall_s >= 0.5
    assert "progress" in evidence.stderr_tail
    assert evidence.versions["numpy"] == np.__version__


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_candidate_becomes_one_fault_and_the_next_is_unharmed(
    sandbox: Sandbox, job: MakeJob, name: str
) -> None:
    """The kind, a reason that a person understands, the same fault ever after, and no leftovers."""
    source, kind, reason = BROKEN[name]
    limit_s = 1.0 if kind is FaultKind.TIMED_OUT else 20.0
    with sandbox.open(job(source)) as session:
        fault = session.train(5, limit_s)
        if not isinstance(fault, Fault):
            fault = session.predict(USERS, (2, 4), limit_s)
        assert isinstance(fault, Fault)
        assert (fault.kind, reason in fault.reason) == (kind, True), fault
        assert session.train(6, 1.0) is fault
        assert session.predict(USERS, (2, 4), 1.0) is fault
    assert answers_honestly(sandbox, job)


@pytest.mark.parametrize("way", GREEDY)
def test_a_candidate_that_eats_memory_is_stopped(sandbox: Sandbox, job: MakeJob, way: str) -> None:
    """The limit holds for the whole tree, at once or piece by piece, and nothing is left where evolve was started."""
    before = set(os.listdir())
    with sandbox.open(job(runner(GREEDY[way]))) as session:
        fault = session.train(5, 20.0)
    assert set(os.listdir()) <= before
    assert isinstance(fault, Fault)
    assert (fault.kind, "out of memory" in fault.reason) == (FaultKind.OUT_OF_MEMORY, True), fault
    assert answers_honestly(sandbox, job)


def test_a_rung_holds_less_memory_than_the_session(sandbox: Sandbox, job: MakeJob) -> None:
    """Where a control group holds the limit: what a later rung allows is out of memory on an earlier one."""
    source = runner("rows = []\nfor _ in range(40): rows.append(np.ones(1 << 19)); time.sleep(.01)\nreturn {}")
    for allowed, suffices in ((300, True), (120, False)):
        with sandbox.open(job(source)) as session:
            session.limit_memory(100 << 20)
            session.limit_memory(allowed << 20)
            answer = session.train(5, 20.0)
        if suffices or sandbox.name in WITHOUT_GROUP:
            assert answer == {}
        else:
            assert isinstance(answer, Fault)
            assert (answer.kind, answer.reason) == (
                FaultKind.OUT_OF_MEMORY,
                "out of memory: more than 120 MiB in train",
            )


def test_a_rung_never_has_more_memory_than_its_session(sandbox: Sandbox, job: MakeJob) -> None:
    """What the job's limits say stays the most."""
    with sandbox.open(job(runner(GREEDY["one process"]))) as session:
        session.limit_memory(8 << 30)
        fault = session.train(5, 20.0)
    assert isinstance(fault, Fault)
    assert "out of memory" in fault.reason


def test_a_candidate_that_forks_without_end_is_stopped(sandbox: Sandbox, job: MakeJob) -> None:
    """Either forking is refused or the tree is killed; nothing is left of it."""
    bomb = "while True:\n    if os.fork() == 0:\n        sys.argv.append('bomb'); time.sleep(30)"
    with sandbox.open(job(runner(bomb))) as session:
        fault = session.train(5, 10.0)
    assert isinstance(fault, Fault)
    assert fault.kind in (FaultKind.EXITED, FaultKind.RAISED)
    assert answers_honestly(sandbox, job)


def test_cpu_seconds_are_limited(sandbox: Sandbox, job: MakeJob) -> None:
    """A candidate that burns its CPU seconds is timed out, however long the wall limit."""
    with sandbox.open(job(runner("while True: pass"), cpu_s=1)) as session:
        fault = session.train(5, 30.0)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.reason) == (FaultKind.TIMED_OUT, "used more than 1 CPU seconds in train")


@pytest.mark.parametrize("way", ["finishes", "exits", "hangs", "raises"])
def test_a_daemon_does_not_outlive_its_session(sandbox: Sandbox, job: MakeJob, way: str) -> None:
    """However the candidate ends, its daemons end with it."""
    mark = f"leftover-{os.getpid()}-{way}-{sandbox.name}"
    end = {"finishes": "return {}", "exits": "os._exit(0)", "hangs": "time.sleep(60)", "raises": "1 / 0"}[way]
    with sandbox.open(job(runner(daemon(mark) + end))) as session:
        session.train(5, 1.5)
        if way == "finishes":
            assert processes_with(mark)
    assert not processes_with(mark)


@pytest.mark.parametrize("way", FORGED)
def test_forged_frames_are_recognised(sandbox: Sandbox, job: MakeJob, way: str) -> None:
    """Frames written to every descriptor are never taken for answers that nobody asked for."""
    with sandbox.open(job(runner(FORGED[way], top=FORGERY))) as session:
        fault = session.train(5, 5.0)
        if not isinstance(fault, Fault):
            fault = session.predict(USERS, (2, 4), 5.0)
    assert isinstance(fault, Fault)
    assert fault.kind in (FaultKind.PROTOCOL, FaultKind.EXITED)
    assert answers_honestly(sandbox, job)


def test_a_perfectly_forged_answer_is_only_a_prediction(sandbox: Sandbox, job: MakeJob) -> None:
    """Score-like text on standard output goes nowhere; the answer that counts is the array."""
    source = runner(train="print('{\"score\": 1.0}')\nos.write(1, b'score 1.0')\nreturn {'score': 1.0}")
    with sandbox.open(job(source)) as session:
        assert session.train(5, 20.0) == {"score": 1.0}
        np.testing.assert_array_equal(session.predict(USERS, (2, 4), 20.0), np.zeros((2, 4)))


def test_the_environment_holds_no_key(sandbox: Sandbox, job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of the host's environment is neither inherited nor in the worker's command line."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-7261")
    look = "raise ValueError(repr(dict(os.environ)) + repr(sys.orig_argv))"
    with sandbox.open(job(runner(look))) as session:
        fault = session.train(5, 20.0)
    assert isinstance(fault, Fault)
    assert "PATH" in fault.detail
    assert "canary" not in fault.detail
    assert "API_KEY" not in fault.detail


def test_a_file_outside_the_tree_is_not_written(sandbox: Sandbox, job: MakeJob, data: Path) -> None:
    """A candidate's path may not leave its folder."""
    bad = Job(files={**job().files, "../../escaped.py": "x = 1"}, data=data, config={}, limits=job().limits)
    with sandbox.open(bad) as session:
        fault = session.train(5, 20.0)
    assert isinstance(fault, Fault)
    assert "outside the tree" in fault.reason


def test_many_sessions_at_once(sandbox: Sandbox, job: MakeJob) -> None:
    """Threads open, use and close sessions of one sandbox independently, hostile ones among them."""
    results: dict[int, object] = {}

    def work(number: int) -> None:
        source = job() if number % 2 else job(runner("os._exit(7)"))
        with sandbox.open(source) as session:
            results[number] = session.train(number, 20.0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: results[number] for number in (1, 3, 5)} == {n: {"steps": float(n), "seed": 3.0} for n in (1, 3, 5)}
    assert all("exited with code 7" in str(results[number]) for number in (0, 2, 4))


def test_two_runs_of_one_seed_hash_alike(sandbox: Sandbox, job: MakeJob) -> None:
    """String hashing is the same in every worker, so that sets have the same order in every run."""
    seen: list[object] = []
    for _ in range(2):
        with sandbox.open(job(runner("return {'hash': float(hash('gate') % 1000)}"))) as session:
            seen.append(session.train(1, 20.0))
    assert seen[0] == seen[1]


def test_nothing_descends_from_a_killed_orchestrator(sandbox: Sandbox, data: Path) -> None:
    """kill -9 of the orchestrator while a candidate works: local ends at once, docker is swept at the next start."""
    mark = f"orphan-{os.getpid()}-{sandbox.name}"
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("orchestrator.py")), sandbox.name, str(data), mark],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"open\n"
        deadline = time.monotonic() + 20
        while not processes_with(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert processes_with(mark)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    choose(sandbox.name, warm_torch=False).close()  # the next start sweeps
    deadline = time.monotonic() + 5
    while processes_with(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [pid for pid in processes_with(mark) if pid != process.pid]
    assert not left
    assert not psutil.wait_procs(family, timeout=5)[1]
