"""Proposals that are being thought of while candidates run: each from the history as of one record, resolved in order.

A thought begins at the record that resolved an earlier one, so what it sees follows from the journal alone, never from
how long a model took; a run that is continued begins the same thoughts again. Knows no journal and no model.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace

from evolve.contracts import History, Proposal, Proposer

LOOKS_S = 0.2
"""How often a wait looks whether the run was stopped."""


@dataclass(slots=True, kw_only=True)
class Thought:
    """One proposal in the making. `answer` is there once it was begun."""

    history: History
    seed: int
    answer: Future[Proposal | None] | None = None


class Thoughts:
    """At most `most` thoughts, the oldest first."""

    def __init__(self, proposer: Proposer, most: int) -> None:
        self._proposer, self.most = proposer, most
        self._queue: deque[Thought] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def plan(self, history: History, seed: int) -> None:
        """Adds a thought with its history; its number counts those before it. It is not begun yet."""
        numbered = replace(history, number=history.number + len(self._queue))
        self._queue.append(Thought(history=numbered, seed=seed))

    def begin(self) -> None:
        """Begins what is planned, each in a thread of its own that a process need not wait for when it ends."""
        for thought in self._queue:
            if thought.answer is None:
                thought.answer = Future()
                threading.Thread(target=self._think, args=(thought, thought.answer), daemon=True).start()

    def drop(self) -> None:
        """Takes the oldest thought off: a record says what came of it."""
        if self._queue:
            self._queue.popleft()

    def resolve(self, stop: threading.Event) -> Proposal | None:
        """Waits for the oldest thought; it stays until it is dropped.

        Raises what the proposer raised, and Stopped where the run was stopped."""
        oldest = self._queue[0]
        assert oldest.answer is not None
        while True:
            try:
                return oldest.answer.result(timeout=LOOKS_S)
            except NotYet:
                if oldest.answer.done():
                    raise
                if stop.is_set():
                    raise Stopped from None

    def _think(self, thought: Thought, answer: Future[Proposal | None]) -> None:
        try:
            answer.set_result(self._proposer.propose(thought.history, thought.seed))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever resolves it
            answer.set_exception(error)


class Stopped(Exception):
    """The run was stopped while a thought was waited for; the thought is begun again when the run goes on."""
