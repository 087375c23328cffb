"""An engine that dies, hangs or loses its image in the middle: our error, never the candidate's; the next try works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sandbox_cases import runner

from evolve.contracts import Fault, Job
from evolve.errors import SandboxError
from sandbox.choose import probe
from sandbox.docker import DockerSandbox
from sandbox.engine import Engine
from tests.sandbox.sandbox_parts import require_engine

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine of its own"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the SDK leaves a socket open where an engine dies
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class PrivateEngine:
    """A dockerd of this test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, f"unix://{folder}/docker.sock"
        self._log = (folder / "log").open("wb")
        self.start()

    def start(self) -> None:
        words = ["dockerd", "--host", self.url, "--bridge", "none", "--iptables=false"]
        for option, name in (("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")):
            words += [option, str(self.folder / name)]
        self.process = subprocess.Popen(words, stdout=self._log, stderr=self._log, start_new_session=True)
        deadline = time.monotonic() + 30
        while probe(self.url)["answers"] != "yes":
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """The engine and the containerd that it started; containers go with their shims."""
        for pid in (self.process.pid, *self._containerd()):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for stale in (self.folder / "pid", *self.folder.rglob("containerd.pid"), *self.folder.rglob("*.sock")):
            stale.unlink(missing_ok=True)

    def _containerd(self) -> list[int]:
        return [int(path.read_text()) for path in self.folder.rglob("containerd.pid")]

    def close(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)
        self.process.terminate()
        self.process.wait(20)
        self._log.close()


@pytest.fixture
def engine() -> Iterator[PrivateEngine]:
    """In a short folder, since a socket's path may have 107 letters."""
    require_engine()
    folder = Path(tempfile.mkdtemp(prefix="e."))
    try:
        with closing(PrivateEngine(folder)) as started:
            yield started
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def answers(box: DockerSandbox, job: Callable[..., Job]) -> bool:
    with box.open(job()) as session:
        return not isinstance(session.train(1, 20.0), Fault)


def test_an_engine_that_is_killed_is_not_the_candidate_s_fault(engine: PrivateEngine, job: Callable[..., Job]) -> None:
    """A SandboxError with what to do; with the engine back the same candidate is served."""
    with closing(DockerSandbox(url=engine.url, warm_torch=False)) as box:
        session = box.open(job(runner("time.sleep(60)")))
        engine.kill()
        with pytest.raises(SandboxError, match="doctor"):
            session.train(1, 20.0)
        with pytest.raises(SandboxError):
            box.open(job())
        engine.start()
        assert answers(box, job)


def test_an_engine_that_hangs_is_not_the_candidate_s_fault(
    engine: PrivateEngine, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its silence is not taken for the candidate's: the kill that fails says whose it is."""
    monkeypatch.setattr("sandbox.engine.CALL_TIMEOUT_S", 2.0)
    monkeypatch.setattr(Engine.client, "__defaults__", (2.0,))
    with closing(DockerSandbox(url=engine.url, warm_torch=False)) as box:
        session = box.open(job())
        os.kill(engine.process.pid, signal.SIGSTOP)
        with pytest.raises(SandboxError):
            session.train(1, 2.0)
        os.kill(engine.process.pid, signal.SIGCONT)
        assert answers(box, job)


def test_an_image_that_is_removed_comes_back(engine: PrivateEngine, job: Callable[..., Job]) -> None:
    """In the middle of a run."""
    with closing(DockerSandbox(url=engine.url, warm_torch=False)) as box:
        assert answers(box, job)
        with closing(Engine(engine.url).client()) as client:
            for image in client.images():
                client.remove_image(image["Id"], force=True)
        assert answers(box, job)


def test_a_full_disk_under_the_engine_is_not_the_candidate_s_fault(tmp_path: Path, job: Callable[..., Job]) -> None:
    """A container that can't be created is a SandboxError."""
    require_engine()
    small = Path(tempfile.mkdtemp(prefix="f."))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(small)], check=True)
    try:
        with closing(PrivateEngine(small)) as engine, closing(DockerSandbox(url=engine.url, warm_torch=False)) as box:
            assert answers(box, job)
            with (small / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
                while True:
                    filler.write(b"x" * 65536)
            with pytest.raises(SandboxError):
                for _ in range(20):
                    answers(box, job)
            (small / "filler").unlink()
            assert answers(box, job)
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
        small.rmdir()
