"""Workers started ahead of their use, each used once. Knows no engine, no process and no candidate.

A worker spends more than a second on its imports before it can take a job. Where a core is idle, the
next worker spends that second while the present candidate trains. This hides waiting; it saves no CPU.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from evolve.errors import SandboxError
from sandbox.session import WorkerSession

Key = TypeVar("Key", bound=Hashable)

IDLE_WORKER_BYTES = 300 << 20
"""What one idle worker with torch and an optimizer holds: 278 MiB of proportional set size where no other process
shares its libraries (211 MiB are its own)."""


class Ahead(Generic[Key]):
    """At most `size` workers that wait for the next job of the last key that was asked for.

    Args:
        begin: starts a worker for a key, at low priority where the second argument is true, without
            waiting until it is ready. Raises SandboxError.
        size: how many workers may wait; 0 starts each worker when it is needed.
    """

    def __init__(self, begin: Callable[[Key, bool], WorkerSession], size: int) -> None:
        self._begin = begin
        self._size = size
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Key, _Started]] = deque()
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-ahead") if size else None

    def take(self, key: Key, *, once: bool = False) -> WorkerSession:
        """A ready worker that nobody else has; `once` leaves those that wait alone. Raises SandboxError."""
        session = None if once else self._taken(key)
        if session is None:
            session = self._begin(key, False)
            session.wait_until_ready()
        if not once:
            self._replenish(key)
        return session

    def close(self) -> None:
        """Ends the workers that nobody took."""
        with self._lock:
            idle, self._waiting = self._waiting, deque()
        for _, started in idle:
            started.discard()
        if self._starter:
            self._starter.shutdown(wait=True)

    def _taken(self, key: Key) -> WorkerSession | None:
        while True:
            with self._lock:
                if not self._waiting:
                    return None
                found, started = self._waiting.popleft()
            session = started.ready() if found == key else None
            if session is not None and session.is_waiting():
                return session
            started.discard()

    def _replenish(self, key: Key) -> None:
        with self._lock:
            while self._starter is not None and len(self._waiting) < self._size:
                started = _Started()
                self._waiting.append((key, started))
                self._starter.submit(started.run, lambda: self._begin(key, True))


class _Started:
    """One worker on its way to being ready, in the starter's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: WorkerSession | None = None
        self._wanted = False
        self._unwanted = False
        self._done = threading.Event()

    def run(self, begin: Callable[[], WorkerSession]) -> None:
        """Starts the worker and waits until it is ready, unless it was discarded meanwhile."""
        try:
            with self._lock:
                if self._unwanted:
                    return
                self._session = begin()
                if self._wanted:
                    self._session.hurry()
            self._session.wait_until_ready()
        except SandboxError:
            self._session = None  # whoever takes next starts a worker and meets the same trouble, if it lasts
        finally:
            with self._lock:
                self._done.set()
                if self._unwanted and self._session is not None:
                    self._session.close()

    def ready(self) -> WorkerSession | None:
        """The worker once it is ready, at full speed from now on; None where it could not start."""
        with self._lock:
            self._wanted = True
            begun = self._session
        try:
            if begun is not None:
                begun.hurry()
        except SandboxError:
            return None  # it died while it waited; the caller starts another
        self._done.wait()
        return self._session

    def discard(self) -> None:
        """Ends the worker, or keeps it from starting."""
        with self._lock:
            self._unwanted = True
            if self._session is None:
                return
            if self._done.is_set():
                self._session.close()
            else:
                self._session.give_up()
