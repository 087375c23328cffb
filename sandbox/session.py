"""The conversation with one worker: requests go out, checked answers or a Fault come back.

Shared by every sandbox. Knows frames and deadlines; does not know how the worker was started or how
its tree is killed (a `Cell` does). A candidate's fault is a value here; only what happens before a
byte of candidate code was read is an exception.
"""

from __future__ import annotations

import base64
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from evolve.contracts import Evidence, Fault, FaultKind, Job, Limits
from evolve.errors import SandboxError
from sandbox import frames
from sandbox.answers import limits_in_words, observables, predictions, raised
from sandbox.cell import Cell
from sandbox.frames import FrameError
from sandbox.streams import NOISE_ALLOWED, printable

LONGEST_OBSERVABLES = 16 << 10
LONGEST_ERROR = 64 << 10
LONGEST_READY = 4 << 10

LONGEST_JOB = 64 << 20
GRACE_S = 2.0
_LOOK_EVERY_S = 0.25

Answer = TypeVar("Answer")


class _TooLate(Exception):
    """The deadline passed."""


class _Gone(Exception):
    """The answer stream ended."""


class WorkerSession:
    """One candidate in one worker. See `evolve.contracts.Session`; also its own context manager."""

    def __init__(
        self,
        cell: Cell,
        *,
        sandbox: str,
        limits: Limits,
        versions: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cell = cell
        self._sandbox = sandbox
        self._limits = limits
        self._memory_bytes = limits.memory_bytes
        self._clock = clock
        self._began = clock()
        self._unwanted = False
        self._fault: Fault | None = None
        self._canaries: tuple[bytes, ...] = ()
        self._evidence: Evidence | None = None
        self.versions: Mapping[str, str] = versions or {}

    def __enter__(self) -> WorkerSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_until_ready(self) -> None:
        """Waits for the worker's first frame. Raises SandboxError (no candidate code has run yet)."""
        try:
            payload = self._receive(0, {frames.READY: LONGEST_READY}, self._clock() + self._limits.start_s)
            told = {str(name): str(value) for name, value in frames.unpack_json(payload[1]).items()}
            self.versions = {**told, **self.versions}
        except (_TooLate, _Gone, FrameError) as error:
            raise self._broken(f"expected a worker ready within {self._limits.start_s:g} s", error) from error

    def is_waiting(self) -> bool:
        """Whether the worker still waits for its job, having said nothing since it was ready."""
        self._cell.streams.pump(0.0)
        return not self._cell.streams.ended and not self._cell.streams.answers

    def hurry(self) -> None:
        """See `Cell.hurry`."""
        self._cell.hurry()

    def give_up(self) -> None:
        """Makes a `wait_until_ready` of another thread raise SandboxError within a quarter of a second."""
        self._unwanted = True

    def give(self, job: Job, data: str) -> None:
        """Sends the candidate's and the harness's files; `data` is the data folder as the worker sees it.

        The evidence's wall time counts from here.
        """
        self._began, self._canaries = self._clock(), job.canaries
        binaries = {name: base64.b64encode(content).decode() for name, content in job.binaries.items()}
        parts = {"files": dict(job.files), "config": dict(job.config), "data": data, "binaries": binaries}
        payload = frames.pack_json(parts)
        if len(payload) > LONGEST_JOB:
            raise SandboxError(f"expected a job of at most {LONGEST_JOB} bytes, found {len(payload)}")
        try:
            self._send(frames.JOB, 0, [payload], self._clock() + self._limits.start_s)
        except (_TooLate, _Gone) as error:
            raise self._broken("expected the worker to take its job", error) from error

    def limit_memory(self, memory_bytes: int) -> None:
        """See `Session.limit_memory`."""
        wanted = min(memory_bytes, self._limits.memory_bytes)
        if wanted != self._memory_bytes and self._evidence is None:
            self._cell.limit_memory(wanted)
            self._memory_bytes = wanted

    def train(self, examples: int, limit_s: float) -> Mapping[str, float] | Fault:
        """See `Session.train`."""
        request = frames.pack_json({"examples": examples})
        answer = self._ask(frames.TRAIN, [request], frames.TRAINED, LONGEST_OBSERVABLES, limit_s, "train")
        return answer if isinstance(answer, Fault) else self._checked(lambda: observables(answer))

    def predict(
        self, queries: Mapping[str, NDArray[Any]], shape: tuple[int, ...], limit_s: float
    ) -> NDArray[np.float32] | Fault:
        """See `Session.predict`."""
        request = frames.pack_arrays(queries)
        longest = (1 << 20) + 16 * math.prod(shape)
        answer = self._ask(frames.QUERY, request, frames.ANSWER, longest, limit_s, "predict")
        return answer if isinstance(answer, Fault) else self._checked(lambda: predictions(answer, shape))

    def build(self, limit_s: float) -> bytes | Fault:
        """See `Session.build`."""
        answer = self._ask(frames.BUILD, [], frames.BUILT, frames.LONGEST_BUILT, limit_s, "build")
        return answer if isinstance(answer, Fault) else bytes(answer)

    def close(self) -> Evidence:
        """See `Session.close`."""
        if self._evidence is None:
            ending = self._cell.end(0.0)
            self._evidence = Evidence(
                sandbox=self._sandbox,
                exit_reason=ending.reason,
                cpu_s=ending.cpu_s,
                wall_s=self._clock() - self._began,
                peak_memory_bytes=ending.peak_memory_bytes,
                stderr_tail=self._cell.streams.noise.tail(),
                versions={**self.versions, "limits": limits_in_words(self._limits)},
            )
        return self._evidence

    # --- one request and its answer -------------------------------------------------------------

    def _ask(
        self, tag: bytes, parts: list[bytes | memoryview], answer_tag: bytes, longest: int, limit_s: float, verb: str
    ) -> bytearray | Fault:
        """Sends a request and waits for the answer; every failure ends the worker's tree."""
        if self._fault is not None:
            return self._fault
        deadline = self._clock() + limit_s
        ticket = secrets.randbits(64)
        try:
            self._refuse_early_bytes()
            self._send(tag, ticket, parts, deadline)
            found, payload = self._receive(ticket, {answer_tag: longest, frames.ERROR: LONGEST_ERROR}, deadline)
            self._refuse_early_bytes()
            if caught := self._caught(payload):
                return self._fail(caught)
            return self._fail(raised(payload)) if found == frames.ERROR else payload
        except FrameError as error:
            return self._fail(Fault(kind=FaultKind.PROTOCOL, reason=printable(str(error))))
        except _TooLate:
            return self._fail(Fault(kind=FaultKind.TIMED_OUT, reason=f"{verb} timed out after {limit_s:g} s"))
        except _Gone:
            return self._fail(self._exited(verb))

    def _caught(self, payload: bytes | bytearray) -> Fault | None:
        """Whether a canary is in an answer or in what was printed."""
        printed = self._cell.streams.noise.kept
        if any(canary in payload or canary in printed for canary in self._canaries):
            return Fault(kind=FaultKind.CAUGHT, reason="showed a secret that lies outside of its sandbox")
        return None

    def _checked(self, read: Callable[[], Answer]) -> Answer | Fault:
        try:
            return read()
        except FrameError as error:
            return self._fail(Fault(kind=FaultKind.PROTOCOL, reason=printable(str(error))))

    def _fail(self, fault: Fault) -> Fault:
        """Kills the tree and remembers the fault: all later calls give the same one."""
        evidence = self.close()
        fault = self._caught(b"") or fault
        self._fault = fault if fault.detail else replace(fault, detail=evidence.stderr_tail[-8000:])
        return self._fault

    def _exited(self, verb: str) -> Fault:
        ending = self._cell.end(GRACE_S)
        match ending.cause:
            case "out_of_memory":
                return Fault(kind=FaultKind.OUT_OF_MEMORY, reason=f"{ending.reason} in {verb}")
            case "cpu":
                return Fault(kind=FaultKind.TIMED_OUT, reason=f"{ending.reason} in {verb}")
            case "exited" | "processes":
                return Fault(kind=FaultKind.EXITED, reason=f"{ending.reason} in {verb}")
            case "killed":
                return Fault(kind=FaultKind.PROTOCOL, reason=f"closed its answer stream in {verb}")

    # --- bytes ----------------------------------------------------------------------------------

    def _refuse_early_bytes(self) -> None:
        self._cell.streams.pump(0.0)
        if self._cell.streams.answers:
            raise FrameError("unexpected frame: bytes that answer no request")

    def _send(self, tag: bytes, ticket: int, parts: list[bytes | memoryview], deadline: float) -> None:
        for part in (frames.pack_header(tag, frames.size_of(parts), ticket), *parts):
            rest = memoryview(part)
            while rest:
                rest = rest[self._pump(deadline, rest) :]

    def _receive(self, ticket: int, longest: Mapping[bytes, int], deadline: float) -> tuple[bytes, bytearray]:
        raw = self._take(frames.HEADER.size, deadline)
        header = frames.unpack_header(bytes(raw), ticket=ticket, longest=longest)
        return header.tag, self._take(header.length, deadline)

    def _take(self, size: int, deadline: float) -> bytearray:
        waiting = self._cell.streams.answers
        while len(waiting) < size:
            self._pump(deadline, None)
        taken = waiting[:size]
        del waiting[:size]
        return taken

    def _pump(self, deadline: float, outgoing: memoryview | None) -> int:
        """Moves bytes once. Raises _TooLate, _Gone, or FrameError on a flood of prints."""
        streams = self._cell.streams
        left = deadline - self._clock()
        if left <= 0 or self._unwanted:
            raise _TooLate
        waiting = len(streams.answers)
        sent = streams.pump(min(left, _LOOK_EVERY_S), outgoing)
        broken = self._cell.look()
        if streams.noise.flooded:
            raise FrameError(f"printed more than {NOISE_ALLOWED >> 20} MiB")
        if broken or (streams.ended and len(streams.answers) == waiting):
            raise _Gone
        return sent

    def _broken(self, expected: str, error: Exception) -> SandboxError:
        """Nothing of the candidate's has run: the machine or the engine is at fault."""
        ending = self._cell.end(GRACE_S if isinstance(error, _Gone) else 0.0)
        noise = self._cell.streams.noise.tail().strip()[-2000:]
        found = noise or str(error) or ending.reason
        return SandboxError(
            f"{expected}, found: {ending.reason}: {found}",
            hint="Run `evolve doctor`: it tests the sandbox, the free memory and the disk.",
        )
