"""Workers started ahead: used once, replaced where they died, none left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sandbox_cases import runner

from evolve.contracts import Job, Sandbox
from evolve.errors import UsageError
from sandbox import owner
from sandbox.ahead import IDLE_WORKER_BYTES
from sandbox.choose import choose, started_ahead
from sandbox.local import LocalSandbox
from tests.sandbox.sandbox_parts import PODMAN, SANDBOXES, build

ENGINES = ("docker",)
ONCE = "assert not os.path.exists('seen')\nopen('seen', 'w').close()\nreturn {}"


@pytest.fixture(scope="session", params=[name for name in SANDBOXES if name not in (PODMAN, "fork")])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Those that start workers ahead, each by code of its own: Podman's is Docker's, and a fork needs none."""
    chosen = build(request.param)
    yield chosen
    chosen.close()


def guards() -> list[int]:
    """The guards whose parent is this process, whichever thread started them."""
    children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    return [int(pid) for pid in children if "guard.py" in Path(f"/proc/{pid}/cmdline").read_text()]


def containers() -> list[str]:
    """The containers that this process owns."""
    from sandbox.engine import OWNER_LABEL, Engine

    with closing(Engine().client()) as client:
        mine = {"label": f"{OWNER_LABEL}={owner.this_process()}"}
        return [str(found["Id"]) for found in client.containers(all=True, filters=mine)]


def alive(sandbox: Sandbox) -> int:
    """How many workers this process has."""
    return len(containers() if sandbox.name in ENGINES else guards())


def kill_all(sandbox: Sandbox) -> None:
    """Kills the workers of this process from outside."""
    if sandbox.name not in ENGINES:
        for pid in guards():
            os.kill(pid, signal.SIGKILL)
        return
    from sandbox.engine import Engine

    with closing(Engine().client()) as client:
        for container in containers():
            client.kill(container)


def wait_for(holds: Callable[[], bool]) -> None:
    """Waits at most twenty seconds until it holds."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_workers_started_ahead_are_used_once_and_ended(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """Each candidate finds a fresh folder, also after a worker died while it waited or the limits changed."""
    with closing(type(sandbox)(warm_torch=False, ahead=1)) as ahead:
        for _ in range(3):
            with ahead.open(job(runner(ONCE))) as session:
                assert session.train(1, 20.0) == {}
        wait_for(lambda: alive(sandbox) == 1)
        time.sleep(0.5)
        kill_all(sandbox)
        time.sleep(0.5)
        with ahead.open(job(runner(ONCE))) as session:
            assert session.train(1, 20.0) == {}
        with ahead.open(job(runner(ONCE), cpu_s=7)) as session:
            assert session.train(1, 20.0) == {}
    wait_for(lambda: alive(sandbox) == 0)


def test_no_more_workers_wait_than_were_allowed(job: Callable[..., Job]) -> None:
    """However many sessions are opened at once."""
    with closing(LocalSandbox(warm_torch=False, ahead=2)) as box, ExitStack() as opened:
        most = 0
        for count in range(1, 5):
            session = opened.enter_context(box.open(job(runner())))
            assert session.train(1, 20.0) == {}
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                most = max(most, len(guards()) - count)
                time.sleep(0.02)
        assert most == 2
    wait_for(lambda: not guards())


def test_the_pool_is_no_larger_than_the_run() -> None:
    """At most one for each worker, and only where cores are idle."""
    cores = len(os.sched_getaffinity(0))
    assert [started_ahead(workers) for workers in (1, cores, cores + 3)] == [min(1, cores - 1), 0, 0]
    with pytest.raises(UsageError, match="at most 2 started ahead"):
        choose("local", workers=2, ahead=3)


@pytest.mark.slow
def test_an_idle_worker_holds_no_more_memory_than_is_said(job: Callable[..., Job]) -> None:
    """Torch and one optimizer, by the kernel's proportional count."""
    with closing(LocalSandbox()) as box, box.open(job()):
        (guard,) = guards()
        (worker,) = Path(f"/proc/{guard}/task/{guard}/children").read_text().split()
        rows = Path(f"/proc/{worker}/smaps_rollup").read_text().splitlines()
        size = next(int(row.split()[1]) << 10 for row in rows if row.startswith("Pss:"))
    assert IDLE_WORKER_BYTES / 2 < size < IDLE_WORKER_BYTES


def test_the_next_worker_waits_ready(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """A worker that had time to start takes its job at once."""
    with closing(type(sandbox)(warm_torch=False, ahead=1)) as ahead:
        with ahead.open(job(runner())) as session:
            assert session.train(1, 20.0) == {}
            wait_for(lambda: alive(sandbox) == 2)
            time.sleep(1.5)
        began = time.process_time()
        with ahead.open(job(runner())) as session:
            assert session.train(1, 20.0) == {}
        assert time.process_time() - began < 1.0


def test_closing_does_not_wait_for_a_worker_on_its_way(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """A start that nobody needs any more is given up."""
    ahead = type(sandbox)(warm_torch=True, ahead=1)
    with ahead.open(job(runner())) as session:
        assert session.train(1, 20.0) == {}
    began = time.monotonic()
    ahead.close()
    assert time.monotonic() - began < 5
    assert alive(sandbox) == 0
