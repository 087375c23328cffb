"""What a session needs of a worker that some sandbox started: its streams, its use, its end. Knows no sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from sandbox.streams import Streams

Cause = Literal["killed", "exited", "out_of_memory", "cpu", "processes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a worker's tree came to its end, seen from outside."""

    cause: Cause
    reason: str
    cpu_s: float
    peak_memory_bytes: int


class Cell(Protocol):
    """One started worker and everything that descends from it, seen from outside."""

    @property
    def streams(self) -> Streams: ...

    def look(self) -> bool:
        """Notes what was used so far, where that is lost once the worker is gone; cheap.

        Returns whether a limit of the whole tree is broken, so that it must end.
        """
        ...

    def hurry(self) -> None:
        """Gives a tree that was started at low priority its full share of the CPU."""
        ...

    def limit_memory(self, memory_bytes: int) -> None:
        """Another limit of the whole tree's memory; does nothing where no control group holds it."""
        ...

    def end(self, grace_s: float) -> Ending:
        """Waits `grace_s` for the worker to go by itself, then kills the whole tree and frees everything.

        A second call returns the same ending. Raises SandboxError where the tree can't be killed.
        """
        ...
