"""Cargo: the process in which one candidate runs. Knows no label, no metric and no limit.

Started as `python -s -P -B -u worker.py OPTIONS` (OPTIONS is JSON: `warm_torch`, `lock`). It moves the
request and answer streams to private descriptors, warms up, locks itself in, says that it is ready, and
only then reads the candidate's files. A candidate shares this process, so whatever is written here may be
forged: the host believes nothing but the arrays' own bytes.
"""

from __future__ import annotations

import base64
import fcntl
import functools
import importlib
import json
import os
import platform
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST_REQUEST = 1 << 30
ERROR_TAIL = 8000
MFD_EXEC = 0x10


class Streams:
    """Frames over two descriptors that only this object knows by number."""

    def __init__(self, frames: Any) -> None:
        self._frames = frames
        self._requests = os.dup(0)
        self._answers = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        os.close(nothing)

    def read(self) -> tuple[bytes, int, bytearray]:
        """The next request: tag, ticket and payload. The end of the stream ends the process."""
        tag, length, ticket = self._frames.HEADER.unpack(self._read_exactly(self._frames.HEADER.size))
        if length > LONGEST_REQUEST:
            raise RuntimeError(f"request of {length} bytes")
        return tag, ticket, self._read_exactly(length)

    def write(self, tag: bytes, ticket: int, parts: list[bytes | memoryview]) -> None:
        """Sends one frame whole."""
        header = self._frames.pack_header(tag, self._frames.size_of(parts), ticket)
        for part in (header, *parts):
            rest = memoryview(part)
            while rest:
                rest = rest[os.write(self._answers, rest) :]

    def _read_exactly(self, size: int) -> bytearray:
        taken = bytearray(size)
        rest = memoryview(taken)
        while rest:
            count = os.readv(self._requests, [rest])
            if count == 0:
                os._exit(0)  # the host is gone, nothing is left to do
            rest = rest[count:]
        return taken


def import_beside(name: str) -> Any:
    """A module that lies beside this file; no trace of it stays on the candidate's import path."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    module = importlib.import_module(name)
    sys.path.pop(0)
    del sys.modules[name]
    return module


def spare_the_compiler(torch: Any) -> None:
    """Keeps optimizers from importing torch's compiler, which takes longer than torch itself (.9 CPU seconds), only to
    tell it what is not to be compiled. The same numbers come out; a candidate that asks for the compiler gets it."""

    def eager(step: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(step)
        def plain(self: Any, *args: Any, **kwargs: Any) -> Any:
            with torch.set_grad_enabled(self.defaults["differentiable"]):
                return step(self, *args, **kwargs)

        return plain

    for method in vars(torch.optim.Optimizer).values():
        own = getattr(method, "__wrapped__", None)
        if own is not None:
            own.__dynamo_disable = own  # where torch keeps "already disabled"
    for optimizer in [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]:
        step = vars(optimizer).get("step")
        if getattr(getattr(step, "__code__", None), "co_name", "") == "_use_grad":
            optimizer.step = eager(step.__wrapped__)


def warm_up(with_torch: bool) -> dict[str, str]:
    """Imports what every candidate needs, and builds one optimizer."""
    import numpy

    versions = {"python": platform.python_version(), "numpy": str(numpy.__version__)}
    if with_torch:
        import torch

        torch.set_num_threads(1)
        spare_the_compiler(torch)
        torch.optim.Adagrad(torch.nn.Linear(1, 1).parameters(), lr=0.1)
        versions["torch"] = str(torch.__version__)
    return versions


def lock(how: dict[str, Any], lockdown: Any) -> str:
    """Takes the rights away that `how` names (`user`, `landlock`, `seccomp`); returns what holds now, in words."""
    held: list[str] = []
    if how.get("user") is not None:
        lockdown.become(how["user"])
    if how.get("capabilities") == "none":
        lockdown.drop_capabilities()
    if how.get("landlock"):
        lockdown.install_landlock(**how["landlock"])
        held.append(f"landlock {lockdown.landlock_abi()}")
    if how.get("seccomp"):
        program = lockdown.install_seccomp_filter(alone=how["seccomp"] == "alone")
        held.append(f"seccomp {how['seccomp']} {program}")
    return ", ".join(held)


def sealer(how: dict[str, Any], lockdown: Any) -> Callable[[], object]:
    """What ends the worker's own rights once the job was read; nothing where no seccomp filter stands."""
    return lockdown.forbid_files_in_memory if how.get("seccomp") else lambda: None


def stage(files: dict[str, str]) -> Path:
    """Writes the candidate and its harness into one folder, which becomes the first place to import from."""
    folder = Path("job").resolve()
    for name, text in files.items():
        path = (folder / name).resolve()
        if folder not in path.parents:
            raise ValueError(f"file outside the tree: {name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.path.insert(0, str(folder))
    return folder


def hold(name: str, content: bytes) -> str:
    """A path from which a shared object can be loaded: a sealed file in memory, since the scratch is noexec."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        memory = os.memfd_create(name, flags | MFD_EXEC)
    except OSError:  # a kernel before 6.3, which asks for no such flag
        memory = os.memfd_create(name, flags)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(memory, rest) :]
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return f"/proc/self/fd/{memory}"


def begin(job: dict[str, Any]) -> Any:
    """Stages the job and starts its harness: candidate code runs from here on."""
    stage(job["files"])
    import harness  # pyright: ignore[reportMissingImports]

    return harness.start(data=Path(job["data"]), config=job["config"])


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as an error frame's content."""
    lines = traceback.format_exception_only(type(error), error)[-1].strip().splitlines() or [type(error).__name__]
    tail = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-ERROR_TAIL:]
    exhausted = isinstance(error, MemoryError) or "can't allocate memory" in tail
    return {"reason": lines[0][:400], "detail": tail, "memory": exhausted}


def train(runner: Any, frames: Any, payload: bytearray) -> list[bytes | memoryview]:
    """Trains on; answers with the observables that the candidate claims."""
    claims = runner.train(int(json.loads(payload)["examples"])) or {}
    return [json.dumps({str(name): float(value) for name, value in claims.items()}).encode()]


def predict(runner: Any, frames: Any, payload: bytearray) -> list[bytes | memoryview]:
    """Answers queries with one raw array."""
    import numpy

    answer = numpy.asarray(runner.predict(frames.unpack_arrays(payload)))
    return frames.pack_arrays({"answer": answer})


def build(runner: Any, frames: Any, payload: bytearray) -> list[bytes | memoryview]:
    """Answers with what a compiling harness has built."""
    return [bytes(runner.build())]


def converse(streams: Streams, frames: Any, seal: Callable[[], object]) -> None:
    """Reads the job, then answers requests until one fails or the stream ends.

    `seal` takes away what only the trusted code before the candidate's may do: making files in memory.
    """
    _, _, payload = streams.read()
    job = json.loads(payload)
    if job["binaries"]:
        job["config"]["binaries"] = {
            name: hold(name, base64.b64decode(content)) for name, content in job["binaries"].items()
        }
    seal()
    answers: dict[bytes, tuple[bytes, Callable[..., Any]]] = {
        frames.TRAIN: (frames.TRAINED, train),
        frames.QUERY: (frames.ANSWER, predict),
        frames.BUILD: (frames.BUILT, build),
    }
    runner: Any = None
    while True:
        tag, ticket, payload = streams.read()
        answer_tag, respond = answers[tag]
        try:
            if runner is None:
                runner = begin(job)
            parts = respond(runner, frames, payload)
        except BaseException as error:  # the one boundary: whatever a candidate raises is its own fault
            streams.write(frames.ERROR, ticket, [json.dumps(describe(error)).encode()])
            return
        streams.write(answer_tag, ticket, parts)


def main() -> None:
    """Warms up, locks the door, says ready, converses."""
    options = json.loads(sys.argv[1])
    frames, lockdown = import_beside("frames"), import_beside("lockdown")
    streams = Streams(frames)
    versions = warm_up(options["warm_torch"])
    versions["lock"] = lock(options["lock"], lockdown)
    streams.write(frames.READY, 0, [frames.pack_json(versions)])
    converse(streams, frames, sealer(options["lock"], lockdown))


if __name__ == "__main__":
    main()
